"""The decisions of the orchestrator: which worker starts, what it works on, who is dismissed, and what is tried again.

No Ray, no threads, no clock and no file access. The caller passes in times and records, does what `Loop.step` returns,
and reports the results with `report`, `finish` and `fail`. All times are seconds on one clock that never goes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.orchestrator.early_stop import EarlyStop
from actors.orchestrator.hiring import hand_out
from actors.orchestrator.judging_limits import LIMIT_NOTICE, Judged, JudgingLimits, not_for_judging
from actors.orchestrator.late_workers import START_WITHIN_S, find_late_workers, no_place
from actors.orchestrator.places import Places
from actors.orchestrator.plan import Plan
from actors.orchestrator.progress import TokenRate
from actors.orchestrator.rooms import Room
from actors.orchestrator.schedule import Schedule, State
from actors.orchestrator.smaller import OUT_OF_MEMORY_ADVICE, ShortOf, can_be_smaller, with_same_weights
from actors.orchestrator.staff import Staff
from actors.orchestrator.units import Unit, units_of
from actors.orchestrator.worker import Worker, WorkError
from conf.schema.pipeline import PipelineConfig
from reporting.notices import Notice


@dataclass(frozen=True)
class Step:
    """What the caller has to do now: first dismiss, then assign."""

    dismissed: tuple[Worker, ...] = ()
    """Workers to end."""
    assigned: tuple[Worker, ...] = ()
    """Workers whose `units` have to be sent to them. A worker that the caller has not seen before is new."""
    no_place: str | None = None
    """Why the work cannot go on, if no worker has ever started; else None."""


class Loop:
    """The state of one run of a plan: its units, its workers, and the tokens reported so far."""

    def __init__(
        self,
        plan: Plan,
        config: PipelineConfig,
        places: Places,
        done: Iterable[str],
        early: EarlyStop,
        *,
        rooms: Sequence[Room] = (),
        start_within_s: float = START_WITHIN_S,
        ends_without_room: bool = False,
        only_judging: bool = False,
    ) -> None:
        """Take over a plan of which some units are done.

        Args:
            plan: the plan.
            config: the configuration that the plan was made from.
            places: what each worker takes.
            done: units that were done before.
            early: the early stop of the plan, which already knows the records of the done units.
            rooms: the nodes of the cluster.
            start_within_s: how long to wait for a worker to start.
            ends_without_room: whether missing memory ends the work, so that a smaller plan can be made.
            only_judging: whether nothing is made and evaluated, and only answers that exist are judged.
        """
        done = frozenset(done)
        self.early = early
        self.schedule = Schedule(units_of(plan, early.turns), done, config.execution.attempts)
        self.schedule.spare(early.unneeded())
        self.not_wanted = not_for_judging(plan, done) if only_judging else frozenset()
        """Units that are not done, and are left as they are."""
        self.schedule.spare(self.not_wanted)
        self.staff = Staff(places, rooms)
        self.notices: list[str] = list(plan.notices)
        self.rate = TokenRate()
        self.reported: Counter[str] = Counter()
        """Tokens that each unit has reported in its latest attempt."""
        self.short_of: ShortOf | None = None
        """Where memory was missing, if this has ended the work."""
        self._judging = JudgingLimits(config.judging.max_calls)
        self._records_paths = {block.unit: block.records_path for block in plan.blocks}
        self._start_within_s = start_within_s
        self._ends_without_room = ends_without_room
        self._some_started = False

    @property
    def without_room(self) -> bool:
        """True if memory was missing and this has ended the work: it can go on with a smaller plan."""
        return self.short_of is not None

    @property
    def workers(self) -> list[Worker]:
        """The workers that were hired and not dismissed."""
        return self.staff.workers

    @property
    def finished(self) -> bool:
        """True if there is nothing left to do, or nothing may be done any more. Work that runs is never cut off."""
        return self.schedule.finished or (self.without_room and not any(worker.units for worker in self.workers))

    @property
    def spared_blocks(self) -> tuple[str, ...]:
        """Blocks that were not run because an early stop made them unnecessary."""
        return tuple(sorted((self.schedule.skipped & self._records_paths.keys()) - self.not_wanted))

    @property
    def over_limit(self) -> frozenset[str]:
        """Units that could not be judged completely, because the limit of calls was reached."""
        return frozenset(self._judging.over_limit)

    def see(self, rooms: Sequence[Room]) -> Step:
        """Take over the nodes that the cluster has now. Idle workers of nodes that are gone are dismissed."""
        return Step(dismissed=tuple(self.staff.lost_rooms(rooms)))

    def step(self, now: float) -> Step:
        """Decide what to do next. The returned decisions are already part of the loop's state."""
        late, no_place = self._dismiss_late_workers(now)
        if no_place is not None or self.without_room:
            return Step(dismissed=tuple(late), no_place=no_place)
        if not any(worker.units for worker in self.staff.placed):
            self.staff.forget_limits()
        changes = hand_out(self.schedule, self.staff, now)
        assigned = (*changes.assigned, *self._ask_judges(now))
        for worker in assigned:
            self._begin(worker)
        return Step(dismissed=(*late, *changes.dismissed), assigned=assigned)

    def _dismiss_late_workers(self, now: float) -> tuple[list[Worker], str | None]:
        """Dismiss workers that have not started in time and put their units back.

        If nothing else is at work, nothing will ever be done about these units. Then they fail; but if no worker has
        ever started, the second value says why the work has to be given up.
        """
        placed = self.staff.placed
        started = [worker for worker in placed if worker.started]
        self._some_started = self._some_started or bool(started)
        waiting = [worker.placed for worker in placed if worker.placed and not worker.started]
        late = find_late_workers(
            [worker.started for worker in placed],
            [now - worker.hired_s for worker in placed],
            self._start_within_s,
            others_work=any(one.units or any(self.staff.can_take(one, place) for place in waiting) for one in started),
        )
        dismissed = [placed[index] for index in late.dismiss]
        for worker in dismissed:
            self._put_back(_take_units(worker))
        self.staff.leave(dismissed)
        self.staff.limit_rooms(dismissed)
        asks = list(dict.fromkeys(worker.placed.ask for worker in dismissed if worker.placed)) if late.give_up else []
        for ask in asks:
            reason = no_place(ask, self.staff.rooms, self._start_within_s)
            if not self._some_started:
                return dismissed, reason
            ready = (unit for unit in self.schedule.in_state(State.WAITING) if self.schedule.is_ready(unit))
            self.schedule.abandon([unit.id for unit in ready if self.staff.asks_for(unit) == ask], reason)
            self._follow_failures()
        return dismissed, None

    def _put_back(self, units: Iterable[Unit]) -> None:
        """Undo the start of units that never began, or that were not at fault. No attempt is counted."""
        for unit in units:
            self.schedule.put_back(unit.id)
            self._judging.budget.return_all(unit.id)

    def _ask_judges(self, now: float) -> Iterator[Worker]:
        """Give each judge behind an endpoint its next unit. One worker per judge is enough: it sends many requests."""
        asking = {worker.loaded_arm: worker for worker in self.workers if worker.role == "asking"}
        for unit in self.schedule.ready("asking"):
            worker = asking.setdefault(unit.judge, Worker("asking", now))
            if worker.units:
                continue
            if worker not in self.workers:
                self.workers.append(worker)
            worker.units, worker.loaded_arm = (unit,), unit.judge
            self.schedule.start(unit.id)
            yield worker

    def _begin(self, worker: Worker) -> None:
        """Note that a worker begins with its units."""
        unit = worker.units[0]
        if unit.judge is not None:
            worker.calls_left = self._judging.budget.grant(unit.id, unit.most_calls)
        for one in worker.units:
            self.reported[one.id] = 0

    def note_start(self, worker: Worker, node_id: str) -> None:
        """Note that a worker's process has answered, and where it is."""
        worker.started = True
        self.staff.place_at(worker, node_id)

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
        if error.kind in ("worker_died", "node_died"):
            self.staff.leave([worker])
        if error.kind == "node_died":
            self.notices.append(Notice("node_lost", error=message))
            self._put_back(units)
            return
        if error.kind == "no_room" and self._without_room(worker, units, error):
            self._put_back(units)
            return
        if error.kind == "worker_died" and units[0].phase == "imatrix":
            message += OUT_OF_MEMORY_ADVICE
        for unit in units:
            if self.schedule.fail(unit.id, message, error.log_tail, is_final=error.kind == "refused"):
                self.notices.append(Notice("failed_once", unit=unit.id, error=message))
            self._judging.budget.settle(unit.id, None)
            if unit.judge is not None and self.schedule.state(unit.id) is State.FAILED:
                waiting = self.schedule.in_state(State.WAITING)
                self.schedule.abandon(*self._judging.lose(unit, waiting, is_final=error.kind == "refused"))
        if error.wanted_for == "weights" and self.schedule.state(units[0].id) is State.FAILED:
            # The same weights would only be read in vain for every other unit.
            self.schedule.abandon(with_same_weights(units[0], self.schedule.in_state(State.WAITING)), message)
        self._follow_failures()

    def _without_room(self, worker: Worker, units: tuple[Unit, ...], error: WorkError) -> bool:
        """Decide what follows from a model that found no memory. Return True if its unit is just tried again.

        A model that shares a card gets one of its own. A pass holds several models: its blocks are tried one by one.
        If neither helps, a smaller plan has to be made, and nothing new begins.
        """
        shared = [self.staff.wants_whole_card(unit) for unit in units]
        if len(units) > 1:
            return False
        if any(shared):
            self.notices.append(Notice("gets_own_card", unit=units[0].id))
            return True
        if self._ends_without_room and self.short_of is None:
            self.short_of = can_be_smaller(worker, error.wanted_for)
        return False

    def _follow_failures(self) -> None:
        for unit in self.schedule.in_state(State.FAILED):
            if self.early.follows(unit.id):
                self.early.give_up(unit.id)
        self.schedule.spare(self.early.unneeded())


def _take_units(worker: Worker) -> tuple[Unit, ...]:
    """Return a worker's units and make the worker idle."""
    units, worker.units = worker.units, ()
    return units
