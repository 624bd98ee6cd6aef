"""The command line parser of every job. It reports argparse's errors in the same form as all other bad input."""

from __future__ import annotations

import argparse
from typing import NoReturn

from jobs._terminal import complain
from reporting.escape import hanging

EXIT_BAD_INPUT = 2


class Parser(argparse.ArgumentParser):
    """A parser that prints one message per fault in place of the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Print argparse's message and exit with code 2. argparse calls this for every error."""
        complain(f"{self.prog}: bad input, nothing was started\n  - {hanging(message)}")
        complain(f"    All options: {self.prog} --help")
        raise SystemExit(EXIT_BAD_INPUT)
