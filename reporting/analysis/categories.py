"""The mean of each arm in each category of benchmarks.

A benchmark declares its category. The mean of a category is the plain mean of its benchmarks' means. It is made only
of benchmarks with the same metric, and only if the arm has a result on each of them. Losses are averaged as losses;
`reporting.categories` shows them as perplexities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.fields import Json, interval, method, number
from reporting.analysis.scored_arms import AA_SUFFIX, ScoredArm, ScoredArms
from stats.categories import joined_interval, mean_of_means, means_correlation
from stats.intervals import Floats, Interval
from stats.reasons import Reason


def category_rows(run: Mapping[str, Any], results: Sequence[Mapping[str, Any]], scored: ScoredArms) -> list[Json]:
    """Return one row per category, metric and arm, in the order of the run's benchmarks and arms.

    Args:
        run: the run's description. Benchmarks without a category are left out.
        results: the rows of `quantization_comparison.json`.
        scored: all arms of the run, to pair benchmarks that ask the same questions in different forms.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    better: dict[tuple[str, str], bool] = {}
    for benchmark in run["benchmarks"]:
        if benchmark.get("category"):
            key = (benchmark["category"], benchmark["metric"])
            groups.setdefault(key, []).append(benchmark["name"])
            better[key] = benchmark["higher_is_better"]
    primary = {(row["arm"], row["benchmark"]): row for row in results if row["primary"]}
    arms = [arm["name"] for arm in run["arms"] if not arm["name"].endswith(AA_SUFFIX)]
    return [
        {
            "category": category,
            "metric": metric,
            "arm": arm,
            "higher_is_better": better[category, metric],
            "benchmarks": names,
            **_mean([primary.get((arm, name)) for name in names], [scored.get((arm, name)) for name in names]),
        }
        for (category, metric), names in groups.items()
        for arm in arms
    ]


def _mean(rows: Sequence[Mapping[str, Any] | None], arms: Sequence[ScoredArm | None]) -> Json:
    """Return the mean over the rows, with its interval. All rows must have a mean, else it is undefined."""
    known = [row for row in rows if row is not None and row["mean"] is not None]
    n_items = sum(row["n_items"] for row in known)
    missing = Reason.BENCHMARK_MISSING
    if len(known) < len(rows):
        return {**number("mean", missing), **interval("ci95", missing), "ci_method": None, "n_items": n_items}
    means = [float(row["mean"]) for row in known]
    found = joined_interval(means, [_interval(row) for row in known], _correlations(arms))
    return {
        **number("mean", mean_of_means(means)),
        **interval("ci95", found),
        "ci_method": method(found),
        "n_items": n_items,
    }


def _correlations(arms: Sequence[ScoredArm | None]) -> Floats:
    """Return the correlations of an arm's means; those that share no questions are independent."""
    matrix = np.eye(len(arms))
    for (place, one), (other_place, other) in combinations(enumerate(arms), 2):
        if one is None or other is None or (questions := one.benchmark.get("questions")) is None:
            continue
        if questions == other.benchmark.get("questions"):
            both = _by_question(one).join(_by_question(other), on="question", suffix="_other").sort("question")
            sizes = one.scored_items.height, other.scored_items.height
            found = means_correlation(both["mean"].to_numpy(), both["mean_other"].to_numpy(), *sizes)
            matrix[place, other_place] = matrix[other_place, place] = found
    return matrix


def _by_question(arm: ScoredArm) -> pl.DataFrame:
    question = pl.col("cluster").str.strip_prefix("item ").alias("question")
    return arm.scored_items.select(question, "mean").unique("question", keep="none")


def _interval(row: Mapping[str, Any]) -> Interval | Reason:
    if row["ci95"] is None:
        return Reason(row["ci95_reason"])
    low, high = row["ci95"]
    return Interval(low, high, row["ci_method"])
