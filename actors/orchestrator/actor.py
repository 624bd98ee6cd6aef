"""The orchestrator: starts workers, sends them units, and collects the results until the plan is done.

This module holds what needs Ray: actor handles, processes, threads and locks. All decisions are in `loop`. The
orchestrator is a Ray actor beside the driver. It asks Ray for no CPU, and it dies with its driver.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import RayError

from actors.documentation.actor import DocumentationWorker
from actors.errors import EndpointRefused, FailedWithLog, NoPlaceError, NoRoomError, RoomFor
from actors.json_lines import read_jsonl
from actors.judging.orders import JudgeSummary
from actors.orchestrator.early_stop import read_early_stop
from actors.orchestrator.judging_limits import Judged
from actors.orchestrator.late_workers import START_WITHIN_S
from actors.orchestrator.loop import Loop, Step
from actors.orchestrator.memory_limits import Shortage
from actors.orchestrator.places import Places
from actors.orchestrator.plan import Plan
from actors.orchestrator.processes.actor import WorkerProcesses, not_on
from actors.orchestrator.progress import (
    cells_by,
    cells_done,
    cost_shares,
    current_phase,
    describe_work,
    phases_of,
    seconds_left,
)
from actors.orchestrator.results import write_results
from actors.orchestrator.rooms import Room, rooms_of
from actors.orchestrator.schedule import Failure, State
from actors.orchestrator.worker import Worker, WorkError
from actors.orchestrator.worker_calls import WorkerCalls
from actors.orders import ChartOrder, DocumentOrder, Phase
from actors.ownership import check_owner
from actors.ray_process.actor import ask_last_words
from actors.store import RunDirectory
from actors.visualization.actor import VisualizationWorker
from conf.files import WriteFailed, exists, is_disk_failure
from conf.schema.pipeline import PipelineConfig

POLL_S = 0.5
REPORT_EVERY_S = 0.5
NODES_EVERY_S = 5.0
"""How often Ray is asked which nodes it has. A cluster may grow, and nodes may be lost."""


@dataclass(frozen=True)
class Job:
    """What the orchestrator needs to run one plan."""

    config: PipelineConfig
    plan: Plan
    run_root: str
    owner_token: str
    """Proof that this job owns the run directory."""
    places: Places
    """What each worker takes."""
    done: frozenset[str]
    """Units that were done before."""
    description: Mapping[str, Any]
    """Settings, versions and the like, which are copied into the results unchanged."""
    make_documents: bool
    methodology_path: str | None = None
    """Absolute path of the user's methodology; None: the standard one."""
    start_within_s: float = START_WITHIN_S
    """Seconds to wait for a worker to start."""
    asks_for_smaller: bool = False
    """True: the driver makes a smaller plan when memory is missing (`View.shortage`, `Orchestrator.go_on`)."""
    only_judging: bool = False
    """True: nothing is made or evaluated. Answers that exist are judged, and the results are computed again."""


@dataclass(frozen=True)
class View:
    """The state of the work as the driver sees it. The driver adds CPU and memory and makes a `Snapshot` of it."""

    phase: Phase
    done: int
    total: int
    cells_done: int
    cells_total: int
    tokens_per_second: float | None
    elapsed_s: float
    seconds_left: float | None
    pids: tuple[int, ...]
    workers: int
    failures: tuple[Failure, ...]
    notices: tuple[str, ...]
    working_on: tuple[str, ...] = ()
    """What each busy worker is doing, in words."""
    phases: tuple[Mapping[str, str], ...] = ()
    arms: tuple[Mapping[str, Any], ...] = ()
    benchmarks: tuple[Mapping[str, Any], ...] = ()
    """See `Snapshot`."""
    shortage: Shortage | None = None
    """What the driver has to answer with `Orchestrator.go_on`: a smaller plan, or that there is none."""


@dataclass(frozen=True)
class Ending:
    """How the pipeline ended."""

    failures: tuple[Failure, ...]
    notices: tuple[str, ...]
    files: tuple[str, ...] = field(default=())
    spared: tuple[str, ...] = ()
    """Blocks that were not run because their benchmark had ended early."""


