"""The decisions of the loop: who gets which unit, who is dismissed, what is tried again, and what ends the work."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from actors.orchestrator.early_stop import EarlyStop
from actors.orchestrator.loop import Loop, Step
from actors.orchestrator.memory_limits import Loaded, Shortage
from actors.orchestrator.plan import Plan
from actors.orchestrator.schedule import State
from actors.orchestrator.units import units_of
from actors.orchestrator.worker import Worker, WorkError
from tests.orchestrator.equal_workers import ONE_ROOM, equal_workers
from tests.orchestrator.player import damaged, plan_of, play
from tests.orchestrator.small_plan import deterministic, make_config, make_inputs, make_small_plan
from tests.orchestrator.test_passes import text

BROKEN = WorkError("other", "LlamaError: broken\n  last line", ("last line",))
DIED = WorkError("worker_died", "the worker died")
NO_ROOM = WorkError("no_room", "NoRoomError: no memory for the KV cache")


def start(plan: Plan, workers: int, *, left: Collection[str] | None = None, attempts: int = 2, **settings: Any) -> Loop:
    """Return a loop with room for `workers` workers, in which all units but `left` are done; by default none is."""
    config = make_config(execution={"attempts": attempts})
    done = [] if left is None else [unit.id for unit in units_of(plan) if unit.id not in left]
    places = equal_workers(workers)
    return Loop(plan, config, places, done, EarlyStop(plan, config), rooms=ONE_ROOM, **settings)


def arm_unit(plan: Plan, arm: str) -> str:
    return str(plan.arm(arm).unit)


def blocks_of(plan: Plan, arm: str) -> list[str]:
    return [block.unit for block in plan.blocks if block.arm == arm]


def ids(worker: Worker) -> list[str]:
    return [unit.id for unit in worker.units]


def test_workers_are_hired_while_there_is_room_and_get_the_preferred_units(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    loop = start(plan, workers=2)
    first, second = loop.step(now=0.0).assigned
    assert (ids(first), ids(second)) == ([arm_unit(plan, "f16")], [arm_unit(plan, "q8_0")])
    assert [worker.role for worker in loop.workers] == ["quantization"] * 2
    assert loop.step(now=1.0) == Step()


def test_an_idle_worker_gets_the_next_unit(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    blocks = blocks_of(plan, "f16")
    loop = start(plan, workers=1, left=blocks)
    (worker,) = loop.step(now=0.0).assigned
    assert (worker.role, ids(worker), worker.loaded_arm) == ("evaluation", blocks[:1], "f16")
    loop.finish(worker, {}, now=1.0)
    assert loop.step(now=1.0) == Step(assigned=(worker,))
    assert ids(worker) == blocks[1:2]


def test_an_idle_quantization_worker_gives_its_place_to_evaluation(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    block = blocks_of(plan, "q8_0")[0]
    loop = start(plan, workers=1, left=[arm_unit(plan, "q8_0"), block])
    (maker,) = loop.step(now=0.0).assigned
    loop.finish(maker, {}, now=1.0)
    step = loop.step(now=1.0)
    assert step.dismissed == (maker,)
    (evaluator,) = step.assigned
    assert (evaluator.role, ids(evaluator)) == ("evaluation", [block])
    assert loop.workers == [evaluator]


def test_an_idle_evaluation_worker_gives_its_place_to_quantization(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    imatrix = plan.imatrices[0]
    block = blocks_of(plan, "q8_0")[0]
    left = [arm_unit(plan, "f16"), imatrix.unit, *imatrix.group_units, arm_unit(plan, "q4_k_m"), block]
    loop = start(plan, workers=2, left=left)
    maker, evaluator = loop.step(now=0.0).assigned
    assert (ids(maker), ids(evaluator)) == ([arm_unit(plan, "f16")], [block])
    loop.finish(evaluator, {}, now=1.0)
    assert loop.step(now=1.0) == Step(), "nothing can be made yet, so the idle worker keeps its place"
    loop.finish(maker, {}, now=2.0)
    step = loop.step(now=2.0)
    assert step.dismissed == (evaluator,)
    assert [(worker.role, *ids(worker)) for worker in step.assigned] == [
        ("quantization", name) for name in imatrix.group_units[:2]
    ]


def test_a_late_worker_is_dismissed_and_its_unit_put_back_without_counting_an_attempt(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    left = blocks_of(plan, "q8_0")[:2]
    loop = start(plan, workers=2, left=left, attempts=1, start_within_s=10.0)
    started, late = loop.step(now=0.0).assigned
    started.started = True
    lost = ids(late)
    assert loop.step(now=10.0) == Step()
    assert loop.step(now=11.0) == Step(dismissed=(late,)), "Ray has no place for a second worker, so none is hired"
    assert loop.schedule.state(lost[0]) is State.WAITING
    loop.finish(started, {}, now=12.0)
    assert loop.step(now=12.0) == Step(assigned=(started,))
    assert ids(started) == lost
    loop.fail(started, BROKEN)
    (failure,) = loop.schedule.failures
    assert (failure.unit, failure.attempts) == (lost[0], 1)


def test_the_work_is_given_up_if_no_worker_has_started(tmp_path: Path) -> None:
    loop = start(make_small_plan(tmp_path), workers=2, start_within_s=10.0)
    assigned = loop.step(now=0.0).assigned
    step = loop.step(now=11.0)
    assert step.dismissed == assigned and step.no_place is not None
    assert "no worker could start within 10 s: each asks for 1 CPU on one node" in step.no_place
    assert loop.workers == []


def test_a_failed_unit_is_tried_again_and_then_recorded(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    block = blocks_of(plan, "f16")[0]
    loop = start(plan, workers=1, left=[block], attempts=2)
    (worker,) = loop.step(now=0.0).assigned
    loop.fail(worker, BROKEN)
    # A log that follows the message is not for notices.
    assert loop.notices[-1] == f"{block} failed once and is tried again: LlamaError: broken"
    assert not loop.schedule.failures
    assert loop.step(now=1.0) == Step(assigned=(worker,))
    loop.fail(worker, BROKEN)
    (failure,) = loop.schedule.failures
    assert (failure.unit, failure.attempts, failure.error) == (block, 2, BROKEN.message)
    assert failure.log_tail == ("last line",)
    assert loop.finished and loop.shortage is None


def test_a_worker_that_died_is_replaced(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    block = blocks_of(plan, "f16")[0]
    loop = start(plan, workers=1, left=[block])
    (dead,) = loop.step(now=0.0).assigned
    loop.fail(dead, DIED)
    assert loop.workers == []
    (new,) = loop.step(now=1.0).assigned
    assert new is not dead and ids(new) == [block]
    assert "--dataset-size" not in loop.notices[-1]


def test_if_a_worker_died_while_collecting_a_matrix_the_notice_says_how_to_need_less_memory(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    imatrix = plan.imatrices[0]
    loop = start(plan, workers=1, left=[*imatrix.group_units, imatrix.unit, arm_unit(plan, "q4_k_m")])
    (worker,) = loop.step(now=0.0).assigned
    loop.fail(worker, DIED)
    assert "--max-workers 1" in loop.notices[-1] and "--dataset-size" in loop.notices[-1]


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_pass_goes_to_one_worker_and_its_units_are_tried_alone_after_it_had_no_room(
    tmp_path: Path, attempts: int
) -> None:
    bytes_of = {"f16": 9, "q8_0": 5, "q4_k_m": 3}
    sizes = {("tiny", kind, weighted): size for kind, size in bytes_of.items() for weighted in (False, True)}
    inputs = make_inputs(benchmarks={"tiny": (deterministic(), text(2))}, predicted_bytes=sizes)
    plan = make_small_plan(tmp_path, inputs=inputs)
    in_pass = [block.unit for block in plan.blocks if block.shared_pass]
    loop = start(plan, workers=1, left=in_pass, attempts=attempts, asks_for_smaller=True)
    (worker,) = loop.step(now=0.0).assigned
    assert ids(worker) == in_pass and len(in_pass) == 3
    loop.fail(worker, NO_ROOM)
    assert loop.shortage is None and not loop.schedule.failures
    for arm in ("f16", "q8_0"):
        assert loop.step(now=1.0) == Step(assigned=(worker,))
        assert [unit.arm for unit in worker.units] == [arm], "the others of the pass may have room"
        loop.fail(worker, NO_ROOM)
    assert loop.shortage == Shortage(Loaded("passes", "f16"), "host")


def test_a_decision_of_the_early_stop_spares_the_blocks_that_are_left(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    loop = play(plan, config, damaged("q8_0", "q4_k_m"), workers=2).loop
    begun = {block.unit for block in plan.blocks if Path(block.records_path).exists()}
    assert loop.finished and not loop.schedule.failures
    assert loop.spared_blocks and set(loop.spared_blocks) == {block.unit for block in plan.blocks} - begun


def test_blocks_are_also_spared_if_earlier_runs_have_the_records(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    first = play(plan, config, damaged("q8_0", "q4_k_m"))
    again = play(plan, config, damaged())
    assert again.order == []
    assert again.loop.spared_blocks == first.loop.spared_blocks


def test_tokens_are_counted_while_a_unit_runs_and_the_rest_of_a_group_at_its_end(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    imatrix = plan.imatrices[0]
    loop = start(plan, workers=1, left=[*imatrix.group_units, imatrix.unit, arm_unit(plan, "q4_k_m")])
    (worker,) = loop.step(now=0.0).assigned
    (unit,) = worker.units
    loop.report(unit.id, 100, now=1.0)
    assert (loop.reported[unit.id], loop.rate.total) == (100, 100)
    loop.finish(worker, {}, now=2.0)
    assert loop.rate.total == unit.tokens > 100
    loop.report(unit.id, 100, now=3.0)
    assert loop.rate.total == unit.tokens


def test_a_unit_that_is_tried_again_starts_to_count_its_tokens_from_zero(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    block = blocks_of(plan, "f16")[0]
    loop = start(plan, workers=1, left=[block])
    (worker,) = loop.step(now=0.0).assigned
    loop.report(block, 100, now=1.0)
    loop.fail(worker, BROKEN)
    loop.step(now=2.0)
    assert loop.reported[block] == 0
