"""Print lines for people. Everything that a job prints goes through here.

Messages repeat what others wrote: names of models, keys of YAML files, answers of servers, errors of custom functions.
Such text may hold escape codes, which could change the window's title or forge a line, so control characters are shown
as code points. The lines of a message are its own; text from elsewhere is put into one line before it gets here.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

from conf.files import is_disk_failure
from reporting.escape import hanging, visible


def say(text: str) -> None:
    """Print to standard output, at once. If nobody reads it any more (`| head`), print nothing from then on."""
    _print(text, sys.stdout)


def complain(text: str) -> None:
    """Print to standard error, at once. If nobody reads it any more, print nothing from then on."""
    _print(text, sys.stderr)


def _print(text: str, stream: TextIO) -> None:
    try:
        print(visible(text), file=stream, flush=True)
    except BrokenPipeError:
        # The work goes on without a reader. Python also writes to the stream when it ends; that must not fail either.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def complain_of_disk(error: OSError) -> None:
    """Print that the disk is full or fails. Raise any other error again."""
    if not is_disk_failure(error):
        raise error
    complain(f"FAILED: {hanging(str(error))}")
