"""The decisions of the orchestrator: which worker starts, what it works on, who is dismissed, and what is tried again.

No Ray, no threads, no clock and no file access. The caller passes in times and records, does what `Loop.step` returns,
and reports the results with `report`, `finish` and `fail`. All times are seconds on one clock that never goes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.orchestrator.early_stop import EarlyStop
from actors.orchestrator.hiring import ask_judges, hand_out
from actors.orchestrator.judging_limits import LIMIT_NOTICE, Judged, JudgingLimits, not_for_judging
from actors.orchestrator.late_workers import START_WITHIN_S, no_place
from actors.orchestrator.memory_limits import Loaded, Shortage
from actors.orchestrator.places import Places
from actors.orchestrator.plan import Plan
from actors.orchestrator.progress import TokenRate
from actors.orchestrator.rooms import Room
from actors.orchestrator.schedule import Schedule, State
from actors.orchestrator.smaller import OUT_OF_MEMORY_ADVICE, Shortages, with_same_weights
from actors.orchestrator.staff import Staff
from actors.orchestrator.units import Unit, units_of
from actors.orchestrator.worker import Worker, WorkError, without_log
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
        asks_for_smaller: bool = False,
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
            asks_for_smaller: whether the caller makes a smaller plan when memory is missing.
            only_judging: whether nothing is made and evaluated, and only answers that exist are judged.
        """
        self._attempts, self._only_judging = config.execution.attempts, only_judging
        self._begin_plan(plan, frozenset(done), early)
        self.staff = Staff(places, rooms)
        self._of_plan = plan.notices
        self.notices: list[str] = list(plan.notices)
        self.rate = TokenRate()
        self.reported: Counter[str] = Counter()
        """Tokens that each unit has reported in its latest attempt."""
        self._shortages = Shortages(asks=asks_for_smaller)
        self._judging = JudgingLimits(config.judging.max_calls)
        self._start_within_s = start_within_s

    def _begin_plan(self, plan: Plan, done: frozenset[str], early: EarlyStop, before: Schedule | None = None) -> None:
        """Take over a plan. `before`: the schedule of a plan that this one replaces."""
        self.early = early
        self.schedule = Schedule(units_of(plan, early.turns), done, self._attempts)
        if before is not None:
            self.schedule.take_over(before)
        self.schedule.spare(early.unneeded())
        self.not_wanted = not_for_judging(plan, done) if self._only_judging else frozenset[str]()
        """Units that are not done, and are left as they are."""
        self.schedule.spare(self.not_wanted)
        self._records_paths = {block.unit: block.records_path for block in plan.blocks}

    @property
    def shortage(self) -> Shortage | None:
        """Something for which the caller should make a smaller plan now, or say that there is none; else None."""
        return self._shortages.next(unit for worker in self.workers for unit in worker.units)

    def go_on(self, plan: Plan, places: Places, done: Iterable[str], early: EarlyStop, smaller: Loaded) -> None:
        """Go on with a plan in which `smaller` takes less memory. All workers stay, and what they are working on.

        Args:
            plan: the plan. Work that it does not name any more ends, and counts for nothing.
            places: what each worker takes.
            done: the units whose files exist.
            early: the early stop of the plan, which knows the records of the units that are done here.
            smaller: what found no memory before.
        """
        self._begin_plan(plan, frozenset(done), early, self.schedule)
        self.staff.take_places(places)
        of_plans = {*self._of_plan, *plan.notices}
        self.notices = [*plan.notices, *(notice for notice in self.notices if notice not in of_plans)]
        self._of_plan = plan.notices
        self._end_shortage(smaller, is_smaller=True)

    def go_on_as_before(self, loaded: Loaded) -> None:
        """Go on without a smaller plan. Units that find no memory for this fail from now on."""
        self._end_shortage(loaded, is_smaller=False)

    def _end_shortage(self, loaded: Loaded, *, is_smaller: bool) -> None:
        self._shortages.end(loaded, self.schedule, is_smaller=is_smaller)

    @property
    def workers(self) -> list[Worker]:
        """The workers that were hired and not dismissed."""
        return self.staff.workers

    @property
    def finished(self) -> bool:
        """True if there is nothing left to do."""
        return self.schedule.finished

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
        if no_place is not None:
            return Step(dismissed=tuple(late), no_place=no_place)
        if not any(worker.units for worker in self.staff.placed):
            self.staff.forget_limits()
        changes = hand_out(self.schedule, self.staff, now)
        assigned = (*changes.assigned, *ask_judges(self.schedule, self.staff, now))
        for worker in assigned:
            self._begin(worker)
        return Step(dismissed=(*late, *changes.dismissed), assigned=assigned)

    def _dismiss_late_workers(self, now: float) -> tuple[list[Worker], str | None]:
        """Dismiss workers that have not started in time and put their units back.

        If nothing else is at work, nothing will ever be done about these units. Then they fail; but if no worker has
        ever started, the second value says why the work has to be given up.
        """
        late, asks = self.staff.dismiss_late(now, self._start_within_s)
        for worker in late:
            self._put_back(worker.take_units())
        for ask in asks:
            reason = no_place(ask, self.staff.rooms, self._start_within_s)
            if not self.staff.some_started:
                return late, reason
            ready = (unit for unit in self.schedule.in_state(State.WAITING) if self.schedule.is_ready(unit))
            self.schedule.abandon([unit.id for unit in ready if self.staff.asks_for(unit) == ask], reason)
            self._follow_failures()
        return late, None

    def _put_back(self, units: Iterable[Unit]) -> None:
        """Undo the start of units that never began, or that were not at fault. No attempt is counted."""
        for unit in units:
            self._judging.budget.return_all(unit.id)
            if unit.id in self.schedule.units:
                self.schedule.put_back(unit.id)

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
        # A unit of an earlier plan may not exist any more.
        if unit in self.schedule.units and self.schedule.state(unit) is State.RUNNING:
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
        units = worker.take_units()
        if judged is not None:
            self._finish_judging(units[0], judged)
            return
        for unit in self._known(units):
            if unit.id in records:
                self.early.add(unit.id, records[unit.id])
            self.schedule.finish(unit.id)
            self.schedule.spare(self.early.unneeded())
            if unit.phase == "imatrix":
                # The number of tokens is known exactly, and a worker does not send those of its last half second.
                self.rate.add(now, max(0, unit.tokens - self.reported[unit.id]))

    def _finish_judging(self, unit: Unit, judged: Judged) -> None:
        is_done = self._judging.finish(unit, judged)
        if not self._known([unit]):
            return
        if is_done:
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
        units, message = worker.take_units(), error.message
        if error.kind in ("worker_died", "node_died"):
            self.staff.leave([worker])
        if error.kind == "node_died":
            self.notices.append(Notice("node_lost", error=message))
            self._put_back(units)
            return
        if error.kind == "no_room" or error.wanted_for is not None:
            again = self._shortages.follow(worker, self._known(units), error, self.schedule, self.staff)
            if again is not None:
                self.notices += again
                self._put_back(units)
                return
        for unit in units:
            self._judging.budget.settle(unit.id, None)
        units = self._known(units)
        if not units:
            return
        if error.kind == "worker_died" and not error.log_tail and units[0].phase == "imatrix":
            # Nobody knows why, and most often the system has ended the worker because it took too much memory.
            message += OUT_OF_MEMORY_ADVICE
        for unit in units:
            if self.schedule.fail(unit.id, message, error.log_tail, is_final=error.kind == "refused"):
                self.notices.append(Notice("failed_once", unit=unit.id, error=without_log(message)))
            if unit.judge is not None and self.schedule.state(unit.id) is State.FAILED:
                waiting = self.schedule.in_state(State.WAITING)
                self.schedule.abandon(*self._judging.lose(unit, waiting, is_final=error.kind == "refused"))
        if error.wanted_for == "weights" and self.schedule.state(units[0].id) is State.FAILED:
            # The same weights would only be read in vain for every other unit.
            self.schedule.abandon(with_same_weights(units[0], self.schedule.in_state(State.WAITING)), message)
        self._follow_failures()

    def _known(self, units: Sequence[Unit]) -> tuple[Unit, ...]:
        """Return those of these units that the plan has. A unit of an earlier plan may have ended too late for it."""
        return tuple(unit for unit in units if unit.id in self.schedule.units)

    def _follow_failures(self) -> None:
        for unit in self.schedule.in_state(State.FAILED):
            if self.early.follows(unit.id):
                self.early.give_up(unit.id)
        self.schedule.spare(self.early.unneeded())