class Orchestrator:
    """Runs one plan to its end. `run` blocks; meanwhile other threads answer `view` and `report`."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._run_dir = RunDirectory(job.run_root)
        self._loop = Loop(
            job.plan,
            job.config,
            job.places,
            job.done,
            read_early_stop(job.plan, job.config, failed=()),
            start_within_s=job.start_within_s,
            asks_for_smaller=job.asks_for_smaller,
            only_judging=job.only_judging,
        )
        self._calls = WorkerCalls(job.plan, job.config.sampling)
        self._lock = threading.Lock()
        """Guards the loop and the processes: `run` changes them while other threads read them."""
        self._processes = WorkerProcesses(job.places.closed_nodes, self._lock, self._note_start)
        self._asked: Shortage | None = None
        """What the driver was asked to make a smaller plan for. The work does not end before its answer."""
        self._answers: list[Job | None] = []
        self._started_s = time.monotonic()
        self._nodes_seen_s = float("-inf")
        self._closing_phase: Phase | None = None
        """The phase after the last block: statistics, charts or documents."""
        self._closing_failures: list[Failure] = []
        self._self_handle: Any = None

    # --- what others call while `run` works -------------------------------------------------------

    def report(self, unit: str, tokens: int) -> None:
        """Count tokens that a worker has processed since its last report on a unit."""
        with self._lock:
            self._loop.report(unit, tokens, time.monotonic())

    def go_on(self, job: Job | None) -> None:
        """Answer the shortage of the latest view: with a job whose plan is smaller, or None if there is none."""
        with self._lock:
            self._answers.append(job)

    def view(self) -> View:
        """Return the state of the work, for the driver."""
        with self._lock:
            now = time.monotonic()
            schedule = self._loop.schedule
            elapsed = now - self._started_s
            done_cost, left_cost = cost_shares(schedule, self._job.done, self._loop.reported)
            asks = self._asked is None and self._closing_phase is None
            self._asked = shortage = self._loop.shortage if asks else self._asked
            terminal = [*schedule.in_state(State.DONE), *schedule.in_state(State.FAILED)]
            phase, cells = self._closing_phase or current_phase(schedule), self._job.plan.cells
            return View(
                phase=phase,
                done=len(terminal),
                total=len(schedule.units),
                cells_done=cells_done(cells, schedule),
                cells_total=len(cells),
                tokens_per_second=self._loop.rate.per_second(now),
                elapsed_s=elapsed,
                seconds_left=seconds_left(elapsed, done_cost, left_cost),
                pids=(os.getpid(), *self._processes.pids),
                workers=len(self._processes),
                failures=(*schedule.failures, *self._closing_failures),
                notices=tuple(self._loop.notices),
                working_on=tuple(dict.fromkeys(describe_work(one.units) for one in self._loop.workers if one.units)),
                phases=phases_of(schedule, phase, self._job.make_documents),
                arms=cells_by(cells, schedule, lambda cell: cell.arm),
                benchmarks=cells_by(cells, schedule, lambda cell: cell.benchmark),
                shortage=shortage if asks else None,
            )

    # --- the loop ---------------------------------------------------------------------------------

    def run(self, self_handle: Any) -> Ending:
        """Run the whole plan: make, evaluate, compute the results, draw, write the documents.

        `self_handle` is this actor's own handle. Workers report their tokens through it.
        """
        self._self_handle = self_handle
        self._work()
        files = self._write_results()
        files += self._draw_and_document()
        failures = (*self._loop.schedule.failures, *self._closing_failures)
        return Ending(failures, tuple(self._loop.notices), tuple(files), self._loop.spared_blocks)

    def _work(self) -> None:
        """Have all units carried out."""
        while not self._ended():
            self._take_answer()
            self._see_nodes()
            with self._lock:
                step = self._loop.step(time.monotonic())
            self._carry_out(step)
            self._collect_results()
        self._processes.end_all()

    def _ended(self) -> bool:
        """Return whether all work is done. From then on nothing is asked any more."""
        with self._lock:
            ended = self._loop.finished and self._asked is None
            if ended:
                self._closing_phase = "statistics"
            return ended

    def _take_answer(self) -> None:
        """Go on with the driver's answer about missing memory, if there is one. No worker is ended for it."""
        if not self._answers or self._asked is None:
            return
        loaded, smaller, schedule = self._asked.loaded, self._answers[0], self._loop.schedule
        if smaller is not None:
            failed = {unit.id for unit in schedule.in_state(State.FAILED)}
            running = {unit.id for unit in schedule.in_state(State.RUNNING)}
            early = read_early_stop(smaller.plan, smaller.config, failed, running)
            ours = {unit.id for unit in schedule.in_state(State.DONE)} - self._job.done
        with self._lock:
            if smaller is None:
                self._loop.go_on_as_before(loaded)
            else:
                self._loop.go_on(smaller.plan, smaller.places, smaller.done - running, early, loaded)
                self._calls = WorkerCalls(smaller.plan, smaller.config.sampling)
                self._job = replace(smaller, done=smaller.done - ours)
            self._asked = None
            self._answers.clear()

    def _see_nodes(self) -> None:
        """Tell the loop which nodes there are, now and then."""
        now = time.monotonic()
        if now - self._nodes_seen_s >= NODES_EVERY_S:
            self._nodes_seen_s = now
            with self._lock:
                step = self._loop.see(self._rooms())
            self._carry_out(step)

    def _rooms(self) -> tuple[Room, ...]:
        return rooms_of(ray.nodes(), self._job.places.closed_nodes)  # type: ignore[no-untyped-call]

    def _carry_out(self, step: Step) -> None:
        """End the dismissed workers and send the others their units. Raise `NoPlaceError` if Ray starts no worker."""
        for worker in step.dismissed:
            self._processes.end(worker)
        if step.no_place is not None:
            raise NoPlaceError(step.no_place)
        for worker in step.assigned:
            call = self._calls.call_for(
                worker.units,
                lambda unit: _Reporter(self._self_handle, unit),
                worker.calls_left,
                worker.host_threads,
            )
            self._processes.send(worker, call.method, call.arguments, describe_work(worker.units))

    def _note_start(self, worker: Worker, node_id: str) -> None:
        self._loop.note_start(worker, node_id)

    def _collect_results(self) -> None:
        """Wait up to `POLL_S` seconds for a result, and tell the loop about it."""
        busy = self._processes.busy
        if not busy:
            if not self._ended():  # the driver makes a smaller plan, and everything else is done
                time.sleep(POLL_S)
            return
        ready, _ = ray.wait(list(busy), num_returns=1, timeout=POLL_S)
        for result in ready:
            worker = busy[result]
            self._processes.note_result(worker)
            try:
                value = ray.get(result)
            except RayError as error:
                self._fail(worker, error)
            else:
                self._finish(worker, value)

    def _finish(self, worker: Worker, value: Any) -> None:
        records = {unit: read_jsonl(path) for unit, path in self._loop.records_to_read(worker).items()}
        judged: Judged | None = None
        if isinstance(value, JudgeSummary):
            judged = Judged(value.n_asked, value.n_verdicts, complete=exists(value.output_path))
        with self._lock:
            self._loop.finish(worker, records, time.monotonic(), judged)

    def _fail(self, worker: Worker, error: RayError) -> None:
        _stop_if_disk_failed(error)
        failed = _work_error(error)
        if failed.kind == "worker_died" and worker.spot is not None:
            rooms = self._rooms()
            if worker.spot.node_id not in [room.node_id for room in rooms]:
                failed = WorkError("node_died", f"node {worker.spot.node_id} of the cluster was lost")
        wrote_to = self._processes.wrote_to(worker)
        if failed.kind == "worker_died" and wrote_to is not None and (words := ask_last_words(*wrote_to)):
            wanted_for: RoomFor | None = "compute" if words.no_memory else None
            failed = WorkError("worker_died", f"the worker died: {words.reason}", words.log_tail, wanted_for)
        with self._lock:
            self._loop.fail(worker, failed)
        if worker not in self._loop.workers:
            self._processes.end(worker)

    # --- after the last block ---------------------------------------------------------------------

    def _enter(self, phase: Phase) -> None:
        check_owner(self._run_dir, self._job.owner_token)
        with self._lock:
            self._closing_phase = phase

    def _write_results(self) -> list[str]:
        self._enter("statistics")
        failures = tuple(self._loop.schedule.failures)
        written = write_results(
            self._job.plan,
            self._run_dir,
            self._job.config,
            self._job.description,
            failures,
            self._loop.notices,
            self._loop.over_limit,
        )
        with self._lock:
            self._closing_failures += written.failures
            self._loop.notices += written.notices
        return list(written.paths)

    def _draw_and_document(self) -> list[str]:
        """Draw the charts, then write the documents. If one of them fails, record it and still make the other."""
        if not self._job.make_documents:
            return []
        lang = self._job.config.lang
        results_path = str(self._run_dir.comparison)
        self._enter("charts")
        charts = ChartOrder(results_path, str(self._run_dir.charts), lang)
        drawn = self._make_files(VisualizationWorker, "draw", charts, "charts")
        self._enter("documents")
        documents = DocumentOrder(results_path, self._job.run_root, lang, self._job.methodology_path)
        written = self._make_files(DocumentationWorker, "write", documents, "documents")
        return [*drawn, *written]

    def _make_files(self, kind: Any, method: str, order: Any, phase: str) -> list[str]:
        """Call a method of a new worker, and return the paths of the files that it made; none if it failed.

        If the worker dies, another one tries again, as with the units before.
        """
        for attempt in range(1, self._job.config.execution.attempts + 1):
            there = not_on(self._job.places.closed_nodes)
            worker = (
                ray.remote(kind)
                .options(name=self._processes.new_name(phase), num_cpus=0, max_restarts=0, **there)
                .remote()
            )
            try:
                result = ray.get(getattr(worker, method).options(name=phase).remote(order))
                break
            except RayError as error:
                _stop_if_disk_failed(error)
                failed = _work_error(error)
                if failed.kind == "worker_died" and attempt < self._job.config.execution.attempts:
                    continue
                with self._lock:
                    self._closing_failures.append(Failure(phase, phase, None, None, attempt, failed.message, ()))
                return []
            finally:
                ray.kill(worker)
        with self._lock:
            notices = self._loop.notices
            notices.extend(notice for notice in result.notices if notice not in notices)
        return [str(path) for path in result.paths]


