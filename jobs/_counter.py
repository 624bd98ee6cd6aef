"""Progress of the jobs that work in their own process: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY_S = 10.0


class Counter:
    """Counts towards a known total, and shows how far it has come."""

    def __init__(self, what: str, *, total: int, unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done, self._shown_s = 0, time.monotonic()
        self._bar: Progress | None = None
        if sys.stdout.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, transient=True)
            self._task = self._bar.add_task(what, total=total)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, tokens: int) -> None:
        """Count `tokens` more as done (or whatever the unit is)."""
        self._done += tokens
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)
        elif now - self._shown_s >= _LINE_EVERY_S:
            print(f"{self._what}: {self._done:,} of {self._total:,} {self._unit}", flush=True)
            self._shown_s = now
