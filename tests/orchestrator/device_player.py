"""Plays the hiring of workers on nodes with GPUs on a clock of its own, and counts the time that GPUs work and wait."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from actors.orchestrator.hiring import hand_out
from actors.orchestrator.placed import Memory, Placed
from actors.orchestrator.places import Places
from actors.orchestrator.rooms import Room
from actors.orchestrator.schedule import Schedule
from actors.orchestrator.staff import Staff
from actors.orchestrator.units import PLACED, Unit
from actors.orchestrator.worker import Worker

GIB = 2**30
NOTHING = Memory(0, 0, 0)


def room(name: str, gpus: float, cpus: float = 64, gib: float = 512, kind: str | None = None) -> Room:
    return Room(name, cpus, gpus, gib * GIB, kind)


def place(
    gpus: float, cpus: float = 1, gib: float = 1, kind: str | None = None, nodes: frozenset[str] | None = None
) -> Placed:
    return Placed(cpus, gpus, None, -1 if gpus else 0, Memory(int(gib * GIB), 0, 0), NOTHING, kind, nodes)


def unit(name: str, arm: str, needs: tuple[str, ...] = (), turn: int = 1, cost: float = 1.0) -> Unit:
    """Return a block of an arm, or what makes it."""
    if name.startswith("make"):
        return Unit(name, "quantization", "quantize", needs, arm, None, cost)
    return Unit(name, "evaluation", "evaluate", needs, arm, "b", cost, turn=turn)


def arm_units(arm: str, blocks: int, needs: tuple[str, ...] = (), seconds: float = 1.0) -> list[Unit]:
    """Return the unit that makes an arm, and its blocks."""
    made = unit(f"make/{arm}", arm, needs)
    return [made, *(unit(f"{arm}/{n}", arm, (made.id,), cost=seconds) for n in range(blocks))]


def places(asks: Mapping[str, Placed], units: Sequence[Unit], max_workers: int | None = None) -> Places:
    """Return places by arm; whatever makes an arm takes one CPU."""
    by_unit = {one.id: asks[str(one.arm)] for one in units if one.role == "evaluation"}
    return Places(dict.fromkeys(PLACED, place(0.0)), by_unit, max_workers)


@dataclass
class Played:
    """How a plan went."""

    seconds: float = 0.0
    busy: float = 0.0
    """GPU seconds in which a worker computed."""
    waited: float = 0.0
    """GPU seconds without work on nodes where some unit that could have started might have run."""
    loads: int = 0
    """How often a worker loaded a model."""
    order: tuple[str, ...] = ()
    """Units in the order in which they began."""

    @property
    def share(self) -> float:
        return self.busy / (self.busy + self.waited)


class DevicePlayer:
    """A cluster in which units take as many seconds as `seconds_of` says. It holds every decision to the rules."""

    def __init__(
        self,
        rooms: Sequence[Room],
        units: Sequence[Unit],
        given: Places,
        seconds_of: Callable[[Unit], float] = lambda one: one.cost,
        load_s: float = 0.0,
    ) -> None:
        self.schedule = Schedule(units, (), attempts=2)
        self.staff = Staff(given, rooms)
        self.played = Played()
        self.now = 0.0
        self._seconds_of = seconds_of
        self._load_s = load_s
        self._ends: list[tuple[float, int, Worker]] = []
        self._held: dict[Worker, str | None] = {}
        self._n = 0

    def play(self) -> Played:
        """Play to the end."""
        while not self.schedule.finished:
            self.hand_out()
            self.end_next()
        return self.played

    def hand_out(self) -> None:
        """Let the rules decide, and start what they say."""
        changes = hand_out(self.schedule, self.staff, self.now)
        for worker in changes.assigned:
            loads = self._held.get(worker) != worker.loaded_arm
            self._held[worker] = worker.loaded_arm
            self.played.loads += loads
            self.played.order += tuple(one.id for one in worker.units)
            self._n += 1
            takes = self._load_s * loads + sum(map(self._seconds_of, worker.units))
            heapq.heappush(self._ends, (self.now + takes, self._n, worker))
        self.check_rooms()

    def end_next(self) -> None:
        """Go on to the next end of a unit."""
        end, _, worker = heapq.heappop(self._ends)
        self._count(end - self.now)
        self.now = self.played.seconds = end
        for one in worker.units:
            self.schedule.finish(one.id)
        worker.units = ()

    def _count(self, seconds: float) -> None:
        wanted = [self.staff.place_of(one).ask for one in self.ready_on_devices()]
        for one in self.staff.rooms:
            here = [worker for worker in self.staff.placed if worker.spot and worker.spot.node_id == one.node_id]
            used = sum(worker.placed.gpus for worker in here if worker.units and worker.placed)
            self.played.busy += used * seconds
            if any(one.suits(ask) for ask in wanted):
                self.played.waited += (one.gpus - used) * seconds

    def ready_on_devices(self) -> list[Unit]:
        """Return the units on GPUs that could start."""
        return [one for one in self.schedule.ready("evaluation") if self.staff.place_of(one).gpus]

    def check_rooms(self) -> None:
        """Fail if a room is overfilled, or a worker is where it must not be."""
        for one in self.staff.rooms:
            here = [worker for worker in self.staff.placed if worker.spot and worker.spot.node_id == one.node_id]
            taken = [worker.placed for worker in here if worker.placed]
            assert all(one.suits(placed.ask) for placed in taken)
            assert sum(placed.cpus for placed in taken) <= one.cpus + 1e-6
            cards = [0.0] * int(one.gpus)
            for worker in here:
                assert worker.placed and worker.spot
                for number in worker.spot.cards:
                    cards[number] += min(worker.placed.gpus, 1.0)
            assert all(card <= 1 + 1e-6 for card in cards)
            assert len(here) <= 1 or sum(placed.host.total_bytes for placed in taken) <= one.memory_bytes

    def starved(self) -> list[Unit]:
        """Return the units that could start in a place where nothing is computed."""
        return [
            one
            for one in self.ready_on_devices()
            if self.staff.opening(self.staff.place_of(one), without=self.staff.idle)
        ]
