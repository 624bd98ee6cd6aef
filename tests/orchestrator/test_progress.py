"""Progress: tokens per second, shares of the work, phases, and the estimate of the time left."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.orchestrator.progress import (
    TokenRate,
    cells_by,
    cells_done,
    cost_shares,
    current_phase,
    describe_work,
    phases_of,
    seconds_left,
)
from actors.orchestrator.schedule import Schedule
from actors.orchestrator.units import units_of
from tests.orchestrator.small_plan import make_small_plan


def test_the_rate_covers_only_the_last_seconds() -> None:
    rate = TokenRate(window_s=10)
    rate.add(0.0, 1000)
    rate.add(20.0, 100)
    rate.add(24.0, 100)
    assert rate.per_second(25.0) == pytest.approx(200 / 5)
    assert rate.total == 1200


def test_without_a_report_within_the_window_the_rate_is_none_and_not_zero() -> None:
    rate = TokenRate(window_s=10)
    assert rate.per_second(1.0) is None
    rate.add(1.0, 5)
    assert rate.per_second(30.0) is None


def test_the_phase_is_the_earliest_with_unfinished_work(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    schedule = Schedule(units_of(plan), (), 1)
    seen = [current_phase(schedule)]
    for unit in list(schedule.units.values()):
        schedule.start(unit.id)
        schedule.finish(unit.id)
        seen.append(current_phase(schedule))
    assert list(dict.fromkeys(seen)) == ["imatrix", "quantize", "evaluate", "statistics"]


def test_a_cell_is_done_when_all_of_its_blocks_are(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    schedule = Schedule(units_of(plan), (), 1)
    blocks = [block.unit for block in plan.blocks if (block.arm, block.benchmark) == ("f16", "asked")]
    schedule.finish(blocks[0])
    assert cells_done(plan.cells, schedule) == 0
    schedule.finish(blocks[1])
    assert cells_done(plan.cells, schedule) == 3


def test_work_of_an_earlier_run_counts_neither_as_done_nor_as_left(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    done = frozenset(block.unit for block in plan.blocks)
    before, left = cost_shares(Schedule(units_of(plan), done, 1), done, {})
    assert before == 0
    assert left > 0


def test_a_running_unit_counts_by_its_reported_tokens_but_never_as_done(tmp_path: Path) -> None:
    schedule = Schedule(units_of(make_small_plan(tmp_path)), (), 1)
    unit = next(unit for unit in schedule.units.values() if unit.phase == "imatrix")
    schedule.start(unit.id)
    nothing, all_left = cost_shares(schedule, frozenset(), {})
    half, _ = cost_shares(schedule, frozenset(), {unit.id: unit.tokens // 2})
    most, some_left = cost_shares(schedule, frozenset(), {unit.id: 10 * unit.tokens})
    assert (nothing, half) == (0.0, unit.cost / 2)
    assert most < unit.cost
    assert most + some_left == pytest.approx(all_left)


def test_the_time_left_is_estimated_from_the_pace_so_far() -> None:
    assert seconds_left(10.0, 25.0, 75.0) == 30.0
    assert seconds_left(10.0, 25.0, 0.0) == 0.0


def test_there_is_no_estimate_before_anything_is_done() -> None:
    assert seconds_left(10.0, 0.0, 75.0) is None


def test_what_a_worker_does_is_named_by_arm_and_benchmark(tmp_path: Path) -> None:
    units = units_of(make_small_plan(tmp_path))
    said = {describe_work([unit]) for unit in units}
    assert {
        "collecting the importance matrix",
        "quantizing q4_k_m",
        "self-check of q8_0",
        "speed of f16",
        "q8_0 on asked",
    } <= said
    together = [next(unit for unit in units if (unit.arm, unit.benchmark) == (arm, "asked")) for arm in ("q8_0", "f16")]
    assert describe_work(together) == "q8_0, f16 on asked"


def test_cells_are_counted_by_arm_and_by_benchmark(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    schedule = Schedule(units_of(plan), (), 1)
    none = cells_by(plan.cells, schedule, lambda cell: cell.arm)
    assert [one["name"] for one in none] == list(dict.fromkeys(cell.arm for cell in plan.cells))
    assert sum(one["cells_total"] for one in none) == len(plan.cells)
    assert {one["cells_done"] for one in none} == {0}
    done = Schedule(units_of(plan), [unit.id for unit in units_of(plan)], 1)
    for one in cells_by(plan.cells, done, lambda cell: cell.benchmark):
        assert one["cells_done"] == one["cells_total"] > 0


def test_phases_have_passed_or_are_to_come(tmp_path: Path) -> None:
    schedule = Schedule(units_of(make_small_plan(tmp_path)), (), 1)
    states = {one["name"]: one["state"] for one in phases_of(schedule, "evaluate", makes_documents=True)}
    assert states == {
        "imatrix": "passed",
        "quantize": "passed",
        "evaluate": "now",
        "statistics": "to_come",
        "charts": "to_come",
        "documents": "to_come",
    }
    assert [one["name"] for one in phases_of(schedule, "statistics", makes_documents=False)][-1] == "statistics"
    assert phases_of(schedule, "done", makes_documents=True) == ()
