"""Print lines for people. Everything that a job prints goes through here.

Messages repeat what others wrote: names of models, keys of YAML files, answers of servers, errors of custom functions.
Such text may hold escape codes, which could change the window's title or forge a line, so control characters are shown
as code points. The lines of a message are its own; text from elsewhere is put into one line before it gets here.
"""

from __future__ import annotations

import sys

from conf.files import is_disk_failure
from reporting.escape import hanging, visible


def say(text: str) -> None:
    """Print to standard output, at once."""
    print(visible(text), flush=True)


def complain(text: str) -> None:
    """Print to standard error, at once."""
    print(visible(text), file=sys.stderr, flush=True)


def complain_of_disk(error: OSError) -> None:
    """Print that the disk is full or fails. Raise any other error again."""
    if not is_disk_failure(error):
        raise error
    complain(f"FAILED: {hanging(str(error))}")
