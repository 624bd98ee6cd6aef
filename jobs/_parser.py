"""The command line parser of every job. It reports argparse's errors in the same form as all other bad input."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from conf.faults import NOT_UTF8, RENAME, Fault, is_utf8
from jobs._terminal import complain
from reporting.escape import hanging

EXIT_BAD_INPUT = 2


class Parser(argparse.ArgumentParser):
    """A parser that prints one message per fault in place of the whole usage."""

    def parse_known_args(  # type: ignore[override]  # argparse has further forms for callers that give a namespace
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse the words. Refuse one whose bytes are not UTF-8: no file of results could hold it."""
        for word in sys.argv[1:] if args is None else args:
            if not is_utf8(word):
                flag = word.partition("=")[0] if word.startswith("--") else "command line"
                self.error(str(Fault(flag, word, NOT_UTF8, RENAME)))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print argparse's message and exit with code 2. argparse calls this for every error."""
        complain(f"{self.prog}: bad input, nothing was started\n  - {hanging(message)}")
        complain(f"    All options: {self.prog} --help")
        raise SystemExit(EXIT_BAD_INPUT)
