"""The workers that take a place, and the rooms that they are in: who fits where, and who would have to leave. Pure.

`hiring` decides with it. All times are on the clock of `loop`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from actors.orchestrator.late_workers import find_late_workers
from actors.orchestrator.memory_limits import Loaded
from actors.orchestrator.placed import Ask, Placed
from actors.orchestrator.places import Places
from actors.orchestrator.rooms import Room, Spot, find_spot
from actors.orchestrator.units import Unit
from actors.orchestrator.worker import Worker


@dataclass(frozen=True)
class Opening:
    """A place for a new worker."""

    spot: Spot | None
    """None: Ray has to find a node, because no node that is known suits."""


class Staff:
    """All workers, those that ask an endpoint included."""

    def __init__(self, places: Places, rooms: Sequence[Room]) -> None:
        self.workers: list[Worker] = []
        self.rooms = tuple(rooms)
        self._places = places
        self.some_started = False
        """True once some worker has answered."""
        self._limits: dict[str, int] = {}
        """Most workers in a room, by node, where Ray could not start one more: something else is there."""
        self._whole_card: set[Loaded | None] = set()
        """What found no memory beside others on one card."""
        self._enlarged: dict[int, Placed] = {}
        """The places of these, by `id` of the place that was planned, so that equal places are one object."""

    @property
    def placed(self) -> list[Worker]:
        """The workers that take a place."""
        return [worker for worker in self.workers if worker.placed is not None]

    @property
    def idle(self) -> list[Worker]:
        """The workers that take a place and have nothing to do."""
        return [worker for worker in self.placed if not worker.units]

    def place_of(self, unit: Unit) -> Placed:
        """Return what a worker takes while it works on a unit."""
        placed = self._places.of(unit)
        if not 0 < placed.gpus < 1 or unit.loaded not in self._whole_card:
            return placed
        if id(placed) not in self._enlarged:
            self._enlarged[id(placed)] = replace(placed, gpus=1.0)
        return self._enlarged[id(placed)]

    def take_places(self, places: Places) -> None:
        """Go on with the places of another plan. Workers keep what they asked Ray for."""
        self._places = places
        self._enlarged.clear()

    def wants_whole_card(self, unit: Unit) -> bool:
        """Give what a unit loads a card of its own from now on. Return False if it does not share one."""
        shares = 0 < self.place_of(unit).gpus < 1
        if shares:
            self._whole_card.add(unit.loaded)
        return shares

    def asks_for(self, unit: Unit) -> Ask | None:
        """Return what the worker of a unit asks Ray for; None if it only asks an endpoint."""
        return None if unit.role == "asking" else self.place_of(unit).ask

    def dismiss_late(self, now: float, within_s: float) -> tuple[list[Worker], list[Ask]]:
        """Dismiss workers that have not started in time. Return them, and what will never get a place.

        The second list is empty unless nothing else is at work: what has no place now may get one later.
        """
        placed = self.placed
        started = [worker for worker in placed if worker.started]
        self.some_started = self.some_started or bool(started)
        waiting = [worker.placed for worker in placed if worker.placed and not worker.started]
        late = find_late_workers(
            [worker.started for worker in placed],
            [now - worker.hired_s for worker in placed],
            within_s,
            others_work=any(one.units or any(self.can_take(one, place) for place in waiting) for one in started),
        )
        dismissed = [placed[index] for index in late.dismiss]
        self.leave(dismissed)
        self._limit_rooms(dismissed)
        asks = dict.fromkeys(worker.placed.ask for worker in dismissed if worker.placed)
        return dismissed, list(asks) if late.give_up else []

    def _limit_rooms(self, late: Iterable[Worker]) -> None:
        """Note that Ray cannot start more workers than there are now in the rooms of workers that were late."""
        for worker in late:
            if worker.spot is not None:
                self._limits[worker.spot.node_id] = len(self._in_room(worker.spot.node_id, self.placed))

    def forget_limits(self) -> None:
        """Try again in all rooms."""
        self._limits.clear()

    def place_at(self, worker: Worker, node_id: str) -> None:
        """Note on which node Ray has started a worker, if Ray had to choose it."""
        if worker.placed is None or worker.spot is not None:
            return
        room = [one for one in self.rooms if one.node_id == node_id]
        found = find_spot(room, _tenants(self.placed, without=[worker]), worker.placed)
        # A node that is new to us has been started for this worker, so its first cards are used.
        worker.spot = found or Spot(node_id, tuple(range(math.ceil(worker.placed.gpus))))

    def lost_rooms(self, rooms: Sequence[Room]) -> list[Worker]:
        """Take over the rooms that there are now. Return the idle workers whose rooms are gone, which leave."""
        self.rooms = tuple(rooms)
        known = {room.node_id for room in rooms}
        lost = [worker for worker in self.idle if worker.spot and worker.spot.node_id not in known]
        self.leave(lost)
        return lost

    def leave(self, leaving: Iterable[Worker]) -> None:
        """Remove workers."""
        for worker in leaving:
            self.workers.remove(worker)

    def can_take(self, worker: Worker, placed: Placed) -> bool:
        """Return whether a worker can take a place: it has asked Ray for just that, and its room has the memory."""
        if worker.placed is None or worker.placed.ask != placed.ask:
            return False
        if worker.spot is None:
            return True
        room = [one for one in self.rooms if one.node_id == worker.spot.node_id]
        return find_spot(room, _tenants(self.placed, without=[worker]), placed) is not None

    def opening(self, placed: Placed, without: Collection[Worker] = (), closed: str | None = None) -> Opening | None:
        """Return a place for one more worker, or None if it has to wait.

        Args:
            placed: what it takes.
            without: workers that would leave.
            closed: the node of a room that it may not use.
        """
        staying = [worker for worker in self.placed if worker not in without]
        most = self._places.max_workers
        if most is not None and len(staying) >= most:
            return None
        if not any(room.suits(placed.ask) for room in self.rooms):
            # Ray may get a node for it, or never. One worker that waits is enough to find out.
            waits = any(worker.spot is None and not worker.started for worker in staying)
            return None if waits else Opening(None)
        open_rooms = [room for room in self.rooms if room.node_id != closed and self._below_limit(room, staying)]
        spot = find_spot(open_rooms, _tenants(staying), placed)
        return Opening(spot) if spot else None

    def leavers(self, placed: Placed, candidates: Sequence[Worker], closed: str | None = None) -> list[Worker] | None:
        """Return the fewest of the candidates that would have to leave to make a place; None if that does not help."""
        if not candidates or not self.opening(placed, candidates, closed):
            return None
        suitable = [room.node_id for room in self.rooms if room.suits(placed.ask)]
        found = []
        for node_id in suitable or [""]:
            here = self._in_room(node_id, candidates)
            # Workers elsewhere only count for the most workers at the same time.
            order = [*here, *(worker for worker in candidates if worker not in here)]
            needed = None if node_id == closed else self._first_that_help(placed, order, closed)
            if needed is not None:
                found.append(needed)
        return min(found, key=len, default=None)

    def _first_that_help(self, placed: Placed, order: Sequence[Worker], closed: str | None) -> list[Worker] | None:
        leaving: list[Worker] = []
        for worker in order:
            leaving.append(worker)
            if self.opening(placed, leaving, closed):
                break
        else:
            return None
        for worker in list(leaving):
            fewer = [one for one in leaving if one is not worker]
            if self.opening(placed, fewer, closed):
                leaving = fewer
        return leaving

    def _below_limit(self, room: Room, staying: Sequence[Worker]) -> bool:
        limit = self._limits.get(room.node_id)
        return limit is None or len(self._in_room(room.node_id, staying)) < limit

    @staticmethod
    def _in_room(node_id: str, workers: Iterable[Worker]) -> list[Worker]:
        return [worker for worker in workers if worker.spot is not None and worker.spot.node_id == node_id]


def _tenants(workers: Iterable[Worker], without: Collection[Worker] = ()) -> list[tuple[Placed, Spot]]:
    return [
        (worker.placed, worker.spot)
        for worker in workers
        if worker.placed is not None and worker.spot is not None and worker not in without
    ]