def _stop_if_disk_failed(error: RayError) -> None:
    """Raise `WriteFailed` if a worker failed because of the disk: all others would work in vain, too."""
    cause = getattr(error, "cause", None)
    if is_disk_failure(cause):
        raise WriteFailed(str(cause)) from None


def _work_error(error: RayError) -> WorkError:
    """Return what the loop needs to know about a failed call. Ray gives a cause only if the worker is alive."""
    cause = getattr(error, "cause", None)
    if cause is None:
        message = f"the worker died ({type(error).__name__}: out of memory, or a crash of native code)"
        return WorkError("worker_died", message)
    log_tail = cause.log_tail if isinstance(cause, FailedWithLog) else ()
    message = f"{type(cause).__name__}: {cause}"
    if isinstance(cause, NoRoomError):
        return WorkError("no_room", message, log_tail, cause.wanted_for)
    return WorkError("refused" if isinstance(cause, EndpointRefused) else "other", message, log_tail)


class _Reporter:
    """The function with which a worker reports the tokens of a unit. It adds them up and sends a sum now and then."""

    def __init__(self, orchestrator: Any, unit: str) -> None:
        self._orchestrator, self._unit = orchestrator, unit
        self._pending = 0
        self._sent_s = 0.0

    def __call__(self, tokens: int) -> None:
        self._pending += tokens
        now = time.monotonic()
        if now - self._sent_s >= REPORT_EVERY_S:
            self._orchestrator.report.remote(self._unit, self._pending)
            self._pending, self._sent_s = 0, now
