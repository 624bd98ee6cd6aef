"""Ends a job of one process at once on SIGINT or SIGTERM. A file that is being written has no final name yet.

An exception would not do: if it is raised while llama.cpp calls back into Python, ctypes prints and drops it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

import psutil
from rich.console import Console

NOTHING_STARTED = "Nothing was started. What was downloaded or converted completely is kept."
"""What to tell the user if a job is stopped while it makes its checks."""


@contextlib.contextmanager
def stoppable(how_to_go_on: str) -> Iterator[None]:
    """End this process and its children if a signal arrives while the block runs. The exit code is 128 + its number.

    Args:
        how_to_go_on: what to tell the user about the work that is done already.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)

    def end(number: int, _frame: FrameType | None) -> None:
        for child in psutil.Process().children(recursive=True):
            child.kill()
        if sys.stdout.isatty():
            Console().show_cursor()  # a progress bar hides it
        # Not `sys.stderr`: a progress bar redirects it, and would draw itself once more below the message.
        print(f"\nStopped ({signal.Signals(number).name}). {how_to_go_on}", file=sys.__stderr__, flush=True)
        os._exit(128 + number)

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
