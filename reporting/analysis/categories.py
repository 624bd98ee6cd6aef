"""From benchmarks to categories: what they ask for, and each arm's mean in each category.

A benchmark declares its category. The known ones are those by which Japanese leaderboards sort theirs (general language
ability in ten, alignment in six), and language modelling for perplexity; any other name is shown as it is. A category's
mean is the plain mean of its benchmarks' means, so it is made of benchmarks with one metric only, and only where the
arm gave a result on each of them. A loss is averaged, and people read its exponential: a perplexity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reporting.analysis.cells import AA_SUFFIX, interval, method, number
from reporting.wording import Words
from stats.categories import joined_interval, mean_of_means
from stats.intervals import Interval
from stats.reasons import Reason

Json = dict[str, Any]

TITLES = {
    "expression": ("表現", "Expression"),
    "translation": ("翻訳", "Translation"),
    "information_retrieval": ("情報検索", "Information retrieval"),
    "reasoning": ("推論", "Reasoning"),
    "mathematical_reasoning": ("数学的推論", "Mathematical reasoning"),
    "extraction": ("抽出", "Extraction"),
    "knowledge_qa": ("知識・質問応答", "Knowledge and question answering"),
    "english": ("英語", "English"),
    "semantic_analysis": ("意味解析", "Semantic analysis"),
    "syntactic_analysis": ("構文解析", "Syntactic analysis"),
    "controllability": ("制御性", "Controllability"),
    "ethics_morality": ("倫理・道徳", "Ethics and morality"),
    "toxicity": ("毒性", "Toxicity"),
    "bias": ("バイアス", "Bias"),
    "robustness": ("堅牢性", "Robustness"),
    "truthfulness": ("真実性", "Truthfulness"),
    "language_modelling": ("言語モデリング", "Language modelling"),
}
"""Name -> title in Japanese and English."""


def category_title(words: Words, name: str, joint: str = " / ") -> str:
    """A category's title in the wanted language."""
    return words.say(*TITLES.get(name, (name, name)), joint)


def category_rows(run: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> list[Json]:
    """One row a category, metric and arm, in the order in which benchmarks and arms stand.

    Args:
        run: the run's description; benchmarks without a category belong to none.
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
    """The mean over the rows, which must all be there."""
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


def shown_row(row: Mapping[str, Any]) -> Json:
    """The row as people read it: a mean loss as the perplexity that is its exponential."""
    if row["metric"] != "nll":
        return dict(row)
    ends = None if row["ci95"] is None else [math.exp(end) for end in row["ci95"]]
    mean = None if row["mean"] is None else math.exp(row["mean"])
    return dict(row) | {"metric": "perplexity", "mean": mean, "ci95": ends}
