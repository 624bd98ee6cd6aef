"""Show the progress of a pipeline to people and to other programs.

On a terminal this is a live screen with a bar. Elsewhere it is a plain line every 20 seconds, and a line
`PROGRESS {json}` for other programs (`reporting/schemas/progress.schema.json`): every 5 seconds, after at least a
second if work was done or begun, and at once for a new phase or state. `progress.json` holds the same snapshot.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from actors.orchestrator.progress import Snapshot
from jobs._terminal import say
from jobs._watched import view_of_progress
from reporting.escape import json_line
from reporting.terminal.progress_screen import draw
from reporting.terminal.progress_words import PHASES

PROGRESS_EVERY_S = 5.0
"""Seconds between two lines for programs while only times and the use of CPU and memory change."""
CHANGED_EVERY_S = 1.0
"""Seconds between two of these lines if anything else has changed."""
PLAIN_EVERY_S = 20.0


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
    """A screen that redraws itself."""

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
        # Text, not markup: names from the user's files may contain brackets.
        self._live.update(Text("\n".join(screen(snapshot, self._live.console.width - 1)), no_wrap=True))


def screen(snapshot: Snapshot, width: int) -> list[str]:
    """Return the screen that `jobs.watch` shows from elsewhere, without what only the dashboard knows."""
    view = view_of_progress(snapshot.pipeline_id, snapshot.as_json())
    return draw(view.as_json(), width, "en")


class Lines:
    """Plain lines, for output that is not a terminal."""

    def __init__(self) -> None:
        self._last: Snapshot | None = None
        self._progress_s = 0.0
        self._told: tuple[object, ...] = ()
        """What the last line for programs has counted."""
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
            say(f"[{PHASES[snapshot.phase][1]}] {snapshot.percent:.0f}%  {describe(snapshot)}")
            self._plain_s = now
        every_s = CHANGED_EVERY_S if _counted(snapshot) != self._told else PROGRESS_EVERY_S
        if is_new or now - self._progress_s >= every_s:
            say(f"PROGRESS {json_line(snapshot.as_json())}")
            self._progress_s, self._told = now, _counted(snapshot)
        self._last = snapshot


def _counted(snapshot: Snapshot) -> tuple[object, ...]:
    """Return what changes only if work is done or begun, or fails."""
    return snapshot.done, snapshot.cells_done, snapshot.working_on, snapshot.failures, snapshot.notices


def describe(snapshot: Snapshot) -> str:
    """Describe a snapshot in one line: times, cells, failures, use of resources, and what is being worked on."""
    return "  ".join(filter(None, [_times(snapshot), _counts(snapshot), _work(snapshot)]))


def _times(snapshot: Snapshot) -> str:
    left = snapshot.seconds_left if snapshot.state == "running" else None
    return f"{clock(snapshot.elapsed_s)} elapsed" + ("" if left is None else f", about {clock(left)} left")


def _work(snapshot: Snapshot) -> str:
    return "; ".join(snapshot.working_on)


def _counts(snapshot: Snapshot) -> str:
    parts = [f"cells {snapshot.cells_done}/{snapshot.cells_total}"]
    if snapshot.failures:
        parts.append(f"{len(snapshot.failures)} failed")
    if snapshot.tokens_per_second:
        parts.append(f"{snapshot.tokens_per_second:,.0f} tok/s")
    parts.append(f"CPU {snapshot.cpu_percent:.0f}%")
    parts.append(f"memory {snapshot.memory_bytes / 2**30:.1f} GiB")
    return "  ".join(parts)


def clock(seconds: float) -> str:
    """Format a duration: 75 -> 1:15, 90000 -> 25:00:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
