"""Report everything that is missing on this machine for the jobs, and how to fix it.

    python -m jobs.doctor [--storage DIR] [--data-dir DIR]

It changes nothing. It checks the machine on which it runs and, with RAY_ADDRESS, shows what each node of the cluster
tells about itself. To check the head node, submit it as a Ray job. Exit codes: 0 nothing is missing; 1 something is.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs._parser import Parser
from jobs._terminal import say
from reporting.escape import hanging
from reporting.terminal.layout import wrapped

_INDENT = " " * 9


def parser() -> argparse.ArgumentParser:
    """Make the command line parser."""
    made = Parser(
        prog="python -m jobs.doctor",
        description="Show what is missing on this machine for the jobs, and how to fix it.",
        epilog="With RAY_ADDRESS, all nodes of the cluster are asked; MLFLOW_TRACKING_URI is checked if it is set. "
        "Exit codes: 0 nothing is missing; 1 something is missing.",
    )
    made.add_argument("--storage", type=Path, default=Path("runs"), metavar="DIR", help="folder of runs (./runs)")
    made.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of data sets")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Print the result of every check, and return the exit code."""
    options = parser().parse_args(argv)
    try:
        # Not at the top, because the doctor must also work if packages are missing.
        from conf.environment import read_environment
        from jobs._checks import examine
    except ImportError as error:
        say(f"MISSING  Packages: {error} (Python {platform.python_version()}, {sys.executable})")
        say("         fix: Run `make setup`, and start the jobs with its Python: .venv/bin/python.")
        return 1
    missing = 0
    for check in examine(read_environment(), options.storage, options.data_dir):
        found = hanging(f"{'ok     ' if check.fix is None else 'MISSING'}  {check.name}: {check.found}", _INDENT)
        say("\n".join(wrapped(line, f"{_INDENT}  ") for line in found.split("\n")))
        if check.fix is not None:
            missing += 1
            say(f"{_INDENT}fix: {hanging(check.fix)}")  # not folded, so that commands can be copied
    say(f"{missing} to fix." if missing else "Nothing is missing.")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
