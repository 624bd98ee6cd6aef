"""Who gets the next unit, who is hired where, and who is dismissed to make room. Pure.

The rules, in this order, first for work on GPUs and then for all other work, because GPUs cost more than processors:

1. An idle worker takes a unit that asks for what the worker has asked Ray for; best one of the model that it holds.
2. Workers are hired where there is room. The arms that the fewest workers hold come first.
3. Idle workers that found nothing are dismissed if that makes room for a unit that waits.

A unit that needs many GPUs at once could wait for ever, because smaller work takes each card that gets free. So one
place is reserved for it: the workers that can be spared in one room get nothing new until it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from actors.orchestrator.placed import Placed
from actors.orchestrator.schedule import Schedule, State, preferred_unit
from actors.orchestrator.staff import Opening, Staff
from actors.orchestrator.units import PLACED, Role, Unit
from actors.orchestrator.worker import Worker

T = TypeVar("T")


@dataclass
class Changes:
    """What a round has decided. The staff and the schedule know it already."""

    dismissed: list[Worker] = field(default_factory=list)
    assigned: list[Worker] = field(default_factory=list)


class Offer(NamedTuple):
    """A unit that could start, and the place that it takes."""

    unit: Unit
    placed: Placed


@dataclass(frozen=True)
class Alike:
    """Ready units that differ in nothing that decides: the first of them is offered, and stands for all."""

    placed: Placed
    units: dict[str, Unit] = field(default_factory=dict)

    @property
    def offer(self) -> Offer:
        return Offer(next(iter(self.units.values())), self.placed)

    @property
    def work(self) -> float:
        return sum(unit.cost for unit in self.units.values())


@dataclass(frozen=True)
class Reservation:
    """A room in which work is waited out."""

    placed: Placed
    """What is waited for. Nothing else on GPUs may use what gets free there."""
    node_id: str | None
    workers: tuple[Worker, ...]
    """They get no new units."""


def hand_out(schedule: Schedule, staff: Staff, now: float) -> Changes:
    """Give idle workers units, hire workers, and dismiss idle ones, until nothing more can be done now."""
    first = _Round(schedule, staff, now)
    changes = first.decide()
    if first.has_filled_reservation:
        # The room that was kept for it is open to all again.
        more = hand_out(schedule, staff, now)
        changes.dismissed += more.dismissed
        changes.assigned += more.assigned
    return changes


def ask_judges(schedule: Schedule, staff: Staff, now: float) -> Iterator[Worker]:
    """Give each judge behind an endpoint its next unit. One worker per judge is enough: it sends many requests."""
    asking = {worker.loaded_arm: worker for worker in staff.workers if worker.role == "asking"}
    for unit in schedule.ready("asking"):
        worker = asking.setdefault(unit.judge, Worker("asking", now))
        if worker.units:
            continue
        if worker not in staff.workers:
            staff.workers.append(worker)
        worker.units, worker.loaded_arm = (unit,), unit.judge
        schedule.start(unit.id)
        yield worker


class _Round:
    """One round of decisions."""

    def __init__(self, schedule: Schedule, staff: Staff, now: float) -> None:
        self._schedule = schedule
        self._staff = staff
        self._now = now
        self._changes = Changes()
        self._ready = {role: self._alike(_ready(schedule, role)) for role in PLACED}
        self._found: dict[tuple[str, int], Any] = {}
        """What the staff has answered about openings and leavers since it changed, by `id` of the place."""
        self._reserved = self._reserve()

    def decide(self) -> Changes:
        for on_devices in (True, False):
            for role in PLACED:
                turns = sorted({one.unit.turn for one in self._of(role, on_devices)})
                for turn in turns:
                    self._serve(role, on_devices, turn)
                    self._hire(role, on_devices, turn)
                    if turn != turns[-1]:
                        self._make_room(role, on_devices, turn)
            for role in PLACED:
                self._make_room(role, on_devices, None)
        return self._changes

    @property
    def has_filled_reservation(self) -> bool:
        """True if a worker was hired for the work that a place was reserved for."""
        wanted = self._reserved.placed.ask if self._reserved else None
        return any(worker.placed is not None and worker.placed.ask == wanted for worker in self._changes.assigned)

    def _alike(self, units: Iterable[Unit]) -> list[Alike]:
        """Return the units in groups, because a plan of thousands of units has few that differ."""
        groups: dict[tuple[int, int, str | None], Alike] = {}
        for unit in units:
            placed = self._staff.place_of(unit)
            key = id(placed), unit.turn, unit.loads
            if key not in groups:
                groups[key] = Alike(placed)
            groups[key].units[unit.id] = unit
        return list(groups.values())

    def _of(self, role: Role, on_devices: bool, turn: int | None = None) -> list[Offer]:
        """Return one offer for all ready units of a role that are alike, on GPUs or not, up to a turn."""
        offers = [one.offer for one in self._ready[role] if (one.placed.gpus > 0) == on_devices]
        in_time = [one for one in offers if turn is None or one.unit.turn <= turn]
        return sorted(in_time, key=lambda one: self._schedule.order[one.unit.id])

    # --- the three rules --------------------------------------------------------------------------

    def _serve(self, role: Role, on_devices: bool, turn: int) -> None:
        """Give idle workers of a role units that they can take."""
        for worker in [one for one in self._staff.idle if one.role == role and one.on_devices == on_devices]:
            if self._reserved and worker in self._reserved.workers:
                continue

            def takes(placed: Placed, worker: Worker = worker) -> bool:
                return self._staff.can_take(worker, placed)

            chosen = self._preferred(self._of(role, on_devices, turn), takes, worker)
            if chosen is not None:
                self._give(worker, chosen)

    def _hire(self, role: Role, on_devices: bool, turn: int | None) -> None:
        """Hire workers of a role while there is room and work."""
        while (chosen := self._preferred(self._of(role, on_devices, turn), self._opening)) is not None:
            self._employ(chosen)

    def _make_room(self, role: Role, on_devices: bool, turn: int | None) -> None:
        """Dismiss idle workers and hire others in their places, while that helps."""
        while (chosen := self._preferred(self._of(role, on_devices, turn), self._leavers)) is not None:
            leaving = self._leavers(chosen.placed) or []
            self._staff.leave(leaving)
            self._found.clear()
            self._changes.dismissed += leaving
            self._employ(chosen)
            self._hire(role, on_devices, turn)  # more may fit where a large one has left

    def _opening(self, placed: Placed) -> Opening | None:
        return self._once("opening", self._find_opening, placed)

    def _leavers(self, placed: Placed) -> list[Worker] | None:
        return self._once("leavers", self._find_leavers, placed)

    def _once(self, question: str, find: Callable[[Placed], T], placed: Placed) -> T:
        """Return the answer about a place. It holds until a worker comes, leaves, or gets something to do."""
        key = question, id(placed)
        if key not in self._found:
            self._found[key] = find(placed)
        answer: T = self._found[key]
        return answer

    def _find_opening(self, placed: Placed) -> Opening | None:
        return self._staff.opening(placed, closed=self._closed_to(placed))

    def _find_leavers(self, placed: Placed) -> list[Worker] | None:
        kept = self._reserved.workers if self._reserved and self._closed_to(placed) else ()
        candidates = [worker for worker in self._staff.idle if worker not in kept]
        return self._staff.leavers(placed, candidates, self._closed_to(placed))

    def _preferred(
        self, offers: list[Offer], test: Callable[[Placed], object], worker: Worker | None = None
    ) -> Offer | None:
        """Return the unit that should be next of those whose place passes a test; None if there is none.

        Args:
            offers: units of one role.
            test: returns something true for a place that can be had.
            worker: the idle worker that it is for. None: a new one.
        """
        passed = {id(placed): bool(test(placed)) for placed in _distinct(one.placed for one in offers)}
        fitting = [one.unit for one in offers if passed[id(one.placed)]]
        if not fitting:
            return None
        role = fitting[0].role
        works = {one.offer.unit.id: one for one in self._ready[role]}
        unit = preferred_unit(
            fitting,
            worker.loaded_arm if worker else None,
            self._held(role, besides=worker),
            lambda unit: works[unit.id].work,
        )
        return next((one for one in offers if one.unit is unit), None)

    def _held(self, role: Role, besides: Worker | None = None) -> list[str | None]:
        return [one.loaded_arm for one in self._staff.placed if one.role == role and one is not besides]

    def _employ(self, offer: Offer) -> None:
        """Hire a worker for a unit. There must be an opening."""
        opening = self._opening(offer.placed)
        assert opening is not None
        new = Worker(offer.unit.role, self._now, offer.placed, opening.spot)
        self._staff.workers.append(new)
        self._give(new, offer)

    def _give(self, worker: Worker, offer: Offer) -> None:
        role, units = offer.unit.role, self._schedule.units_of_pass(offer.unit)
        worker.placed, worker.units, worker.loaded_arm = offer.placed, units, offer.unit.loads
        for unit in units:
            self._schedule.start(unit.id)
        for one in self._ready[role]:
            for unit in units:
                one.units.pop(unit.id, None)
        self._ready[role] = [one for one in self._ready[role] if one.units]
        self._found.clear()
        self._changes.assigned.append(worker)

    # --- the reserved place -----------------------------------------------------------------------

    def _closed_to(self, placed: Placed) -> str | None:
        """Return the node of the reserved room, if it is reserved for something else."""
        reserved = self._reserved
        return reserved.node_id if reserved and placed.gpus and placed.ask != reserved.placed.ask else None

    def _reserve(self) -> Reservation | None:
        """Return a reservation for the first unit on GPUs that needs one; None if none does.

        It needs one if no worker asks for the same, it fits nowhere, and it would fit if workers that can be spared
        were idle. It may never take the last worker of other work that is ready.
        """
        held = {(worker.role, worker.placed.ask) for worker in self._staff.placed if worker.placed}
        waiting = {
            (role, placed.ask): placed
            for role in PLACED
            for placed in _distinct(one.placed for one in self._ready[role])
            if placed.gpus
            if (role, placed.ask) not in held
        }
        for placed in sorted(waiting.values(), key=lambda one: -one.gpus):
            if self._staff.opening(placed):
                continue
            needed = self._staff.leavers(placed, self._spare())
            if needed:
                spots = [worker.spot.node_id for worker in needed if worker.spot]
                return Reservation(placed, spots[0] if spots else None, tuple(needed))
        return None

    def _spare(self) -> list[Worker]:
        """Return the workers that can be spared: all but the first of each kind that has work."""
        with_work = {
            (role, placed.ask) for role in PLACED for placed in _distinct(one.placed for one in self._ready[role])
        }
        spared, seen = [], set()
        for worker in self._staff.placed:
            assert worker.placed is not None
            kind = worker.role, worker.placed.ask
            if kind in seen or kind not in with_work:
                spared.append(worker)
            seen.add(kind)
        return spared


def _distinct(places: Iterable[Placed]) -> Iterable[Placed]:
    """Return each place once. Equal ones are one object as a rule, and comparing objects is much faster."""
    return {id(one): one for one in places}.values()


def _ready(schedule: Schedule, role: Role) -> list[Unit]:
    """Return the units of a role that could start now. A judge's GGUF waits until nothing else needs memory."""
    ready = schedule.ready(role)
    if role == "judging" and ready and any(unit.role in PLACED[:2] for unit in schedule.in_state(State.WAITING)):
        return []
    return ready
