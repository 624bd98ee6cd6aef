"""Shows the progress of jobs that work in their own process: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from actors.hub import ReportBytes
from actors.orchestrator.duration import hours_and_minutes
from jobs._terminal import say
from reporting.escape import hanging, one_line

_LINE_EVERY_S = 10.0
"""Seconds between two plain lines."""
# No markup: names from the user's files may contain brackets.
_DESCRIPTION = TextColumn("{task.description}", markup=False)


class Counter:
    """Shows how much of a known total is done."""

    def __init__(self, what: str, *, total: int, unit: str) -> None:
        self._what, self._total, self._unit = one_line(what, 200), total, unit
        self._done, self._shown_s = 0, time.monotonic()
        self._bar: Progress | None = None
        if sys.stdout.isatty():
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, transient=True)
            self._task = self._bar.add_task(self._what, total=total)

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
        """Show that this many more tokens (or other units) are done."""
        self.advance_to(self._done + tokens)

    def advance_to(self, done: int) -> None:
        """Show that `done` units are done in all."""
        self._done = done
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)
        elif now - self._shown_s >= _LINE_EVERY_S:
            say(f"{self._what}: {self._done:,} of {self._total:,} {self._unit}")
            self._shown_s = now


class Steps:
    """Shows work that is done in several passes, with one counter per pass."""

    def __init__(self, what: str, *, unit: str) -> None:
        self._what, self._unit = what, unit
        self._pass: str | None = None
        self._counter: Counter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_pass()

    def show(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` units of the pass `what` are done."""
        if what != self._pass:
            self._end_pass()
            self._pass, self._counter = what, Counter(f"{self._what} {what}", total=total, unit=self._unit)
            self._counter.__enter__()
        assert self._counter is not None
        self._counter.advance_to(done)

    def _end_pass(self) -> None:
        if self._counter is not None:
            self._counter.__exit__(None, None, None)
            self._counter = None


class Transfer:
    """Shows the progress of work on a file in bytes. Shows nothing if no bytes come.

    The `with` block gets the function to call with the number of bytes that were added since its last call.
    """

    def __init__(self, what: str, *, total_bytes: int | None = None, quiet_s: float = 0.0) -> None:
        """Show nothing yet; see `actors.orchestrator.sources.reporter.Reporter`."""
        self._what, self._total_bytes, self._quiet_s = one_line(what, 200), total_bytes, quiet_s
        self._done_bytes = 0
        self._started_s = self._shown_s = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> ReportBytes:
        return self._advance

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        seconds = time.monotonic() - self._started_s
        if self._done_bytes and error is None and seconds >= self._quiet_s:
            say(f"{self._what}: {self._done_bytes / 2**20:,.1f} MiB in {seconds:,.1f} s")

    def _advance(self, n_bytes: int) -> None:
        now = time.monotonic()
        if not self._done_bytes:
            # Waiting for the first byte is not part of the rate.
            self._started_s = self._shown_s = now
        self._done_bytes += n_bytes
        if now - self._started_s < self._quiet_s:
            return
        if sys.stdout.isatty():
            if self._bar is None:
                columns = (
                    TextColumn("{task.description}", markup=False),
                    BarColumn(),
                    DownloadColumn(),
                    TransferSpeedColumn(),
                )
                self._bar = Progress(*columns, TimeRemainingColumn(), transient=True)
                self._task = self._bar.add_task(self._what, total=self._total_bytes)
                self._bar.start()
            self._bar.update(self._task, completed=self._done_bytes)
        elif now - self._shown_s >= _LINE_EVERY_S:
            say(f"{self._what}: {self._done_bytes / 2**20:,.1f}{self._rest(now)}")
            self._shown_s = now

    def _rest(self, now: float) -> str:
        """Return of how many MiB, and about how long the rest takes."""
        if not self._total_bytes:
            return " MiB"
        left_s = (now - self._started_s) * max(self._total_bytes / self._done_bytes - 1, 0)
        return f" of {self._total_bytes / 2**20:,.1f} MiB, about {hours_and_minutes(left_s)} left"


class TerminalReporter:
    """Shows on the terminal how the preparation is getting on (`actors.orchestrator.sources.reporter.Reporter`)."""

    def say(self, line: str) -> None:
        """Print one line."""
        say(hanging(line))

    def transfer(self, what: str, *, total_bytes: int | None = None, quiet_s: float = 0.0) -> Transfer:
        """Show the work on a file while the `with` block runs."""
        return Transfer(what, total_bytes=total_bytes, quiet_s=quiet_s)
