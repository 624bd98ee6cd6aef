"""What the loop does when a place is not what it was thought to be: too late, lost with its node, or too small."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from actors.orchestrator.early_stop import EarlyStop
from actors.orchestrator.loop import Loop, Step
from actors.orchestrator.placed import Placed
from actors.orchestrator.places import Places, kept_to
from actors.orchestrator.plan import Plan
from actors.orchestrator.rooms import Room
from actors.orchestrator.schedule import State
from actors.orchestrator.units import PLACED, units_of
from actors.orchestrator.worker import Worker, WorkError
from tests.orchestrator.device_player import place
from tests.orchestrator.small_plan import make_config, make_small_plan

ROOMS = (Room("a", 8, 2, math.inf), Room("b", 8, 1, math.inf))
NO_ROOM = WorkError("no_room", "NoRoomError: no memory for the KV cache")


def start(plan: Plan, asks: Mapping[str, Placed], rooms: tuple[Room, ...] = ROOMS, **settings: Any) -> Loop:
    """Return a loop in which only the blocks of these arms are left."""
    left = {block.unit: asks[block.arm] for block in plan.blocks if block.arm in asks}
    done = [unit.id for unit in units_of(plan) if unit.id not in left]
    config = make_config(execution={"attempts": 1})
    places = Places(dict.fromkeys(PLACED, place(0)), left)
    return Loop(plan, config, places, done, EarlyStop(plan, config), rooms=rooms, **settings)


def by_arm(loop: Loop) -> dict[str | None, Worker]:
    return {worker.loaded_arm: worker for worker in loop.workers}


def test_a_node_that_joins_later_gets_no_work(tmp_path: Path) -> None:
    plan, a, b = make_small_plan(tmp_path), *ROOMS
    places = Places({}, {"one": place(2), "two": place(0, nodes=frozenset({"b", "old"}))})
    kept = kept_to(frozenset({"a", "b"}), places)
    assert [kept.by_unit[unit].nodes for unit in ("one", "two")] == [{"a", "b"}, {"b"}]
    # The two cards of the first node hold one worker; another one would fit on the new node only.
    loop = start(plan, dict.fromkeys(("f16", "q8_0"), replace(place(2), nodes=frozenset({"a", "b"}))), (a, b))
    new = Room("new", 8, 8, math.inf)
    loop.see((a, b, new))
    assert [worker.spot and worker.spot.node_id for worker in loop.step(now=0.0).assigned] == ["a"]


def test_idle_workers_of_a_lost_node_are_dismissed_and_its_work_goes_on_elsewhere(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    loop = start(plan, {"f16": place(1, nodes=frozenset({"b", "c"})), "q8_0": place(2)})
    lost, other = loop.step(now=0.0).assigned
    assert lost.spot is not None and lost.spot.node_id == "b"
    (unit,) = lost.units
    assert loop.see(ROOMS[:1]) == Step(), "Ray tells what becomes of a busy worker"
    loop.fail(lost, WorkError("node_died", "node b of the cluster was lost"))
    assert loop.notices[-1] == "node b of the cluster was lost. Its work goes on elsewhere."
    assert loop.schedule.state(unit.id) is State.WAITING and lost not in loop.workers
    loop.see((ROOMS[0], Room("c", 8, 1, math.inf)))
    (new,) = loop.step(now=1.0).assigned
    assert new.spot is not None and (new.spot.node_id, new.units) == ("c", (unit,))
    loop.finish(other, {}, now=2.0)
    assert loop.see(()) == Step(dismissed=(other,))


def test_a_model_without_memory_beside_others_gets_a_card_of_its_own_and_the_others_stay(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    loop = start(plan, {"f16": place(0.5), "q8_0": place(0.5)}, (Room("a", 8, 2, math.inf),), asks_for_smaller=True)
    loop.step(now=0.0)
    before = loop.workers.copy()
    poor = next(worker for worker in before if worker.loaded_arm == "q8_0")
    loop.fail(poor, NO_ROOM)
    assert loop.shortage is None and not loop.schedule.failures
    assert "gets a GPU of its own" in loop.notices[-1]
    assert [worker for worker in before if not worker.units] == [poor], "the others work on"
    for worker in before:
        if worker is not poor:
            loop.finish(worker, {}, now=1.0)
    loop.step(now=1.0)
    (own,) = [one for one in loop.workers if one.loaded_arm == "q8_0" and one.placed and one.placed.gpus == 1]
    assert own.units and own.spot
    assert not [one for one in loop.workers if one is not own and one.spot and {*one.spot.cards} & {*own.spot.cards}]


def test_only_the_units_fail_that_found_no_place_if_others_had_one(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    loop = start(plan, {"f16": place(1, kind="H100"), "q8_0": place(1)}, start_within_s=10.0)
    loop.step(now=0.0)
    waiting = by_arm(loop)["f16"]
    assert waiting.spot is None
    for _ in range(100):
        busy = [worker for worker in loop.workers if worker.loaded_arm == "q8_0" and worker.units]
        for worker in busy:
            loop.note_start(worker, "a")
            loop.finish(worker, {}, now=1.0)
        if not busy:
            break
        loop.step(now=1.0)
    step = loop.step(now=11.0)
    assert waiting in step.dismissed and step.no_place is None
    assert {failure.arm for failure in loop.schedule.failures} == {"f16"}
    assert "asks for 1 CPU and 1 GPU (H100)" in loop.schedule.failures[0].error
    assert loop.finished


def test_a_room_where_a_worker_did_not_start_gets_no_other_until_nothing_works(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    loop = start(plan, {"f16": place(1)}, start_within_s=10.0)
    loop.step(now=0.0)
    on = {worker.spot.node_id: worker for worker in loop.workers if worker.spot}
    for worker in loop.workers:
        if worker is not on["b"]:
            loop.note_start(worker, "a")
    assert loop.step(now=11.0) == Step(dismissed=(on["b"],))
    assert {worker.spot.node_id for worker in loop.workers if worker.spot} == {"a"}
