"""The decisions of the orchestrator: which worker starts, what it works on, who is dismissed, and what is tried again.

No Ray, no threads, no clock and no file access. The caller passes in times and records, does what `Loop.step` returns,
and reports the results with `report`, `finish` and `fail`. All times are seconds on one clock that never goes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from actors.orchestrator.early_stop import EarlyStop
from actors.orchestrator.judging_limits import LIMIT_NOTICE, Judged, JudgingLimits, not_for_judging
from actors.orchestrator.late_workers import START_WITHIN_S, find_late_workers
from actors.orchestrator.placement import Placement
from actors.orchestrator.plan import Plan
from actors.orchestrator.progress import TokenRate
from actors.orchestrator.schedule import Schedule, State
from actors.orchestrator.units import Role, Unit, units_of
from conf.schema import PipelineConfig
from reporting.notices import Notice

PLACED: tuple[Role, ...] = ("quantization", "evaluation", "judging")
"""The roles whose workers take a place on the cluster."""
OUT_OF_MEMORY_ADVICE = (
    ". Finished groups are kept: run the same command again to continue with the others. --max-workers 1 needs the "
    "least memory, and a smaller --dataset-size has fewer groups"
)


@dataclass(eq=False)
class Worker:
    """A worker that was hired and not dismissed, as far as decisions need to know it."""

    role: Role
    hired_s: float
    """The time at which it was hired."""
    started: bool = False
    """True once its process has answered."""
    loaded_arm: str | None = None
    """The arm of its latest unit, whose GGUF it still holds; or the judge."""
    units: tuple[Unit, ...] = ()
    """What it is working on: one unit, or the units of a pass. Empty if it is idle."""
    calls_left: int | None = None
    """How many calls of a judge its unit may make. None: no limit."""


@dataclass(frozen=True)
class Step:
    """What the caller has to do now: first dismiss, then assign."""

    dismissed: tuple[Worker, ...] = ()
    """Workers to end."""
    assigned: tuple[Worker, ...] = ()
    """Workers whose `units` have to be sent to them. A worker that the caller has not seen before is new."""
    no_worker_starts: bool = False
    """True if none of our workers has started in time. The work cannot go on."""


@dataclass(frozen=True)
class WorkError:
    """Why a worker returned no result."""

    kind: Literal["worker_died", "no_room", "refused", "other"]
    """`no_room`: there was no memory for a KV cache. `refused`: by an endpoint, and another try changes nothing."""
    message: str
    log_tail: tuple[str, ...] = ()


class Loop:
    """The state of one run of a plan: its units, its workers, and the tokens reported so far."""

    def __init__(
        self,
        plan: Plan,
        config: PipelineConfig,
        placement: Placement,
        done: Iterable[str],
        early: EarlyStop,
        *,
        start_within_s: float = START_WITHIN_S,
        ends_without_room: bool = False,
        only_judging: bool = False,
    ) -> None:
        """Take over a plan of which some units are done.

        Args:
            plan: the plan.
            config: the configuration that the plan was made from.
            placement: how many workers there is room for.
            done: units that were done before.
            early: the early stop of the plan, which already knows the records of the done units.
            start_within_s: how long to wait for a worker to start.
            ends_without_room: whether the first KV cache without memory ends the work.
            only_judging: whether nothing is made and evaluated, and only answers that exist are judged.
        """
        done = frozenset(done)
        self.early = early
        self.schedule = Schedule(units_of(plan, early.turns), done, config.execution.attempts)
        self.schedule.spare(early.unneeded())
        self.not_wanted = not_for_judging(plan, done) if only_judging else frozenset()
        """Units that are not done, and are left as they are."""
        self.schedule.spare(self.not_wanted)
        self.workers: list[Worker] = []
        self.notices: list[str] = list(plan.notices)
        self.rate = TokenRate()
        self.reported: Counter[str] = Counter()
        """Tokens that each unit has reported in its latest attempt."""
        self.without_room = False
        """True if a KV cache found no memory and this has ended the work."""
        self._judging = JudgingLimits(config.judging.max_calls)
        self._records_paths = {block.unit: block.records_path for block in plan.blocks}
        self._placement = placement
        self._start_within_s = start_within_s
        self._ends_without_room = ends_without_room
        self._max_workers: int | None = None
        """Number of workers that Ray could start, once it turned out to be smaller than planned."""

    @property
    def finished(self) -> bool:
        """True if there is nothing left to do, or nothing may be done any more."""
        return self.without_room or self.schedule.finished

    @property
    def spared_blocks(self) -> tuple[str, ...]:
        """Blocks that were not run because an early stop made them unnecessary."""
        return tuple(sorted((self.schedule.skipped & self._records_paths.keys()) - self.not_wanted))

    @property
    def over_limit(self) -> frozenset[str]:
        """Units that could not be judged completely, because the limit of calls was reached."""
        return frozenset(self._judging.over_limit)

    def step(self, now: float) -> Step:
        """Decide what to do next. The returned decisions are already part of the loop's state."""
        late, no_worker_starts = self._dismiss_late_workers(now)
        if no_worker_starts:
            return Step(dismissed=tuple(late), no_worker_starts=True)
        idle = self._dismiss_idle_workers()
        return Step(dismissed=(*late, *idle), assigned=tuple(self._hand_out(now)))

    def _dismiss_late_workers(self, now: float) -> tuple[list[Worker], bool]:
        """Dismiss workers that have not started in time and put their units back.

        Returns the dismissed workers, and whether the work has to be given up because no worker has started.
        """
        placed = self._placed()
        waited = [now - worker.hired_s for worker in placed]
        late = find_late_workers([worker.started for worker in placed], waited, self._start_within_s)
        dismissed = [placed[index] for index in late.dismiss]
        for worker in dismissed:
            for unit in worker.units:
                self.schedule.put_back(unit.id)
                self._judging.budget.return_all(unit.id)
            self.workers.remove(worker)
        if dismissed and not late.give_up:
            self._max_workers = len(self._placed())
        return dismissed, late.give_up

    def _placed(self) -> list[Worker]:
        """Return the workers that take a place. Those that ask an endpoint can always start."""
        return [worker for worker in self.workers if worker.role in PLACED]

    def _dismiss_idle_workers(self) -> list[Worker]:
        """Dismiss the idle workers of roles without work if the only role with work needs their places."""
        with_work = [role for role in PLACED if self._ready(role)]
        if len(with_work) != 1 or (with_work == ["quantization"] and self._has_room("quantization")):
            return []
        dismissed = [idle for role in PLACED if role not in with_work for idle in self._idle(role)]
        for worker in dismissed:
            self.workers.remove(worker)
        return dismissed

    def _hand_out(self, now: float) -> Iterator[Worker]:
        """Assign units to idle workers, then hire workers while there is room and work. Yield each assigned worker."""
        for role in PLACED:
            for idle in self._idle(role):
                if self._assign(idle):
                    yield idle
            while self._has_room(role) and self._assign(new := Worker(role, now)):
                self.workers.append(new)
                yield new
        yield from self._ask_judges(now)

    def _ask_judges(self, now: float) -> Iterator[Worker]:
        """Give each judge behind an endpoint its next unit. One worker per judge is enough: it sends many requests."""
        asking = {worker.loaded_arm: worker for worker in self.workers if worker.role == "asking"}
        for unit in self.schedule.ready("asking"):
            worker = asking.setdefault(unit.judge, Worker("asking", now))
            if worker.units:
                continue
            if worker not in self.workers:
                self.workers.append(worker)
            self._give(worker, (unit,))
            yield worker

    def _ready(self, role: Role) -> list[Unit]:
        """Return the units of a role that could start now. A judge's GGUF waits until nothing else needs memory."""
        if role == "judging" and any(unit.role in PLACED[:2] for unit in self.schedule.in_state(State.WAITING)):
            return []
        return self.schedule.ready(role)

    def _idle(self, role: Role) -> list[Worker]:
        return [worker for worker in self.workers if worker.role == role and not worker.units]

    def _has_room(self, role: Role) -> bool:
        roles = [worker.role for worker in self._placed()]
        return (self._max_workers is None or len(roles) < self._max_workers) and self._placement.has_room(roles, role)

    def _assign(self, worker: Worker) -> bool:
        """Give a worker its next unit, or all units of the next pass. Return False if none is ready."""
        others = [one.loaded_arm for one in self.workers if one.role == worker.role and one is not worker]
        if worker.role == "judging" and not self._ready("judging"):
            return False
        unit = self.schedule.next_unit(worker.role, worker.loaded_arm, others)
        if unit is None:
            return False
        self._give(worker, self.schedule.units_of_pass(unit))
        return True

    def _give(self, worker: Worker, units: tuple[Unit, ...]) -> None:
        worker.units, worker.loaded_arm = units, units[0].loads
        if units[0].judge is not None:
            worker.calls_left = self._judging.budget.grant(units[0].id, units[0].most_calls)
        for one in units:
            self.schedule.start(one.id)
            self.reported[one.id] = 0

    def report(self, unit: str, tokens: int, now: float) -> None:
        """Count tokens that a worker has processed since its last report on a unit."""
        # `finish` has counted the rest of a finished unit, so a report that comes after it must not count.
        if self.schedule.state(unit) is State.RUNNING:
            self.rate.add(now, tokens)
            self.reported[unit] += tokens

    def records_to_read(self, worker: Worker) -> dict[str, str]:
        """Return the records files that `finish` needs for a worker's units, by unit."""
        return {unit.id: self._records_paths[unit.id] for unit in worker.units if self.early.follows(unit.id)}

    def finish(
        self,
        worker: Worker,
        records: Mapping[str, Iterable[Mapping[str, Any]]],
        now: float,
        judged: Judged | None = None,
    ) -> None:
        """Record that a worker has finished its units.

        Args:
            worker: the worker, which is idle afterwards.
            records: by unit, the content of `records_to_read`.
            now: the time.
            judged: how judging ended, if answers were judged.
        """
        units = _take_units(worker)
        if judged is not None:
            self._finish_judging(units[0], judged)
            return
        for unit in units:
            if unit.id in records:
                self.early.add(unit.id, records[unit.id])
            self.schedule.finish(unit.id)
            self.schedule.spare(self.early.unneeded())
            if unit.phase == "imatrix":
                # The number of tokens is known exactly, and a worker does not send those of its last half second.
                self.rate.add(now, max(0, unit.tokens - self.reported[unit.id]))

    def _finish_judging(self, unit: Unit, judged: Judged) -> None:
        if self._judging.finish(unit, judged):
            self.schedule.finish(unit.id)
            self.schedule.abandon(*self._judging.unread(unit, self.schedule.in_state(State.WAITING)))
            return
        self.schedule.leave(unit.id)
        if LIMIT_NOTICE not in self.notices:
            self.notices.append(LIMIT_NOTICE)

    def fail(self, worker: Worker, error: WorkError) -> None:
        """Record that a worker has failed at its units. They are tried again, or given up after their last attempt.

        A worker that died is dismissed. Any other worker is idle afterwards.
        """
        units, message = _take_units(worker), error.message
        if error.kind == "worker_died":
            self.workers.remove(worker)
            message += OUT_OF_MEMORY_ADVICE if units[0].phase == "imatrix" else ""
        # A pass holds several models. Its blocks are tried one by one before any KV cache is made smaller.
        if error.kind == "no_room" and self._ends_without_room and len(units) == 1:
            self.without_room = True
        for unit in units:
            if self.schedule.fail(unit.id, message, error.log_tail, is_final=error.kind == "refused"):
                self.notices.append(Notice("failed_once", unit=unit.id, error=message))
            self._judging.budget.settle(unit.id, None)
            if unit.judge is not None and self.schedule.state(unit.id) is State.FAILED:
                waiting = self.schedule.in_state(State.WAITING)
                self.schedule.abandon(*self._judging.lose(unit, waiting, is_final=error.kind == "refused"))
        for unit in self.schedule.in_state(State.FAILED):
            if self.early.follows(unit.id):
                self.early.give_up(unit.id)
        self.schedule.spare(self.early.unneeded())


def _take_units(worker: Worker) -> tuple[Unit, ...]:
    """Return a worker's units and make the worker idle."""
    units, worker.units = worker.units, ()
    return units
