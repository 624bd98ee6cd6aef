"""The schedule: order, affinity, retries, and which units fail together."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from actors.orchestrator.schedule import Schedule, State, preferred_unit
from actors.orchestrator.units import Role, Unit, units_of
from tests.orchestrator.small_plan import deterministic, make_inputs, make_small_plan, sampled


def unit(
    name: str, role: Role = "evaluation", needs: tuple[str, ...] = (), arm: str | None = None, cost: float = 1
) -> Unit:
    return Unit(name, role, "evaluate" if role == "evaluation" else "quantize", needs, arm, None, cost)


def test_a_unit_does_not_start_before_its_needs_are_done() -> None:
    schedule = Schedule([unit("arm", "quantization"), unit("block", needs=("arm",))], (), 1)
    assert preferred_unit(schedule.ready("evaluation"), None) is None
    schedule.start("arm")
    assert preferred_unit(schedule.ready("evaluation"), None) is None
    schedule.finish("arm")
    assert preferred_unit(schedule.ready("evaluation"), None) == schedule.units["block"]


def test_a_worker_first_gets_blocks_of_the_arm_that_it_has_loaded() -> None:
    schedule = Schedule([unit("a1", arm="a", cost=9), unit("b1", arm="b")], (), 1)
    chosen = preferred_unit(schedule.ready("evaluation"), "b")
    assert chosen is not None and chosen.id == "b1"


def test_an_idle_worker_gets_a_block_of_the_arm_with_the_fewest_workers_and_the_most_work() -> None:
    schedule = Schedule(
        [unit("a1", arm="a"), unit("a2", arm="a"), unit("b1", arm="b", cost=5), unit("c1", arm="c")], (), 1
    )
    first = preferred_unit(schedule.ready("evaluation"), None)
    assert first is not None and first.id == "b1"
    second = preferred_unit(schedule.ready("evaluation"), None, ["b"])
    assert second is not None and second.id == "a1"
    schedule.start("b1")
    schedule.start("c1")
    third = preferred_unit(schedule.ready("evaluation"), "b", ["a", "c"])
    assert third is not None and third.arm == "a"


def test_of_an_arm_the_benchmark_with_the_longest_blocks_comes_first(tmp_path: Path) -> None:
    """At the end, short blocks leave workers without work for the shortest time."""
    plan = make_small_plan(tmp_path, inputs=make_inputs(benchmarks={"tiny": (deterministic(100), sampled(100))}))
    costs = {block.benchmark: block.cost for block in plan.blocks if block.first == 0}
    assert costs["asked"] > 10 * costs["chosen"]
    ordered = [(one.arm, one.benchmark) for one in units_of(plan) if one.benchmark]
    expected = [(arm.name, name) for arm in plan.arms for name in ("asked", "chosen")]
    assert list(dict.fromkeys(ordered)) == expected


def test_a_failed_unit_is_tried_again_and_then_recorded() -> None:
    schedule = Schedule([unit("block")], (), 2)
    schedule.start("block")
    assert schedule.fail("block", "first") is True
    schedule.start("block")
    assert schedule.fail("block", "second", ["last line"]) is False
    assert schedule.state("block") is State.FAILED
    (failure,) = schedule.failures
    assert (failure.error, failure.attempts, failure.log_tail) == ("second", 2, ("last line",))


def test_putting_a_unit_back_counts_no_attempt() -> None:
    schedule = Schedule([unit("block")], (), 1)
    schedule.start("block")
    schedule.put_back("block")
    assert schedule.state("block") is State.WAITING
    schedule.start("block")
    assert schedule.fail("block", "first") is False
    assert schedule.failures[0].attempts == 1


def test_units_that_need_a_failed_unit_fail_with_it_and_the_others_go_on() -> None:
    units = [
        unit("imatrix", "quantization"),
        unit("arm", "quantization", ("imatrix",), arm="q4"),
        unit("block", needs=("arm",), arm="q4"),
        unit("other", arm="q8"),
    ]
    schedule = Schedule(units, (), 1)
    schedule.start("imatrix")
    schedule.fail("imatrix", "too little text")
    assert {failure.unit for failure in schedule.failures} == {"imatrix", "arm", "block"}
    assert schedule.state("other") is State.WAITING
    assert not schedule.finished


def test_an_imatrix_that_no_unfinished_arm_needs_is_not_collected(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    arms = [arm.unit for arm in plan.arms if arm.unit]
    schedule = Schedule(units_of(plan), arms, 1)
    assert schedule.ready("quantization") == []


def test_the_imatrix_is_collected_before_arms_that_it_does_not_need(tmp_path: Path) -> None:
    schedule = Schedule(units_of(make_small_plan(tmp_path)), (), 1)
    assert [one.arm for one in schedule.ready("quantization")] == ["f16", "q8_0"]
    schedule.finish(schedule.ready("quantization")[0].id)
    ready = [one.phase for one in schedule.ready("quantization")]
    assert ready == ["imatrix"] * 16 + ["quantize"]


@given(st.data())
def test_every_unit_ends_whatever_succeeds_or_fails_in_whatever_order(data: st.DataObject) -> None:
    units = [unit("m", "quantization"), unit("n", "quantization", ("m",), "x")]
    units += [unit(f"b{n}", needs=("n",), arm="x") for n in range(4)] + [unit("c", arm="y")]
    schedule = Schedule(units, (), 2)
    for _ in range(100):
        if schedule.finished:
            break
        roles: tuple[Role, ...] = ("quantization", "evaluation")
        ready = [one for role in roles for one in schedule.ready(role)]
        chosen = data.draw(st.sampled_from(ready))
        schedule.start(chosen.id)
        if data.draw(st.booleans()):
            schedule.finish(chosen.id)
        else:
            schedule.fail(chosen.id, "x")
    assert schedule.finished
    failed = {one.id for one in schedule.in_state(State.FAILED)}
    assert {failure.unit for failure in schedule.failures} == failed


def test_an_arms_blocks_wait_for_its_check_and_fail_with_it(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    schedule = Schedule(units_of(plan), {arm.unit for arm in plan.arms if arm.unit}, attempts=1)
    (check,) = [check for check in plan.checks if check.order.arm == "q8_0"]
    assert {unit.id for unit in schedule.ready("evaluation")} == {check.unit for check in plan.checks}
    schedule.start(check.unit)
    schedule.fail(check.unit, "the two ways disagree")
    failed = {unit.id for unit in schedule.in_state(State.FAILED)}
    blocks = {block.unit for block in plan.blocks if block.arm == "q8_0"}
    (performance,) = [one.unit for one in plan.performances if one.order.arm == "q8_0"]
    assert failed == {check.unit, performance, *blocks}


def test_no_check_runs_if_all_blocks_are_done_or_the_configuration_switches_checks_off(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    done = {arm.unit for arm in plan.arms if arm.unit} | {block.unit for block in plan.blocks}
    done |= {one.unit for one in plan.performances}
    assert Schedule(units_of(plan), done, attempts=1).finished
    assert not make_small_plan(tmp_path, execution={"self_check": False}).checks
