"""The precision of a plan before the run: the smallest loss it can find, and whether "no worse" is within reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.orchestrator.precision import describe_precision, precision_of
from tests.orchestrator.player import write_block
from tests.orchestrator.small_plan import deterministic, make_config, make_inputs, make_small_plan, modified, sampled


def _precision(tmp_path: Path, n_items: int, **values: object) -> list[str]:
    benchmarks = (sampled(n_items, 1319), deterministic(n_items))
    config = make_config(**values)
    plan = make_small_plan(tmp_path, inputs=make_inputs(benchmarks={"tiny": benchmarks}), **values)
    return describe_precision(precision_of(plan, config), config.statistics)


def test_the_smallest_loss_agrees_with_values_computed_by_hand(tmp_path: Path) -> None:
    # 500 items, 10% discordance: 3.96 points; over three runs at best 3.96/sqrt(3) = 2.29.
    lines = _precision(tmp_path, 500)
    assert lines[1] == (
        "  asked: 2.3 to 4.0 pp is the smallest loss that these 500 items find; 2,687 to 7,868 items would decide"
        ' "no worse" within 1.0 pp for an arm that loses nothing, and the benchmark has only 1,319'
    )
    assert lines[2].startswith("  chosen: 4.0 pp is the smallest loss that these 500 items find;")
    assert "10% of single answers change" in lines[-1]


def test_the_assumption_and_the_margin_come_from_the_configuration(tmp_path: Path) -> None:
    settings = {"assumed_discordance": 0.02, "margins": {"accuracy": 0.05}}
    lines = _precision(tmp_path, 500, statistics=settings)
    assert 'enough items for "no worse" within 5.0 pp' in lines[2]
    assert "2% of single answers change" in lines[-1]


def test_a_plan_with_too_few_items_differs_from_a_benchmark_that_is_too_small(tmp_path: Path) -> None:
    settings = {"margins": {"accuracy": 0.03}}
    # The normal formula gives 873 items (872.1) at worst; the interval for few flips asks for more, most at best.
    lines = _precision(tmp_path, 100, statistics=settings)
    needed = 'items would decide "no worse" within 3.0 pp for an arm that loses nothing'
    assert lines[1].endswith(f"349 to 891 {needed}, too many for this plan")
    assert lines[2].endswith(f"891 {needed}, and the benchmark has only 100")
    assert _precision(tmp_path, 500, statistics=settings)[1].endswith(f"349 to 891 {needed}")


def test_a_margin_larger_than_what_guessing_leaves_is_refused_before_the_run(tmp_path: Path) -> None:
    # Two choices: guessing gets 50% right, so no arm can lose half of all points.
    lines = _precision(tmp_path, 500, statistics={"margins": {"accuracy": 0.5}})
    assert lines[2].endswith(
        '"no worse" within 50.0 pp is refused: guessing gets 50% right, so no arm can lose the margin'
    )
    assert "refused" not in lines[1]


def test_guessing_gets_letters_right_too() -> None:
    free = sampled(4)
    letters = modified(
        free, items=tuple(replace(item, n_letters=n) for item, n in zip(free.items, (2, 4, 4, 4), strict=True))
    )
    assert (free.chance, letters.chance, deterministic(4).chance) == (0.0, pytest.approx((0.5 + 0.75) / 4), 0.5)


@pytest.mark.parametrize(
    ("right", "why"),
    [
        (0.504, "the reference got 50.4% of 500 items right in an earlier run: too little for a loss"),
        (0.8, None),
        (1.0, "the reference got 100.0% of 500 items right in an earlier run: the items are too easy"),
    ],
)
def test_records_of_an_earlier_run_show_the_floor_and_the_ceiling(
    tmp_path: Path, right: float, why: str | None
) -> None:
    benchmarks = (deterministic(500),)
    plan = make_small_plan(tmp_path, inputs=make_inputs(benchmarks={"tiny": benchmarks}))
    for block in plan.blocks:
        if block.arm == "f16":
            write_block(plan, block, lambda _arm, item, _seed: float(item < 500 * right))
    line = describe_precision(precision_of(plan, make_config()), make_config().statistics)[1]
    assert ("refused" in line) == (why is not None)
    assert why is None or why in line


def test_margins_are_part_of_the_plan(tmp_path: Path) -> None:
    plain = make_small_plan(tmp_path)
    assumed = make_small_plan(tmp_path, statistics={"assumed_discordance": 0.3})
    stricter = make_small_plan(tmp_path, statistics={"margins": {"accuracy": 0.005}})
    assert plain.plan_hash == assumed.plan_hash
    assert plain.plan_hash != stricter.plan_hash


@pytest.mark.parametrize("margin", [0.0, 1.0, -0.01])
def test_a_margin_must_lie_between_0_and_1(margin: float) -> None:
    with pytest.raises(ValueError, match=r"margins\.accuracy|accuracy"):
        make_config(statistics={"margins": {"accuracy": margin}})
