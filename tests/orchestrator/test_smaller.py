"""After missing memory: when a smaller plan is made, what a run keeps of it, and which units are not tried in vain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.errors import RoomFor
from actors.llama.devices import Device, DeviceUse
from actors.llama.layout import EngineLayout
from actors.nodes import NodeFacts
from actors.orchestrator.early_stop import EarlyStop
from actors.orchestrator.loop import Loop, Step
from actors.orchestrator.memory_limits import (
    NO_LIMITS,
    Loaded,
    MemoryLimits,
    Shortage,
    ShortOf,
    kept_cache_mib,
    limit_notices,
    read_limits,
    with_device_share,
    write_limits,
)
from actors.orchestrator.placed import Placed
from actors.orchestrator.places import Places
from actors.orchestrator.plan import Plan
from actors.orchestrator.rooms import Room
from actors.orchestrator.schedule import State
from actors.orchestrator.smaller import smaller_limits
from actors.orchestrator.units import PLACED, units_of
from actors.orchestrator.worker import WorkError
from actors.store import RunDirectory
from conf.files import write_json
from tests.orchestrator.equal_workers import NOTHING
from tests.orchestrator.judged_plan import gguf_judge
from tests.orchestrator.small_plan import MODEL, make_config, make_inputs, make_small_plan


def start(
    plan: Plan, left: list[str], *, gpus: float, asks: bool = True, rooms: tuple[Room, ...] | None = None
) -> Loop:
    """Return a loop of workers with so many GPUs, one if no rooms are given, in which all units but `left` are done."""
    config = make_config(execution={"attempts": 1})
    use = DeviceUse("card", 1, "none") if gpus else None
    placed = Placed(1.0, gpus, use, -1 if gpus else 0, NOTHING, NOTHING)
    done = [unit.id for unit in units_of(plan) if unit.id not in left]
    places = Places(dict.fromkeys(PLACED, placed), max_workers=None if rooms else 1)
    rooms = rooms or (Room("here", cpus=8, gpus=1, memory_bytes=2**40),)
    return Loop(plan, config, places, done, EarlyStop(plan, config), rooms=rooms, asks_for_smaller=asks)


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
    expected = Shortage(Loaded("arms", "f16"), short_of) if short_of else None
    assert loop.shortage == expected
    assert bool(loop.schedule.failures) == (expected is None)


def test_a_device_that_ends_its_worker_without_memory_leads_to_a_smaller_plan_and_a_new_worker(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    loop = start(plan, blocks_of(plan, "f16"), gpus=1.0)
    (worker,) = loop.step(now=0.0).assigned
    loop.fail(worker, WorkError("worker_died", "the worker died: out of memory", ("out of memory",), "compute"))
    assert loop.shortage == Shortage(Loaded("arms", "f16"), "devices")
    assert worker not in loop.workers and not loop.schedule.failures
    loop.go_on_as_before(Loaded("arms", "f16"))
    (another,) = loop.step(now=1.0).assigned
    assert another is not worker


def test_only_what_loads_the_same_waits_for_the_smaller_plan(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    large, small = blocks_of(plan, "f16"), blocks_of(plan, "q8_0")
    loop = start(plan, [*large, *small], gpus=1.0)
    (worker,) = loop.step(now=0.0).assigned
    first, second = ("f16", small) if worker.loaded_arm == "f16" else ("q8_0", large)
    loop.fail(worker, without("weights"))
    assert loop.shortage == Shortage(Loaded("arms", first), "devices")
    for unit in second:
        assert loop.step(now=1.0) == Step(assigned=(worker,)), "the same worker goes on"
        assert [one.id for one in worker.units] == [unit]
        loop.finish(worker, {}, now=1.0)
    assert loop.step(now=2.0) == Step() and not loop.finished
    loop.go_on_as_before(Loaded("arms", first))
    assert loop.shortage is None and loop.step(now=3.0).assigned[0].loaded_arm == first


def test_if_no_plan_is_smaller_what_has_no_room_fails(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    loop = start(plan, blocks_of(plan, "f16"), gpus=1.0)
    (worker,) = loop.step(now=0.0).assigned
    loop.fail(worker, without("weights"))
    loop.go_on_as_before(Loaded("arms", "f16"))
    (worker,) = loop.step(now=1.0).assigned
    loop.fail(worker, without("weights"))
    assert loop.shortage is None and loop.finished
    assert {failure.unit for failure in loop.schedule.failures} == set(blocks_of(plan, "f16"))


def test_work_that_a_new_plan_does_not_have_ends_and_counts_for_nothing(tmp_path: Path) -> None:
    plan, less = make_small_plan(tmp_path), make_small_plan(tmp_path, layout={"n_batch": 1024})
    left = [*blocks_of(plan, "f16"), *blocks_of(plan, "q8_0")]
    rooms = (Room("here", cpus=8, gpus=2, memory_bytes=2**40),)
    loop = start(plan, left, gpus=1.0, rooms=rooms)
    first, second = loop.step(now=0.0).assigned
    loop.fail(first, without("weights"))
    done = [unit.id for unit in units_of(less) if unit.id not in [block.unit for block in less.blocks]]
    config = make_config()
    loop.go_on(less, loop.staff._places, done, EarlyStop(less, config), Loaded("arms", str(first.loaded_arm)))
    (running,) = second.units
    assert running.id not in loop.schedule.units
    loop.report(running.id, 5, now=1.0)
    loop.finish(second, {}, now=1.0)
    assert second in loop.workers and not second.units
    step = loop.step(now=1.0)
    assert not step.dismissed and set(step.assigned) == {first, second}


def test_only_when_nothing_is_at_work_on_it_a_smaller_plan_is_asked_for(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    rooms = (Room("here", cpus=8, gpus=2, memory_bytes=2**40),)
    loop = start(plan, blocks_of(plan, "f16"), gpus=1.0, rooms=rooms)
    first, second = loop.step(now=0.0).assigned
    loop.fail(first, without("kv_cache"))
    assert loop.shortage is None and loop.step(now=1.0) == Step()
    loop.finish(second, {}, now=1.0)
    assert loop.shortage == Shortage(Loaded("arms", "f16"), "devices")


def test_a_model_that_shares_a_card_first_gets_one_of_its_own(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    loop = start(plan, blocks_of(plan, "f16")[:1], gpus=0.5)
    (worker,) = loop.step(now=0.0).assigned
    loop.fail(worker, without("weights"))
    assert loop.shortage is None and not loop.schedule.failures
    ((again,),) = [step.assigned for step in (loop.step(now=1.0),)]
    assert again.placed is not None and again.placed.gpus == 1.0
    loop.fail(again, without("weights"))
    assert loop.shortage == Shortage(Loaded("arms", "f16"), "devices")


def test_weights_without_room_fail_all_units_of_the_arm_at_once_and_no_others(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    large, small = blocks_of(plan, "f16"), blocks_of(plan, "q8_0")
    loop = start(plan, [*large, *small], gpus=1.0, asks=False)
    worker = loop.step(now=0.0).assigned[0]
    arm = worker.loaded_arm
    loop.fail(worker, without("weights"))
    failed = {unit.id for unit in loop.schedule.in_state(State.FAILED)}
    assert failed == set(large if arm == "f16" else small) and len(large) > 1
    assert {failure.error for failure in loop.schedule.failures} == {"NoRoomError: no memory"}
    assert loop.step(now=1.0).assigned[0].loaded_arm != arm


def test_a_cache_without_room_fails_only_its_own_unit(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    loop = start(plan, blocks_of(plan, "f16"), gpus=1.0, asks=False)
    (worker,) = loop.step(now=0.0).assigned
    loop.fail(worker, without("kv_cache"))
    assert len(loop.schedule.in_state(State.FAILED)) == 1


def test_devices_are_planned_with_less_and_less_of_their_memory_down_to_half(tmp_path: Path) -> None:
    plan, arm = make_small_plan(tmp_path), Loaded("arms", "f16")
    limits, shares = NO_LIMITS, [NO_LIMITS.share_of(arm)]
    while (smaller := smaller_limits(limits, plan, Shortage(arm, "devices"))) is not None:
        limits = smaller
        shares.append(limits.share_of(arm))
    assert shares == [1.0, 0.85, 0.722, 0.614, 0.522]
    assert limits.share_of(Loaded("passes", "f16")) == limits.share_of(Loaded("judges", "f16")) == 1.0


def test_the_new_limit_is_half_of_the_largest_cache_of_what_had_no_room(tmp_path: Path) -> None:
    # 4096 cells of 1 MiB in the widest benchmark.
    large = make_inputs(models=(replace(MODEL, kv_bytes_per_cell=2**20),))
    plan, arm = make_small_plan(tmp_path, inputs=large), Loaded("arms", "f16")
    limits = smaller_limits(NO_LIMITS, plan, Shortage(arm, "host"))
    assert limits is not None and limits.caches_mib == {arm: 2048}
    assert [limits.cache_mib(arm, given) for given in (None, 4096, 100)] == [2048, 2048, 100]
    assert limits.cache_mib(Loaded("passes", "f16"), None) is None
    # A cache below 2 MiB cannot be halved, and nothing is known of what is not in the plan.
    assert smaller_limits(NO_LIMITS, make_small_plan(tmp_path), Shortage(arm, "host")) is None
    assert smaller_limits(NO_LIMITS, plan, Shortage(Loaded("arms", "other"), "host")) is None


def test_a_judge_on_the_host_gets_half_of_its_own_cache(tmp_path: Path) -> None:
    judge = replace(
        gguf_judge("large"), layout=EngineLayout(2, 4, 512, 512, 1024, True, True, 0), cache_bytes=64 * 2**20
    )
    plan, loaded = replace(make_small_plan(tmp_path), judges=(judge,)), Loaded("judges", "large")
    limits = smaller_limits(NO_LIMITS, plan, Shortage(loaded, "host"))
    assert limits is not None and limits.caches_mib == {loaded: 32}


LIMITS = MemoryLimits().with_share(Loaded("arms", "f16"), 0.722).with_share(Loaded("matrices", "m"), 0.85)


@pytest.mark.parametrize("limits", [NO_LIMITS, LIMITS, LIMITS.with_cache(Loaded("passes", "q8_0"), 64)])
@pytest.mark.parametrize("before", [None, 0.85])
def test_a_run_keeps_its_limits_and_those_of_earlier_versions(
    tmp_path: Path, limits: MemoryLimits, before: float | None
) -> None:
    run = RunDirectory(tmp_path)
    if before is not None:
        write_json(run.device_limit, {"share": before})
        write_json(run.cache_limit, {"kv_cache_mib": 100})
        limits = replace(limits, share=before)
    write_limits(run, limits)
    assert read_limits(run) == limits
    assert kept_cache_mib(run) == (None if before is None else 100)


@pytest.mark.parametrize(
    "damaged",
    [
        '{"share": "all"}',
        '{"share": 0.001}',
        "[]",
        "{",
        '{"arms": {"f16": 2.0}, "passes": ["f16"], "others": {"f16": 0.6}}',
        '{"arms": {"f16": true}, "kv_cache_mib": true}',
    ],
)
def test_a_damaged_limit_is_found_again(tmp_path: Path, damaged: str) -> None:
    run = RunDirectory(tmp_path)
    for path in (run.device_limit, run.cache_limit):
        Path(path).write_text(damaged, encoding="utf-8")
    assert read_limits(run) == NO_LIMITS and kept_cache_mib(run) is None


def test_notices_name_what_has_a_limit() -> None:
    limits = replace(LIMITS.with_cache(Loaded("passes", "q8_0"), 64), share=0.9)
    assert list(limit_notices(limits, on_devices=True)) == [
        "Devices are filled to 90% of their memory at most: llama.cpp got no memory for more.",
        "f16: fills devices to 72% of their memory at most, because llama.cpp got no memory for more.",
        "the importance matrix of m: fills devices to 85% of their memory at most, because llama.cpp got no memory for "
        "more.",
        "q8_0 in text benchmarks: its KV cache is kept within 64 MiB, because llama.cpp got no memory for more.",
    ]
    assert len(list(limit_notices(limits, on_devices=False))) == 1


def test_only_the_memory_of_devices_gets_less() -> None:
    card = Device("CUDA0", "card", "CUDA", 1000, 900)
    node = NodeFacts("n", "host", 8, 2**30, 1, (card,), {})
    (less,) = with_device_share([node], 0.5)
    assert less.devices == (Device("CUDA0", "card", "CUDA", 500, 450),)
    assert (less.memory_bytes, less.gpus) == (node.memory_bytes, node.gpus)
