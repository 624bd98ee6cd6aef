"""The command line of every job: what argparse finds wrong is told like all other bad input."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

EXIT_BAD_INPUT = 2


class Parser(argparse.ArgumentParser):
    """One message a fault, in place of the whole usage."""

    def error(self, message: str) -> NoReturn:
        """What argparse calls with its own message."""
        print(f"{self.prog}: bad input, nothing was started\n  - {message}", file=sys.stderr)
        print(f"    All options: {self.prog} --help", file=sys.stderr)
        raise SystemExit(EXIT_BAD_INPUT)
