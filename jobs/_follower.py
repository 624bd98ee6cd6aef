"""Turn the orchestrator's views into snapshots with CPU and memory, show them, and write them to `progress.json`.

The driver is the only writer of that file.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime

import psutil

from actors.orchestrator.actor import Ending, View
from actors.orchestrator.progress import PROGRESS_SCHEMA_VERSION, RunState, Snapshot
from actors.store import RunDirectory
from conf.files import write_json
from jobs._display import Display
from jobs._mirror import BackgroundMirror


class Follower:
    """Publishes the progress of one pipeline."""

    def __init__(self, pipeline_id: str, run: RunDirectory) -> None:
        self._pipeline_id = pipeline_id
        self._run = run
        self._processes: dict[int, psutil.Process] = {}
        self._last: View | None = None

    def show(self, view: View, display: Display, mirror: BackgroundMirror) -> None:
        """Publish a view of the running pipeline, and update MLflow if cells or the phase have changed."""
        if self._last is None or view.cells_done != self._last.cells_done or view.phase != self._last.phase:
            mirror.follow(self._run)
        self._last = view
        self._publish(self._snapshot(view, "running"), display)

    def end(self, state: RunState, display: Display, outcome: Ending | None = None) -> None:
        """Publish the last snapshot. If there was no view yet, it holds only the state."""
        view = self._last or View("plan", 0, 0, 0, 0, None, 0.0, None, (), 0, (), ())
        if outcome is not None:
            view = View(**{**vars(view), "phase": "done", "failures": outcome.failures, "notices": outcome.notices})
        self._publish(self._snapshot(view, state), display)

    def _publish(self, snapshot: Snapshot, display: Display) -> None:
        write_json(self._run.progress, snapshot.as_json())
        display.show(snapshot)

    def _snapshot(self, view: View, state: RunState) -> Snapshot:
        cpu, memory = self._usage((os.getpid(), *view.pids))
        share = view.elapsed_s / (view.elapsed_s + view.seconds_left) if view.seconds_left is not None else 0.0
        return Snapshot(
            schema_version=PROGRESS_SCHEMA_VERSION,
            pipeline_id=self._pipeline_id,
            state=state,
            phase=view.phase,
            done=view.done,
            total=view.total,
            cells_done=view.cells_done,
            cells_total=view.cells_total,
            percent=100.0 if state == "done" else round(min(100 * share, 99.0), 1),
            tokens_per_second=view.tokens_per_second,
            elapsed_s=round(view.elapsed_s, 1),
            seconds_left=None if view.seconds_left is None else round(view.seconds_left, 1),
            cpu_percent=round(cpu, 1),
            memory_bytes=memory,
            process_id=os.getpid(),
            workers=view.workers,
            failures=tuple({"unit": one.unit, "error": one.error} for one in view.failures),
            notices=view.notices,
            working_on=view.working_on if state == "running" else (),
            phases=view.phases if state == "running" else (),
            arms=view.arms,
            benchmarks=view.benchmarks,
            updated_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )

    def _usage(self, pids: tuple[int, ...]) -> tuple[float, int]:
        """Return CPU use (percent of one core) and resident memory (bytes) of the job's processes on this machine."""
        cpu, memory = 0.0, 0
        for pid in set(pids):
            with contextlib.suppress(psutil.Error):
                process = self._processes.setdefault(pid, psutil.Process(pid))
                cpu += process.cpu_percent()
                memory += process.memory_info().rss
        return cpu, memory
