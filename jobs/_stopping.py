"""Ending a job of one process at once on SIGINT or SIGTERM: what it was making has not got its name yet.

An exception would not do: one that is raised while llama.cpp calls back is printed by ctypes and lost.
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


@contextlib.contextmanager
def stoppable(goes_on: str) -> Iterator[None]:
    """While the block runs, a signal ends this process and those that it has started, with 128 + its number.

    Args:
        goes_on: what to tell the user of what is done already.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)

    def end(number: int, _frame: FrameType | None) -> None:
        for child in psutil.Process().children(recursive=True):
            child.kill()
        if sys.stdout.isatty():
            Console().show_cursor()  # a live bar has hidden it
        # Not `sys.stderr`, which a live bar has taken over, to draw itself once more below.
        print(f"\nStopped ({signal.Signals(number).name}). {goes_on}", file=sys.__stderr__, flush=True)
        os._exit(128 + number)

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
