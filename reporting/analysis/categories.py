"""The mean of each arm in each category of benchmarks.

A benchmark declares its category. The mean of a category is the plain mean of its benchmarks' means. It is made only
of benchmarks with the same metric, and only if the arm has a result on each of them. Losses are averaged as losses;
`reporting.categories` shows them as perplexities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reporting.analysis.fields import Json, interval, method, number
from reporting.analysis.scored_arms import AA_SUFFIX
from stats.categories import joined_interval, mean_of_means
from stats.intervals import Interval
from stats.reasons import Reason


def category_rows(run: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> list[Json]:
    """Return one row per category, metric and arm, in the order of the run's benchmarks and arms.

    Args:
        run: the run's description. Benchmarks without a category are left out.
        results: the rows of `quantization_comparison.json`.
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
            **_mean([primary.get((arm, name)) for name in names]),
        }
        for (category, metric), names in groups.items()
        for arm in arms
    ]


def _mean(rows: Sequence[Mapping[str, Any] | None]) -> Json:
    """Return the mean over the rows, with its interval. All rows must have a mean, else it is undefined."""
    known = [row for row in rows if row is not None and row["mean"] is not None]
    n_items = sum(row["n_items"] for row in known)
    missing = Reason.BENCHMARK_MISSING
    if len(known) < len(rows):
        return {**number("mean", missing), **interval("ci95", missing), "ci_method": None, "n_items": n_items}
    means = [float(row["mean"]) for row in known]
    found = joined_interval(means, [_interval(row) for row in known])
    return {
        **number("mean", mean_of_means(means)),
        **interval("ci95", found),
        "ci_method": method(found),
        "n_items": n_items,
    }


def _interval(row: Mapping[str, Any]) -> Interval | Reason:
    if row["ci95"] is None:
        return Reason(row["ci95_reason"])
    low, high = row["ci95"]
    return Interval(low, high, row["ci_method"])
