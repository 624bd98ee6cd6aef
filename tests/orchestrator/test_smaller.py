"""After missing memory: when a smaller plan is made, what a run keeps of it, and which units are not tried in vain."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.errors import RoomFor
from actors.llama.devices import Device, DeviceUse
from actors.nodes import NodeFacts
from actors.orchestrator.early_stop import EarlyStop
from actors.orchestrator.loop import Loop
from actors.orchestrator.placed import Placed
from actors.orchestrator.places import Places
from actors.orchestrator.plan import Plan
from actors.orchestrator.room import kept_device_share, smaller_share, with_device_share
from actors.orchestrator.rooms import Room
from actors.orchestrator.schedule import State
from actors.orchestrator.smaller import ShortOf
from actors.orchestrator.units import PLACED, units_of
from actors.orchestrator.worker import WorkError
from actors.store import RunDirectory
from conf.files import write_json
from tests.orchestrator.equal_workers import NOTHING
from tests.orchestrator.small_plan import make_config, make_small_plan


def start(plan: Plan, left: list[str], *, gpus: float, ends: bool = True) -> Loop:
    """Return a loop of one worker with so many GPUs, in which all units but `left` are done."""
    config = make_config(execution={"attempts": 1})
    use = DeviceUse("card", 1, "none") if gpus else None
    placed = Placed(1.0, gpus, use, -1 if gpus else 0, NOTHING, NOTHING)
    done = [unit.id for unit in units_of(plan) if unit.id not in left]
    places = Places(dict.fromkeys(PLACED, placed), max_workers=1)
    rooms = (Room("here", cpus=8, gpus=1, memory_bytes=2**40),)
    return Loop(plan, config, places, done, EarlyStop(plan, config), rooms=rooms, ends_without_room=ends)


def without(wanted_for: RoomFor) -> WorkError:
    return WorkError("no_room", "NoRoomError: no memory", (), wanted_for)


def blocks_of(plan: Plan, *arms: str) -> list[str]:
    return [block.unit for block in plan.blocks if block.arm in arms]


@pytest.mark.parametrize(
    ("gpus", "wanted_for", "short_of"),
    [
        (1.0, "weights", "devices"),
        (1.0, "kv_cache", "devices"),
        (1.0, "compute", "devices"),
        (0.0, "kv_cache", "host"),
        (0.0, "compute", "host"),
        (0.0, "weights", None),
    ],
)
def test_a_smaller_plan_is_made_where_one_helps(
    tmp_path: Path, gpus: float, wanted_for: RoomFor, short_of: ShortOf | None
) -> None:
    plan = make_small_plan(tmp_path)
    loop = start(plan, blocks_of(plan, "f16"), gpus=gpus)
    (worker,) = loop.step(now=0.0).assigned
    loop.fail(worker, without(wanted_for))
    assert loop.short_of == short_of


def test_a_model_that_shares_a_card_first_gets_one_of_its_own(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    loop = start(plan, blocks_of(plan, "f16")[:1], gpus=0.5)
    (worker,) = loop.step(now=0.0).assigned
    loop.fail(worker, without("weights"))
    assert loop.short_of is None and not loop.schedule.failures
    ((again,),) = [step.assigned for step in (loop.step(now=1.0),)]
    assert again.placed is not None and again.placed.gpus == 1.0
    loop.fail(again, without("weights"))
    assert loop.short_of == "devices"


def test_weights_without_room_fail_all_units_of_the_arm_at_once_and_no_others(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    large, small = blocks_of(plan, "f16"), blocks_of(plan, "q8_0")
    loop = start(plan, [*large, *small], gpus=1.0, ends=False)
    worker = loop.step(now=0.0).assigned[0]
    arm = worker.loaded_arm
    loop.fail(worker, without("weights"))
    failed = {unit.id for unit in loop.schedule.in_state(State.FAILED)}
    assert failed == set(large if arm == "f16" else small) and len(large) > 1
    assert {failure.error for failure in loop.schedule.failures} == {"NoRoomError: no memory"}
    assert loop.step(now=1.0).assigned[0].loaded_arm != arm


def test_a_cache_without_room_fails_only_its_own_unit(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    loop = start(plan, blocks_of(plan, "f16"), gpus=1.0, ends=False)
    (worker,) = loop.step(now=0.0).assigned
    loop.fail(worker, without("kv_cache"))
    assert len(loop.schedule.in_state(State.FAILED)) == 1


def test_devices_are_planned_with_less_and_less_of_their_memory_down_to_half(tmp_path: Path) -> None:
    run, shares = RunDirectory(tmp_path), [1.0]
    assert kept_device_share(run) == 1.0
    while (smaller := smaller_share(shares[-1])) is not None:
        shares.append(smaller)
        write_json(run.device_limit, {"share": smaller})
        assert kept_device_share(run) == smaller
    assert shares == [1.0, 0.85, 0.722, 0.614, 0.522]


@pytest.mark.parametrize("damaged", ['{"share": "all"}', '{"share": 0.001}', "[]", "{"])
def test_a_damaged_limit_is_found_again(tmp_path: Path, damaged: str) -> None:
    run = RunDirectory(tmp_path)
    Path(run.device_limit).write_text(damaged, encoding="utf-8")
    assert kept_device_share(run) == 1.0


def test_only_the_memory_of_devices_gets_less() -> None:
    card = Device("CUDA0", "card", "CUDA", 1000, 900)
    node = NodeFacts("n", "host", 8, 2**30, 1, (card,), {})
    (less,) = with_device_share([node], 0.5)
    assert less.devices == (Device("CUDA0", "card", "CUDA", 500, 450),)
    assert (less.memory_bytes, less.gpus) == (node.memory_bytes, node.gpus)
