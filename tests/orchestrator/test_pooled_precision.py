"""What the plan says of the claim on average, before a run: chances and limits that can be computed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.orchestrator.pooled_precision import PooledPrecision, describe_pooled_precision, pooled_precision_of
from actors.orchestrator.sources.inputs import PlannedBenchmark
from tests.orchestrator.small_plan import deterministic, make_config, make_inputs, make_small_plan, modified, sampled

SIZES = {"gsm8k": 1319, "math": 500, "arc_challenge": 1172}


def _benchmark(name: str, n_items: int, **values: object) -> PlannedBenchmark:
    return modified(deterministic(n_items), name=name, n_items_total=n_items, **values)


def _found(tmp_path: Path, benchmarks: list[PlannedBenchmark], **statistics: object) -> PooledPrecision | None:
    values = {"benchmarks": [one.name for one in benchmarks], "statistics": statistics}
    plan = make_small_plan(tmp_path, inputs=make_inputs(benchmarks={"tiny": tuple(benchmarks)}), **values)
    return pooled_precision_of(plan, make_config(**values))


def test_the_chance_is_that_of_the_issue_and_the_limit_reaches_80_percent(tmp_path: Path) -> None:
    # SE² = q/9·(1/1319 + 1/500 + 1/1172): with 5% flips SE = .00448, and Φ(.01/SE - 1.96) = 61%; with 2% 94%.
    benchmarks = [_benchmark(name, n) for name, n in SIZES.items()]
    found = _found(tmp_path, benchmarks, assumed_discordance=0.05)
    assert found is not None
    assert found.chance == pytest.approx((0.61, 0.61), abs=0.005)
    assert found.detectable[0] == pytest.approx(0.01255, abs=5e-5)
    assert found.limit == (None, None)
    found = _found(tmp_path, benchmarks, assumed_discordance=0.02)
    assert found is not None
    assert found.chance[0] == pytest.approx(0.942, abs=0.005)
    # 2%: q/9·(2/N + 1/500) = (.01/2.8016)² has the solution N = 535.7.
    assert found.limit[0] == 536
    lines = describe_pooled_precision(found)
    assert lines[0].startswith("On average over gsm8k, math, arc_challenge: 0.8 pp is the smallest mean loss")
    assert "within 1.0 pp: an arm that loses nothing reaches it with a chance of 94%" in lines[1]
    assert "takes 536 items of each, or all that it has" in lines[2]


def test_repeats_widen_the_range_and_weights_count(tmp_path: Path) -> None:
    benchmarks = [_benchmark(name, n) for name, n in SIZES.items()]
    benchmarks[0] = modified(sampled(1319, 1319), name="gsm8k")
    found = _found(tmp_path, benchmarks, assumed_discordance=0.05, tiers={"pooled": SIZES})
    assert found is not None
    # By items: SE² = .05/2991 at worst, Φ(.01/.004089 - 1.96) = 69%; at best q/3 for the 1319: 83%.
    assert found.chance[1] == pytest.approx(0.687, abs=0.005)
    assert found.chance[0] > found.chance[1]
    assert describe_pooled_precision(found)[1].endswith("a chance of 69% to 83%")


def test_benchmarks_with_the_same_questions_count_as_one_at_worst(tmp_path: Path) -> None:
    # Items of both have the ids c000 to c999.
    found = _found(tmp_path, [_benchmark(name, 1000, questions="arc") for name in ("arc_challenge", "letter")])
    assert found is not None
    assert found.detectable[1] == pytest.approx(found.detectable[0] * 2**0.5)


def test_without_a_pool_nothing_is_said(tmp_path: Path) -> None:
    assert _found(tmp_path, [_benchmark("gsm8k", 100)]) is None
    assert describe_pooled_precision(None) == []


def test_it_is_said_if_the_verdict_needs_the_claim(tmp_path: Path) -> None:
    benchmarks = [_benchmark(name, 100) for name in ("a", "b", "c")]
    found = _found(tmp_path, benchmarks, tiers={"each": ["c"], "pooled": ["a", "b"]})
    assert "the verdict of an arm needs this claim" in describe_pooled_precision(found)[0]
