"""Text in passes: which arms share a pass, which units go to a worker together, and the reference's second layout."""

from __future__ import annotations

from pathlib import Path

from actors.items import Item, Measure, Scorer
from actors.orchestrator.placement import evaluation_bytes
from actors.orchestrator.plan import Plan
from actors.orchestrator.schedule import Schedule, State
from actors.orchestrator.sources.inputs import PlannedBenchmark
from actors.orchestrator.units import Unit, units_of
from tests.orchestrator.small_plan import KINDS, deterministic, make_inputs, make_small_plan, modified, sampled

SIZES = {"f16": 1000, "q8_0": 530, "q4_k_m": 300}


def text(n_chunks: int = 10) -> PlannedBenchmark:
    items = tuple(Item(f"chunk-{n:05d}", Measure((1, 2, 3), 1), None, f"hash{n}") for n in range(n_chunks))
    return modified(
        deterministic(),
        name="text",
        kind="measure",
        metric="nll",
        higher_is_better=False,
        items=items,
        scorer=Scorer("measured"),
        n_ctx=256,
    )


def plan_of(root: Path, sizes: dict[str, int] | None = None, **values: object) -> Plan:
    predicted = {("tiny", kind, weighted): (sizes or SIZES)[kind] for kind in KINDS for weighted in (False, True)}
    inputs = make_inputs(benchmarks={"tiny": (sampled(), deterministic(), text())}, predicted_bytes=predicted)
    return make_small_plan(root, inputs=inputs, **values)


def passes(plan: Plan) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for block in plan.blocks:
        if block.shared_pass is not None:
            found.setdefault(block.shared_pass, set()).add(block.arm)
    return found


def test_arms_share_a_pass_if_together_they_are_no_larger_than_their_reference(tmp_path: Path) -> None:
    assert list(passes(plan_of(tmp_path)).values()) == [{"f16", "q8_0", "q4_k_m"}] * 2  # two blocks of chunks
    apart = passes(plan_of(tmp_path, {**SIZES, "q8_0": 800}))
    assert sorted(map(sorted, apart.values())) == [["f16", "q8_0"]] * 2 + [["q4_k_m"]] * 2


def test_only_text_has_passes_and_names_its_reference(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert {block.benchmark for block in plan.blocks if block.shared_pass} == {"text"}
    reference = plan.arm("f16").gguf_path
    assert {block.reference.gguf_path for block in plan.blocks if block.reference} == {reference}
    keys = {one.arm: one.key for one in plan.directories if one.benchmark == "text"}
    assert keys["f16"]["reference"] is None
    assert keys["q8_0"]["reference"] == plan.arm("f16").key_hash
    assert all("token_classes" in key for key in keys.values())


def test_the_records_of_a_reference_do_not_depend_on_having_arms(tmp_path: Path) -> None:
    alone = make_small_plan(
        tmp_path, inputs=make_inputs(benchmarks={"tiny": (text(),)}), quantizations=["f16"], imatrix=["none"]
    )
    assert [one.path for one in alone.directories] == [
        one.path for one in plan_of(tmp_path).directories if (one.arm, one.benchmark) == ("f16", "text")
    ]
    assert not passes(alone)


def test_a_worker_of_a_pass_holds_all_of_its_models(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"f16": 10**10, "q8_0": 5 * 10**9, "q4_k_m": 3 * 10**9})
    assert evaluation_bytes(plan) > 18 * 10**9


def finish(schedule: Schedule, *phases: str) -> None:
    for unit in schedule.units.values():
        if unit.phase in phases:
            schedule.finish(unit.id)


def pass_units(schedule: Schedule) -> list[Unit]:
    return [unit for unit in schedule.units.values() if unit.shared_pass]


def test_the_blocks_of_a_pass_wait_for_all_of_its_arms_and_then_go_together(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    schedule = Schedule(units_of(plan), (), 2)
    first = pass_units(schedule)[0]
    finish(schedule, "imatrix", "quantize")
    for check in [unit for unit in schedule.units.values() if unit.is_check][:-1]:
        schedule.finish(check.id)
    assert not schedule.is_ready(first)
    finish_checks(schedule)
    together = schedule.units_of_pass(first)
    assert [unit.arm for unit in together] == ["f16", "q8_0", "q4_k_m"]
    assert len({unit.id.split("/")[-1] for unit in together}) == 1


def finish_checks(schedule: Schedule) -> None:
    for unit in schedule.units.values():
        if unit.is_check:
            schedule.finish(unit.id)


def test_blocks_that_are_done_are_left_out_of_a_pass(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    done = {block.unit for block in plan.blocks if block.arm == "f16"}
    schedule = Schedule(units_of(plan), done, 2)
    finish(schedule, "imatrix", "quantize")
    finish_checks(schedule)
    first = next(unit for unit in pass_units(schedule) if unit.arm == "q8_0")
    assert [unit.arm for unit in schedule.units_of_pass(first)] == ["q8_0", "q4_k_m"]


def test_a_failed_arm_does_not_hold_up_the_others_of_its_pass(tmp_path: Path) -> None:
    schedule = Schedule(units_of(plan_of(tmp_path)), (), 1)
    broken = next(unit for unit in schedule.units.values() if unit.phase == "quantize" and unit.arm == "q4_k_m")
    finish(schedule, "imatrix")
    schedule.start(broken.id)
    schedule.fail(broken.id, "no room")
    for unit in schedule.units.values():
        if schedule.state(unit.id) is State.WAITING and (unit.phase == "quantize" or unit.is_check):
            schedule.finish(unit.id)
    ready = schedule.units_of_pass(pass_units(schedule)[0])
    assert [unit.arm for unit in ready] == ["f16", "q8_0"]


def test_blocks_of_a_failed_pass_are_tried_one_by_one(tmp_path: Path) -> None:
    schedule = Schedule(units_of(plan_of(tmp_path)), (), 2)
    finish(schedule, "imatrix", "quantize")
    finish_checks(schedule)
    together = schedule.units_of_pass(pass_units(schedule)[0])
    for unit in together:
        schedule.start(unit.id)
        assert schedule.fail(unit.id, "one of them cannot be loaded")
    for unit in together:
        assert schedule.units_of_pass(unit) == (unit,)


def test_the_noise_floor_is_the_reference_in_another_layout_if_nothing_is_sampled(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, noise_floor=True)
    second, reference = plan.arm("f16~aa"), plan.arm("f16")
    assert (second.gguf_path, second.reference, second.order) == (reference.gguf_path, "f16", None)
    layouts = {(block.arm, block.benchmark): block.layout for block in plan.blocks}
    assert {name for arm, name in layouts if arm == "f16~aa"} == {"chosen", "text"}
    for benchmark in ("chosen", "text"):
        assert layouts["f16~aa", benchmark] != layouts["f16", benchmark]
        assert layouts["f16~aa", benchmark].n_batch == layouts["f16", benchmark].n_batch
    units = {unit.id: unit for unit in units_of(plan)}
    block = next(block.unit for block in plan.blocks if block.arm == "f16~aa")
    check = next(one for one in plan.checks if one.order.arm == "f16~aa")
    assert units[block].needs[0] == check.unit
    assert check.needs == (reference.unit,)


def test_the_speed_of_each_file_is_measured_once(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, noise_floor=True)
    assert [one.order.arm for one in plan.performances] == ["f16", "q8_0", "q4_k_m"]
    assert {one.order.layout.n_ctx for one in plan.performances} == {4096}  # the widest benchmark has the most
