"""The orchestrator: one loop that starts workers, hands out units, and takes back what became of them.

Thin over the pure parts: `schedule` says what may start, `placement` how many workers there is room for. It runs
as a Ray actor beside the driver, asks Ray for no CPU, and dies with its driver.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import ray
from ray.exceptions import RayError

from actors.documentation.actor import DocumentationWorker
from actors.errors import FailedWithLog, NoRoomError
from actors.evaluation.actor import EvaluationWorker
from actors.orchestrator import results
from actors.orchestrator.early_stop import EarlyStop
from actors.orchestrator.late_workers import START_WITHIN_S, find_late_workers, no_place
from actors.orchestrator.placement import Placement
from actors.orchestrator.plan import Plan
from actors.orchestrator.progress import (
    TokenRate,
    cells_done,
    cost_shares,
    current_phase,
    seconds_left,
)
from actors.orchestrator.schedule import Failure, Role, Schedule, State, Unit, units_of
from actors.orders import BlockOrder, ChartOrder, DocumentOrder, PassOrder, Phase
from actors.ownership import check_owner
from actors.quantization.actor import QuantizationWorker
from actors.store import RunDirectory, read_jsonl
from actors.visualization.actor import VisualizationWorker
from conf.schema import PipelineConfig

POLL_S = 0.5
REPORT_EVERY_S = 0.5
_OUT_OF_MEMORY = (
    ". Groups that are done stay: the same command goes on with the others. --max-workers 1 needs the least memory, a "
    "smaller --dataset-size fewer groups"
)


@dataclass
class Worker:
    """A live worker actor and what it is doing."""

    role: Role
    handle: Any
    loaded_arm: str | None = None
    units: tuple[Unit, ...] = ()
    """What it is at work on: one unit, or those of a pass."""
    ref: Any = None
    pid: int | None = None
    """None until it has started."""
    hired_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Job:
    """What the orchestrator is started with."""

    config: PipelineConfig
    plan: Plan
    run_root: str
    owner_token: str
    placement: Placement
    done: frozenset[str]
    description: Mapping[str, Any]
    """Settings, versions and the like, which go into the results as they are."""
    make_documents: bool
    start_within_s: float = START_WITHIN_S
    ends_without_room: bool = False
    """Whether the first KV cache that finds no memory ends all work, for the driver to plan smaller ones."""


@dataclass(frozen=True)
class View:
    """What the driver sees of the work; it adds CPU and memory and makes a `Snapshot` of it."""

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


@dataclass(frozen=True)
class Outcome:
    """How the pipeline ended."""

    failures: tuple[Failure, ...]
    notices: tuple[str, ...]
    files: tuple[str, ...] = field(default=())
    spared: tuple[str, ...] = ()
    """Blocks that nobody needed, for their benchmark had ended early."""
    without_room: bool = False
    """True where a KV cache found no memory, and that has ended the work: nothing is computed of what is there."""


class Orchestrator:
    """Runs one plan to its end. `run` blocks; `view` and `report` are answered meanwhile from other threads."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._run_dir = RunDirectory(job.run_root)
        self._early = EarlyStop(job.plan, job.config)
        units = units_of(job.plan, self._early.turns)
        self._schedule = Schedule(units, job.done, job.config.execution.attempts)
        self._blocks = {block.unit: block for block in job.plan.blocks}
        for name in job.done:
            self._learn_records(name)
        self._schedule.spare(self._early.unneeded())
        self._performances = {one.unit: one.order for one in job.plan.performances}
        self._checks = {check.unit: check.order for check in job.plan.checks}
        self._groups = {
            name: (one.order, number) for one in job.plan.imatrices for number, name in enumerate(one.group_units)
        }
        self._workers: list[Worker] = []
        self._lock = threading.Lock()
        self._rate = TokenRate()
        self._reported: Counter[str] = Counter()
        self._started_s = time.monotonic()
        self._late_phase: Phase | None = None
        self._late_failures: list[Failure] = []
        self._notices: list[str] = list(job.plan.notices)
        self._self_handle: Any = None
        self._places: int | None = None
        """Workers that Ray had room for, once it turned out to have less than was thought."""
        self._without_room = False

    # --- what others call while `run` works -------------------------------------------------------

    def report(self, unit: str, tokens: int) -> None:
        """A worker has done so many more tokens of a unit."""
        with self._lock:
            # What a unit had not said yet was counted when it ended.
            if self._schedule.state(unit) is State.RUNNING:
                self._rate.add(time.monotonic(), tokens)
                self._reported[unit] += tokens

    def view(self) -> View:
        """The state of the work, for the driver."""
        with self._lock:
            now = time.monotonic()
            schedule = self._schedule
            elapsed = now - self._started_s
            done_cost, left_cost = cost_shares(schedule, self._job.done, self._reported)
            terminal = [*schedule.in_state(State.DONE), *schedule.in_state(State.FAILED)]
            return View(
                phase=self._late_phase or current_phase(schedule),
                done=len(terminal),
                total=len(schedule.units),
                cells_done=cells_done(self._job.plan.cells, schedule),
                cells_total=len(self._job.plan.cells),
                tokens_per_second=self._rate.per_second(now),
                elapsed_s=elapsed,
                seconds_left=seconds_left(elapsed, done_cost, left_cost),
                pids=(os.getpid(), *(worker.pid for worker in self._workers if worker.pid is not None)),
                workers=len(self._workers),
                failures=(*schedule.failures, *self._late_failures),
                notices=tuple(self._notices),
            )

    # --- the loop ---------------------------------------------------------------------------------

    def run(self, self_handle: Any) -> Outcome:
        """Make, evaluate, judge, draw and write. `self_handle` is this actor's own handle, for the workers' reports."""
        self._self_handle = self_handle
        while not self._schedule.finished and not self._without_room:
            self._do_without_late_workers()
            self._release_idle()
            self._hand_out()
            self._take_back()
        for worker in list(self._workers):
            self._dismiss(worker)
        if self._without_room:
            return Outcome((), tuple(self._notices), without_room=True)
        files = self._write_findings()
        files += self._draw_and_document()
        failures = (*self._schedule.failures, *self._late_failures)
        spared = tuple(sorted(self._schedule.forgotten & self._blocks.keys()))
        return Outcome(failures, tuple(self._notices), tuple(files), spared)

    def _hand_out(self) -> None:
        """Give every idle worker a unit, and start workers while there is room and work for them."""
        roles: tuple[Role, ...] = ("quantization", "evaluation")
        for role in roles:
            for worker in [one for one in self._workers if one.role == role and not one.units]:
                self._assign(worker)
            while self._has_room(role) and self._schedule.ready(role):
                worker = self._hire(role)
                if not self._assign(worker):
                    self._dismiss(worker)
                    break

    def _has_room(self, role: Role) -> bool:
        roles = [worker.role for worker in self._workers]
        return (self._places is None or len(roles) < self._places) and self._job.placement.has_room(roles, role)

    def _do_without_late_workers(self) -> None:
        """Raise `NoPlaceError` where Ray starts none of our workers; else let those that live do the work."""
        now = time.monotonic()
        started = [worker.pid is not None for worker in self._workers]
        waiting = find_late_workers(
            started, [now - worker.hired_s for worker in self._workers], self._job.start_within_s
        )
        for worker in [self._workers[index] for index in waiting.dismiss]:
            with self._lock:
                for unit in worker.units:
                    self._schedule.put_back(unit.id)
            self._dismiss(worker)
        if waiting.give_up:
            nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
            raise no_place(self._job.placement, nodes, self._job.start_within_s)
        if waiting.dismiss:
            self._places = len(self._workers)

    def _release_idle(self) -> None:
        """A worker with nothing to start gives its place to the other role, if that has work."""
        to_make, to_evaluate = bool(self._schedule.ready("quantization")), bool(self._schedule.ready("evaluation"))
        if to_make == to_evaluate or (to_make and self._has_room("quantization")):
            return
        role: Role = "evaluation" if to_make else "quantization"
        for worker in [one for one in self._workers if one.role == role and not one.units]:
            self._dismiss(worker)

    def _hire(self, role: Role) -> Worker:
        placement = self._job.placement
        kind: Any = QuantizationWorker if role == "quantization" else EvaluationWorker
        handle = (
            ray.remote(kind)
            .options(num_cpus=placement.cpus_per_worker, num_gpus=placement.gpus_per_worker, max_restarts=0)
            .remote()
        )
        worker = Worker(role, handle)
        with self._lock:
            self._workers.append(worker)
        # Asked before the first unit is sent: an actor answers in order, and its memory counts while it works.
        asked = handle.pid.remote()
        threading.Thread(target=self._learn_pid, args=(worker, asked), daemon=True).start()
        return worker

    def _dismiss(self, worker: Worker) -> None:
        ray.kill(worker.handle)
        with self._lock:
            self._workers.remove(worker)

    def _assign(self, worker: Worker) -> bool:
        others = [one.loaded_arm for one in self._workers if one.role == worker.role and one is not worker]
        with self._lock:
            unit = self._schedule.next_unit(worker.role, worker.loaded_arm, others)
            if unit is None:
                return False
            units = self._schedule.units_of_pass(unit)
            for one in units:
                self._schedule.start(one.id)
                self._reported[one.id] = 0
        worker.units = units
        worker.loaded_arm = unit.arm
        worker.ref = self._submit(worker.handle, units)
        return True

    def _submit(self, handle: Any, units: tuple[Unit, ...]) -> Any:
        """Send the order of a unit, or of a pass, to a worker."""
        if units[0].shared_pass is not None:
            order = PassOrder(tuple(self._block_order(unit) for unit in units))
            return handle.evaluate_together.remote(order, [_Reporter(self._self_handle, unit.id) for unit in units])
        (unit,) = units
        report = _Reporter(self._self_handle, unit.id)
        if unit.phase == "imatrix":
            if unit.id in self._groups:
                return handle.collect_group.remote(*self._groups[unit.id], report)
            imatrix = next(one for one in self._job.plan.imatrices if one.unit == unit.id)
            return handle.merge.remote(imatrix.order, report)
        if unit.phase == "quantize":
            arm = next(one for one in self._job.plan.arms if one.unit == unit.id)
            return handle.make_arm.remote(arm.order)
        if unit.id in self._performances:
            return handle.measure_performance.remote(self._performances[unit.id], report)
        if unit.id in self._checks:
            return handle.check.remote(self._checks[unit.id], report)
        return handle.evaluate.remote(self._block_order(unit), report)

    def _learn_pid(self, worker: Worker, asked: Any) -> None:
        """Note a new worker's process id when it answers."""
        try:
            pid = cast(int, ray.get(asked))
        except RayError:
            return  # the worker died at once; its unit's failure tells
        with self._lock:
            worker.pid = pid

    def _block_order(self, unit: Unit) -> BlockOrder:
        block = self._blocks[unit.id]
        arm = self._job.plan.arm(block.arm)
        benchmark = self._job.plan.benchmark(block.model, block.benchmark)
        items = benchmark.items[block.first : block.first + block.n_items]
        return BlockOrder(
            arm=block.arm,
            gguf_path=arm.gguf_path,
            benchmark=block.benchmark,
            scorer=benchmark.spec.scorer,
            items=items,
            seeds=block.seeds,
            sampling=self._job.config.sampling,
            layout=block.layout,
            records_path=block.records_path,
            reference=block.reference,
            chat_template=self._job.plan.chat_templates.get(block.model),
            endpoint=arm.endpoint,
        )

    def _take_back(self) -> None:
        """Wait for the next results. A worker that died is replaced; its unit counts one attempt."""
        busy = {worker.ref: worker for worker in self._workers if worker.ref is not None}
        if not busy:
            return
        ready, _ = ray.wait(list(busy), num_returns=1, timeout=POLL_S)
        for ref in ready:
            worker = busy[ref]
            units = worker.units
            worker.units, worker.ref = (), None
            try:
                ray.get(ref)
            except RayError as error:
                self._failed(worker, units, error)
            else:
                for unit in units:
                    self._finished(unit)

    def _learn_records(self, unit: str) -> None:
        """What a block that is done says about whether its benchmark may end."""
        if self._early.follows(unit):
            self._early.add(unit, read_jsonl(self._blocks[unit].records_path))

    def _finished(self, unit: Unit) -> None:
        self._learn_records(unit.id)
        with self._lock:
            self._schedule.finish(unit.id)
            self._schedule.spare(self._early.unneeded())
            if unit.phase == "imatrix":
                # Its tokens are known to the last one, and a worker sends none of the last half second.
                self._rate.add(time.monotonic(), max(0, unit.tokens - self._reported[unit.id]))

    def _failed(self, worker: Worker, units: tuple[Unit, ...], error: RayError) -> None:
        cause = getattr(error, "cause", None)
        if cause is None:
            message = f"the worker died ({type(error).__name__}: out of memory, or a crash of native code)"
            message += _OUT_OF_MEMORY if units[0].phase == "imatrix" else ""
            self._dismiss(worker)
        else:
            message = f"{type(cause).__name__}: {cause}"
            # A pass holds several models: its blocks are tried one by one before anything is made smaller.
            if isinstance(cause, NoRoomError) and self._job.ends_without_room and len(units) == 1:
                self._without_room = True
        tail = cause.log_tail if isinstance(cause, FailedWithLog) else ()
        with self._lock:
            for unit in units:
                if self._schedule.fail(unit.id, message, tail):
                    self._notices.append(f"{unit.id} failed once and is tried again: {message}")
            for unit in self._schedule.in_state(State.FAILED):
                if self._early.follows(unit.id):
                    self._early.give_up(unit.id)
            self._schedule.spare(self._early.unneeded())

    # --- after the last block ---------------------------------------------------------------------

    def _enter(self, phase: Phase) -> None:
        check_owner(self._run_dir, self._job.owner_token)
        with self._lock:
            self._late_phase = phase

    def _write_findings(self) -> list[str]:
        self._enter("statistics")
        failures = tuple(self._schedule.failures)
        return results.write(
            self._job.plan, self._run_dir, self._job.config, self._job.description, failures, self._notices
        )

    def _draw_and_document(self) -> list[str]:
        """Charts, then documents; a failing one is recorded and the other still made."""
        if not self._job.make_documents:
            return []
        lang = self._job.config.lang
        results = str(self._run_dir.comparison)
        self._enter("charts")
        order = ChartOrder(results, str(self._run_dir.charts), lang)
        drawn = self._late(VisualizationWorker, "draw", order, "charts")
        self._enter("documents")
        written = self._late(
            DocumentationWorker, "write", DocumentOrder(results, self._job.run_root, lang), "documents"
        )
        return [*drawn, *written]

    def _late(self, kind: Any, method: str, order: Any, phase: str) -> list[str]:
        worker = ray.remote(kind).options(num_cpus=0, max_restarts=0).remote()
        try:
            result = ray.get(getattr(worker, method).remote(order))
        except RayError as error:
            message = str(getattr(error, "cause", None) or error)
            with self._lock:
                self._late_failures.append(Failure(phase, phase, None, None, 1, message, ()))
            return []
        finally:
            ray.kill(worker)
        with self._lock:
            self._notices.extend(notice for notice in result.notices if notice not in self._notices)
        return [str(path) for path in result.paths]


class _Reporter:
    """A worker's way to report tokens: collects them and sends them on now and then."""

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
