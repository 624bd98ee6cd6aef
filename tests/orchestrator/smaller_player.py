"""Plays a run on cards that say more memory than they have: some of what is loaded finds none, and gets a smaller plan.

The player decides which worker ends next and how long a smaller plan takes to make. Whether something has room follows
from the share of a card that its plan may fill.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from actors.errors import RoomFor
from actors.nodes import NodeFacts
from actors.orchestrator.early_stop import EarlyStop
from actors.orchestrator.loop import Loop
from actors.orchestrator.memory_limits import NO_LIMITS, Loaded, MemoryLimits, Shortage
from actors.orchestrator.places import Places, equal_places
from actors.orchestrator.plan import Plan
from actors.orchestrator.rooms import Room
from actors.orchestrator.smaller import is_smaller, smaller_limits
from actors.orchestrator.units import Unit
from actors.orchestrator.worker import Worker, WorkError
from tests.orchestrator.device_nodes import device_plan, known_of
from tests.orchestrator.small_plan import make_config

KNOWN = known_of("8B")


def plan_of(root: Path, nodes: tuple[NodeFacts, ...], limits: MemoryLimits = NO_LIMITS) -> Plan:
    """Return the plan of three arms of an 8B model, with a matrix, checks, speeds, and a text in passes."""
    return replace(device_plan(root, nodes, KNOWN, limits=limits), pipeline_id="p")


def places_of(plan: Plan) -> Places:
    return equal_places(1.0, {}, plan.placed, None)


class SmallerPlayer:
    """A run. `kept` is what the run directory keeps."""

    def __init__(
        self,
        root: Path,
        nodes: tuple[NodeFacts, ...],
        has_room: Mapping[Loaded, float],
        *,
        seed: int = 0,
        answers: float = 0.3,
        kept: MemoryLimits = NO_LIMITS,
        done: frozenset[str] = frozenset(),
    ) -> None:
        """Begin a run.

        Args:
            root: folder of the run. Nothing is written.
            nodes: the machines.
            has_room: the largest share of a card at which something has room; what is missing always has.
            seed: of what is left to chance.
            answers: how probable it is that an answer is there before the next unit ends.
            kept: limits that an earlier start has kept.
            done: units that an earlier start has done.
        """
        self._root, self._nodes, self._has_room = root, nodes, has_room
        self._rng, self._answers = random.Random(seed), answers
        self.limits, self.plan = kept, plan_of(root, nodes, kept)
        rooms = tuple(Room(one.node_id, one.cpus, one.gpus, math.inf) for one in nodes)
        config = make_config(execution={"attempts": 1})
        self.loop = Loop(
            self.plan,
            config,
            places_of(self.plan),
            done,
            EarlyStop(self.plan, config),
            rooms=rooms,
            asks_for_smaller=True,
        )
        self.finished: Counter[str] = Counter(done)
        """How often each unit was done."""
        self.by_worker: dict[str, Worker] = {}
        self.smaller: list[Shortage] = []
        """What a smaller plan was asked for."""
        self.done_at_answers: list[set[str]] = []
        """What was done when each answer came."""

    def play(self, most_ends: int | None = None) -> SmallerPlayer:
        """Play to the end, or until so many units have ended."""
        asked: Shortage | None = None
        while not self.loop.finished or asked is not None:
            if most_ends is not None and sum(self.finished.values()) >= most_ends:
                break
            self.loop.step(now=0.0)
            asked = asked or self.loop.shortage
            busy = [worker for worker in self.loop.workers if worker.units]
            assert busy or asked, "nothing goes on, and nothing is asked"
            if asked is not None and (not busy or self._rng.random() < self._answers):
                self._answer(asked)
                asked = None
            else:
                self._end(self._rng.choice(busy))
        return self

    def _end(self, worker: Worker) -> None:
        worker.started = True
        if any(not self._fits(worker, unit) for unit in worker.units):
            wanted: RoomFor = self._rng.choice(["weights", "kv_cache", "compute"])
            self.loop.fail(worker, WorkError("no_room", "NoRoomError: no memory", (), wanted))
            return
        for unit in worker.units:
            self.finished[unit.id] += 1
            self.by_worker[unit.id] = worker
        self.loop.finish(worker, {}, now=0.0)

    def _fits(self, worker: Worker, unit: Unit) -> bool:
        if unit.loaded is None or not worker.on_devices:
            return True
        return self.limits.share_of(unit.loaded) <= self._has_room.get(unit.loaded, 1.0)

    def _answer(self, shortage: Shortage) -> None:
        """Do what the driver does."""
        self.smaller.append(shortage)
        self.done_at_answers.append(set(self.finished))
        before = [(worker, worker.units, worker.loaded_arm) for worker in self.loop.workers]
        self._go_on(shortage)
        assert [(worker, worker.units, worker.loaded_arm) for worker in self.loop.workers] == before

    def _go_on(self, shortage: Shortage) -> None:
        limits = self.limits
        while (smaller := smaller_limits(limits, self.plan, shortage)) is not None:
            limits = smaller
            plan = plan_of(self._root, self._nodes, limits)
            if is_smaller(plan, self.plan, shortage.loaded):
                self.limits, self.plan = limits, plan
                done = [name for name in self.finished if name in self.loop.schedule.units]
                early = EarlyStop(plan, make_config())
                self.loop.go_on(plan, places_of(plan), done, early, shortage.loaded)
                return
        self.loop.go_on_as_before(shortage.loaded)
