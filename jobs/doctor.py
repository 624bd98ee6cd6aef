"""What this machine lacks for the jobs, all at once, each with its mend.

    python -m jobs.doctor [--storage DIR] [--data-dir DIR]

Looks and changes nothing. Of a cluster it sees the machine it runs on and whether the address answers; submit it
as a Ray job to see the head node. Exit code 0: nothing is missing; 1: something is.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs._parser import Parser


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = Parser(
        prog="python -m jobs.doctor",
        description="Say what this machine lacks for the jobs, each with its mend.",
        epilog="RAY_ADDRESS and MLFLOW_TRACKING_URI are tried where they are set. "
        "Exit code 0: nothing is missing; 1: something is.",
    )
    made.add_argument("--storage", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (./runs)")
    made.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of data sets")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Print every check; gives back the exit code."""
    options = parser().parse_args(argv)
    try:
        # Not at the top: the doctor has something to say where the packages are missing, too.
        from conf.environment import read_environment
        from jobs._checks import examine
    except ImportError as error:
        print(f"LACKS  Packages: {error} (Python {platform.python_version()}, {sys.executable})")
        print("       mend: Run `make setup`, and start the jobs with its Python: .venv/bin/python.")
        return 1
    missing = 0
    for check in examine(read_environment(), options.storage, options.data_dir):
        print(f"{'ok   ' if check.mend is None else 'LACKS'}  {check.name}: {check.found}", flush=True)
        if check.mend is not None:
            missing += 1
            print(f"       mend: {check.mend}", flush=True)
    print(f"{missing} to mend." if missing else "Nothing is missing.")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
