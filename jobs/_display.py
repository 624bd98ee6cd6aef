"""Show the progress of a pipeline to people and to other programs.

On a terminal this is a live bar. Elsewhere it is a plain line every 20 seconds, and a line `PROGRESS {json}` at most
once per second for other programs (`reporting/schemas/progress.schema.json`). A new phase or state is printed at
once. `progress.json` holds the same snapshot.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from actors.orchestrator.progress import Snapshot
from jobs._terminal import say
from reporting.escape import json_line

PROGRESS_EVERY_S = 1.0
PLAIN_EVERY_S = 20.0

PHASE_NAMES = {
    "plan": "planning",
    "imatrix": "importance matrix",
    "quantize": "quantizing",
    "evaluate": "evaluating",
    "statistics": "statistics",
    "charts": "charts",
    "documents": "documents",
    "done": "done",
}


class Display(Protocol):
    """Shows snapshots as they arrive."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, snapshot: Snapshot) -> None: ...


def make_display() -> Display:
    """Return a live bar if stdout is a terminal, else plain lines."""
    return LiveBar() if sys.stdout.isatty() else Lines()


class LiveBar:
    """A progress bar that redraws itself."""

    def __init__(self) -> None:
        self._live = Live(console=Console(), refresh_per_second=4, transient=True)

    def __enter__(self) -> LiveBar:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, snapshot: Snapshot) -> None:
        grid = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=100, completed=snapshot.percent, width=40)
        # Text, not markup: names from the user's files may contain brackets.
        grid.add_row(Text(PHASE_NAMES[snapshot.phase], style="bold"), bar, Text(f"{snapshot.percent:.0f}%"))
        self._live.update(_stack(grid, Text(describe(snapshot), style="dim")))


def _stack(*rows: Table | Text) -> Table:
    table = Table.grid()
    for row in rows:
        table.add_row(row)
    return table


class Lines:
    """Plain lines, for output that is not a terminal."""

    def __init__(self) -> None:
        self._last: Snapshot | None = None
        self._progress_s = 0.0
        self._plain_s = 0.0

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout.flush()

    def show(self, snapshot: Snapshot) -> None:
        now = time.monotonic()
        is_new = self._last is None or (snapshot.phase, snapshot.state) != (self._last.phase, self._last.state)
        if is_new or now - self._plain_s >= PLAIN_EVERY_S:
            say(f"[{PHASE_NAMES[snapshot.phase]}] {snapshot.percent:.0f}%  {describe(snapshot)}")
            self._plain_s = now
        if is_new or now - self._progress_s >= PROGRESS_EVERY_S:
            say(f"PROGRESS {json_line(snapshot.as_json())}")
            self._progress_s = now
        self._last = snapshot


def describe(snapshot: Snapshot) -> str:
    """Describe a snapshot in one line: cells, tokens per second, CPU, memory, times and failures."""
    parts = [f"cells {snapshot.cells_done}/{snapshot.cells_total}"]
    if snapshot.tokens_per_second:
        parts.append(f"{snapshot.tokens_per_second:,.0f} tok/s")
    parts.append(f"CPU {snapshot.cpu_percent:.0f}%")
    parts.append(f"memory {snapshot.memory_bytes / 2**30:.1f} GiB")
    parts.append(f"{clock(snapshot.elapsed_s)} elapsed")
    if snapshot.seconds_left is not None and snapshot.state == "running":
        parts.append(f"about {clock(snapshot.seconds_left)} left")
    if snapshot.failures:
        parts.append(f"{len(snapshot.failures)} failed")
    return "  ".join(parts)


def clock(seconds: float) -> str:
    """Format a duration: 75 -> 1:15, 90000 -> 25:00:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
