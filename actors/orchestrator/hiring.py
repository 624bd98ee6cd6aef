"""Who gets the next unit, who is hired where, and who is dismissed to make room. Pure.

The rules, in this order, first for work on GPUs and then for all other work, because GPUs cost more than processors:

1. An idle worker takes a unit that asks for what the worker has asked Ray for; best one of the model that it holds.
2. Workers are hired where there is room. The arms that the fewest workers hold come first.
3. Idle workers that found nothing are dismissed if that makes room for a unit that waits.

A unit that needs many GPUs at once could wait for ever, because smaller work takes each card that gets free. So one
place is reserved for it: the workers that can be spared in one room get nothing new until it fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from actors.orchestrator.placed import Placed
from actors.orchestrator.schedule import Schedule, State, preferred_unit
from actors.orchestrator.staff import Opening, Staff
from actors.orchestrator.units import PLACED, Role, Unit
from actors.orchestrator.worker import Worker


@dataclass
class Changes:
    """What a round has decided. The staff and the schedule know it already."""

    dismissed: list[Worker] = field(default_factory=list)
    assigned: list[Worker] = field(default_factory=list)


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
    return _Round(schedule, staff, now).decide()


class _Round:
    """One round of decisions."""

    def __init__(self, schedule: Schedule, staff: Staff, now: float) -> None:
        self._schedule = schedule
        self._staff = staff
        self._now = now
        self._changes = Changes()
        self._ready = {role: _ready(schedule, role) for role in PLACED}
        self._reserved = self._reserve()

    def decide(self) -> Changes:
        for on_devices in (True, False):
            for role in PLACED:
                turns = sorted({unit.turn for unit in self._of(role, on_devices)})
                for turn in turns:
                    self._serve(role, on_devices, turn)
                    self._hire(role, on_devices, turn)
                    if turn != turns[-1]:
                        self._make_room(role, on_devices, turn)
            for role in PLACED:
                self._make_room(role, on_devices, None)
        return self._changes

    def _of(self, role: Role, on_devices: bool, turn: int | None = None) -> list[Unit]:
        """Return the ready units of a role, on GPUs or not, up to a turn."""
        return [
            unit
            for unit in self._ready[role]
            if (self._staff.place_of(unit).gpus > 0) == on_devices and (turn is None or unit.turn <= turn)
        ]

    # --- the three rules --------------------------------------------------------------------------

    def _serve(self, role: Role, on_devices: bool, turn: int) -> None:
        """Give idle workers of a role units that they can take."""
        for worker in [one for one in self._staff.idle if one.role == role and one.on_devices == on_devices]:
            if self._reserved and worker in self._reserved.workers:
                continue
            ready = [unit for unit in self._of(role, on_devices, turn) if self._staff.can_take(worker, unit)]
            unit = preferred_unit(ready, worker.loaded_arm, self._held(role, besides=worker))
            if unit is not None:
                self._give(worker, unit)

    def _hire(self, role: Role, on_devices: bool, turn: int) -> None:
        """Hire workers of a role while there is room and work."""

        def opening(placed: Placed) -> Opening | None:
            return self._staff.opening(placed, closed=self._closed_to(placed))

        while (unit := self._first_that(self._of(role, on_devices, turn), opening)) is not None:
            placed = self._staff.place_of(unit)
            found = opening(placed)
            assert found is not None
            self._employ(unit, placed, found)

    def _make_room(self, role: Role, on_devices: bool, turn: int | None) -> None:
        """Dismiss idle workers and hire others in their places, while that helps."""
        while (unit := self._first_that(self._of(role, on_devices, turn), self._leavers)) is not None:
            placed = self._staff.place_of(unit)
            leaving = self._leavers(placed) or []
            self._staff.leave(leaving)
            self._changes.dismissed += leaving
            found = self._staff.opening(placed, closed=self._closed_to(placed))
            assert found is not None
            self._employ(unit, placed, found)

    def _leavers(self, placed: Placed) -> list[Worker] | None:
        kept = self._reserved.workers if self._reserved and self._closed_to(placed) else ()
        candidates = [worker for worker in self._staff.idle if worker not in kept]
        return self._staff.leavers(placed, candidates, self._closed_to(placed))

    def _first_that(self, ready: list[Unit], test: Callable[[Placed], object]) -> Unit | None:
        """Return the preferred one of the units whose place passes a test that returns something, or None."""
        known: dict[Placed, bool] = {}
        fitting = []
        for unit in ready:
            placed = self._staff.place_of(unit)
            if placed not in known:
                known[placed] = test(placed) is not None
            if known[placed]:
                fitting.append(unit)
        return preferred_unit(fitting, None, self._held(fitting[0].role)) if fitting else None

    def _held(self, role: Role, besides: Worker | None = None) -> list[str | None]:
        return [one.loaded_arm for one in self._staff.placed if one.role == role and one is not besides]

    def _employ(self, unit: Unit, placed: Placed, opening: Opening) -> None:
        new = Worker(unit.role, self._now, placed, opening.spot)
        self._staff.workers.append(new)
        self._give(new, unit)

    def _give(self, worker: Worker, unit: Unit) -> None:
        units = self._schedule.units_of_pass(unit)
        worker.placed, worker.units, worker.loaded_arm = self._staff.place_of(unit), units, unit.loads
        for one in units:
            self._schedule.start(one.id)
            self._ready[one.role].remove(one)
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
            for unit in self._of(role, on_devices=True)
            if (role, (placed := self._staff.place_of(unit)).ask) not in held
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
        with_work = {(role, self._staff.place_of(unit).ask) for role in PLACED for unit in self._ready[role]}
        spared, seen = [], set()
        for worker in self._staff.placed:
            assert worker.placed is not None
            kind = worker.role, worker.placed.ask
            if kind in seen or kind not in with_work:
                spared.append(worker)
            seen.add(kind)
        return spared


def _ready(schedule: Schedule, role: Role) -> list[Unit]:
    """Return the units of a role that could start now. A judge's GGUF waits until nothing else needs memory."""
    if role == "judging" and any(unit.role in PLACED[:2] for unit in schedule.in_state(State.WAITING)):
        return []
    return schedule.ready(role)
