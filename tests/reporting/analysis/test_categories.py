"""Means by category of benchmarks."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from reporting.analysis.categories import category_rows
from reporting.analysis.scored_arms import ScoredArm


def benchmark(name: str, category: str | None, metric: str = "accuracy") -> dict[str, Any]:
    return {"name": name, "category": category, "metric": metric, "higher_is_better": metric == "accuracy"}


def result(arm: str, name: str, mean: float | None, ci95: list[float] | None, n_items: int = 10) -> dict[str, Any]:
    row = {"arm": arm, "benchmark": name, "primary": True, "mean": mean, "n_items": n_items, "ci95": ci95}
    return row | {"ci_method": "t", "ci95_reason": None if ci95 else "one_item"}


def test_a_category_is_the_plain_mean_of_its_benchmarks() -> None:
    run = {"benchmarks": [benchmark("a", "reasoning"), benchmark("b", "reasoning"), benchmark("c", None)]}
    run["arms"] = [{"name": "f16"}, {"name": "f16~aa"}]
    results = [
        result("f16", "a", 0.4, [0.37, 0.45], 1000),
        result("f16", "b", 0.6, [0.56, 0.72]),
        result("f16", "c", 1, None),
    ]
    (row,) = category_rows(run, results, {})
    assert (row["category"], row["arm"], row["benchmarks"], row["n_items"]) == ("reasoning", "f16", ["a", "b"], 1010)
    assert row["mean"] == pytest.approx(0.5)
    assert row["ci95"] == [pytest.approx(0.475), pytest.approx(0.565)]  # by hand in tests/stats/test_categories.py
    assert row["ci_method"] == "square_and_add"


def test_benchmarks_that_ask_the_same_questions_are_paired() -> None:
    """Items pair by id, or by the id of the question that they translate. The correlation is 1 here: .03 + .04."""
    run = {"benchmarks": [benchmark(name, "reasoning") | {"questions": "q"} for name in ("a", "b")]}
    run["arms"] = [{"name": "f16"}]
    results = [result("f16", "a", 0.5, [0.47, 0.53], 4), result("f16", "b", 0.5, [0.46, 0.54], 4)]
    means = [0.0, 1.0, 0.0, 1.0]
    items = {
        "a": pl.DataFrame({"item_id": list("wxyz"), "cluster": [f"item {one}" for one in "wxyz"], "mean": means}),
        "b": pl.DataFrame({"item_id": list("1234"), "cluster": list("wxyz"), "mean": means}),
    }
    forms = run["benchmarks"]
    scored = {("f16", one["name"]): ScoredArm("f16", one, pl.DataFrame(), items[one["name"]]) for one in forms}
    (row,) = category_rows(run, results, scored)
    assert row["ci95"] == [pytest.approx(0.5 - 0.035), pytest.approx(0.5 + 0.035)]
    others = [benchmark(name, "reasoning") for name in ("a", "b")]
    (apart,) = category_rows({**run, "benchmarks": others}, results, {})
    assert apart["ci95"] == [pytest.approx(0.475), pytest.approx(0.525)]


def test_without_one_of_its_benchmarks_a_category_has_no_mean() -> None:
    run = {"benchmarks": [benchmark("a", "reasoning"), benchmark("b", "reasoning")], "arms": [{"name": "q8_0"}]}
    (row,) = category_rows(run, [result("q8_0", "a", 0.4, [0.3, 0.5]), result("q8_0", "b", None, None, 0)], {})
    assert (row["mean"], row["mean_reason"], row["ci95_reason"]) == (None, "benchmark_missing", "benchmark_missing")


def test_benchmarks_with_different_metrics_are_not_averaged() -> None:
    run = {"benchmarks": [benchmark("a", "english"), benchmark("b", "english", "nll")], "arms": [{"name": "f16"}]}
    rows = category_rows(run, [result("f16", "a", 0.4, [0.3, 0.5]), result("f16", "b", 2.0, [1.9, 2.1])], {})
    assert [(row["metric"], row["mean"]) for row in rows] == [("accuracy", 0.4), ("nll", 2.0)]
