"""The values and labels that charts show for each arm on each benchmark.

Intervals are those of the statistics. A null interval stays null and is never drawn as an interval of zero width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from reporting.charts.labels import arm_text
from reporting.charts.style import counts_text, role_title
from reporting.results_folder import Findings, Json
from reporting.wording import Scale, Words, benchmark_title, integer, listed, method_title, metric_title, scale_of

ARM_LABEL_CHARS = 40
Range = tuple[float, float]
EVERYTHING: Range = (-math.inf, math.inf)


@dataclass(frozen=True)
class Point:
    """One arm's value on one benchmark, in the metric's own unit."""

    arm: str
    label: str
    role: str
    mean: float
    low: float | None
    high: float | None
    run_low: float | None
    run_high: float | None
    value: str
    interval: str
    n: str


@dataclass(frozen=True)
class Panel:
    """One benchmark: its labels and its points."""

    name: str
    title: str
    subtitle: str
    axis_title: str
    """The metric, and which direction is better."""
    possible: Range
    """The values that the metric can have."""
    higher_is_better: bool
    scale: Scale
    points: tuple[Point, ...]
    """The arms with a result."""
    labels: tuple[str, ...]
    """Labels of all arms that have a result or should have one."""


def arm_label(findings: Findings, words: Words, arm: Json) -> str:
    """Return an arm's name, with a mark if it is a reference."""
    mark = f" ({words.say('基準', 'ref.')})" if findings.role(arm) == "reference" else ""
    return arm_text(arm["name"], ARM_LABEL_CHARS) + mark


def panels(findings: Findings, words: Words, *, plain_bars: bool = False) -> list[Panel]:
    """Return one panel per benchmark, in the order of the results file. What no judge has scored has none.

    `plain_bars`: use 1.96 sigma/sqrt(n) in place of the intervals of the statistics.
    """
    return [
        _panel(findings, words, benchmark, plain_bars)
        for benchmark in findings.benchmarks
        if benchmark not in findings.unjudged
    ]


def unjudged_note(findings: Findings, words: Words) -> str:
    """Return a sentence, to stand behind another, on the benchmarks that have no panel; empty if there are none."""
    names = listed(words, (str(one["name"]) for one in findings.unjudged))
    return words.say(f"未採点のため省いた: {names}。", f" Left out, not judged: {names}.") if names else ""


def _panel(findings: Findings, words: Words, benchmark: Json, plain_bars: bool) -> Panel:
    rows = findings.shown_rows(benchmark["name"])
    if plain_bars:
        rows = {name: _with_plain_bar(row, findings.primary(name, benchmark["name"])) for name, row in rows.items()}
    metric = next(iter(rows.values()))["metric"] if rows else benchmark["metric"]
    scale = scale_of(metric, list(_values(rows.values())))
    points = tuple(
        _point(rows[arm["name"]], arm, arm_label(findings, words, arm), role_title(words, findings.role(arm)), scale)
        for arm in findings.arms
        if arm["name"] in rows
    )
    candidates = {arm["name"] for arm in findings.candidates}
    labels = tuple(
        arm_label(findings, words, arm) for arm in findings.arms if arm["name"] in rows or arm["name"] in candidates
    )
    better = benchmark["higher_is_better"]
    direction = (
        words.say("大きいほど良い", "higher is better") if better else words.say("小さいほど良い", "lower is better")
    )
    return Panel(
        name=benchmark["name"],
        title=benchmark_title(words, benchmark),
        subtitle=measured_line(words, benchmark, list(rows.values())),
        axis_title=in_brackets(words, metric_title(words, metric), direction),
        possible=possible_values(metric, benchmark),
        higher_is_better=better,
        scale=scale,
        points=points,
        labels=labels,
    )


def _with_plain_bar(row: Json, primary: Json | None) -> Json:
    """Return the row with mean ± 1.96 sigma/sqrt(n) over items as its interval; no interval if sigma is undefined.

    Sigma is that of the primary row. For a perplexity the interval is the exponential of the loss's interval.
    """
    none = row | {"ci95": None, "ci_method": None}
    if primary is None or primary["sigma_items"] is None:
        return none
    half = 1.96 * primary["sigma_items"] / math.sqrt(primary["n_items"])
    ends = [primary["mean"] - half, primary["mean"] + half]
    if row["metric"] == "perplexity":
        ends = [math.exp(end) for end in ends]
    return row | {"ci95": ends, "ci_method": "1.96σ/√n"}


def in_brackets(words: Words, text: str, more: str) -> str:
    """Return a text with more in brackets."""
    return words.say(f"{text}({more})", f"{text} ({more})")


def measured_line(words: Words, benchmark: Json, rows: list[Json]) -> str:
    """Return how many items and runs were measured, and how the interval was made."""
    if not rows:
        return words.say("結果なし", "no results")
    unit = words.say("チャンク", "chunks") if benchmark["kind"] == "measure" else words.say("問", "items")
    if all(row["deterministic"] for row in rows):
        runs = words.say("サンプリングなし", "no sampling")
    else:
        runs = f"{max(row['n_runs'] for row in rows)} " + words.say("回の実行", "runs")
    parts = [f"n = {counts_text(row['n_items'] for row in rows)} {unit}", runs, methods_text(words, rows)]
    unscored = sum(row["n_unscored"] for row in rows)
    if unscored:
        parts.append(words.say("採点不能", "unscored") + f" {unscored:,}")
    return "; ".join(parts)


def methods_text(words: Words, rows: Iterable[Json]) -> str:
    """Return the names of the methods of the rows' intervals."""
    # A perplexity is the exponential of a loss, and so are the ends of its interval: readers know.
    codes = sorted({row["ci_method"].removeprefix("exp_") for row in rows if row["ci95"] is not None})
    if not codes:
        return words.say("区間なし", "no interval")
    return listed(words, (method_title(words, code) for code in codes))


def _values(rows: Iterable[Json]) -> Iterable[float]:
    for row in rows:
        if row["mean"] is not None:
            yield row["mean"]
        yield from row["ci95"] or ()


def _point(row: Json, arm: Json, label: str, role: str, scale: Scale) -> Point:
    low, high = row["ci95"] or (None, None)
    half = row["error_bar_runs"]
    return Point(
        arm=arm["name"],
        label=label,
        role=role,
        mean=row["mean"],
        low=low,
        high=high,
        run_low=None if half is None else row["mean"] - half,
        run_high=None if half is None else row["mean"] + half,
        value=scale.value(row["mean"]),
        interval=scale.interval(row["ci95"]),
        n=integer(row["n_items"]),
    )


def possible_values(metric: str, benchmark: Json) -> Range:
    """Return the smallest and the largest value that a metric can have on a benchmark."""
    if metric == "perplexity":
        return 1.0, math.inf
    if metric == "nll":
        return 0.0, math.inf
    if metric == "gold_loglik":
        return -math.inf, 0.0
    low, high = benchmark.get("scale") or ((0.0, 1.0) if metric in ("accuracy", "gold_probability") else EVERYTHING)
    return low, high


def possible_differences(metric: str, benchmark: Json) -> Range:
    """Return the smallest and the largest difference of two values of a metric."""
    low, high = possible_values(metric, benchmark)
    return low - high, high - low


def domain(values: Iterable[float], possible: Range = EVERYTHING, margin: float = 0.08) -> list[float]:
    """Return axis limits around `values` within what is possible, never of zero width; [0, 1] without values."""
    known = list(values)
    if not known:
        return [0.0, 1.0]
    low, high = min(known), max(known)
    span = (high - low) or abs(high) * 0.1 or 1.0
    return [max(low - margin * span, possible[0]), min(high + margin * span, possible[1])]


def extent(points: Iterable[Point]) -> list[float]:
    """Return all values that must lie inside the panel."""
    found: list[float] = []
    for point in points:
        candidates = (point.mean, point.low, point.high, point.run_low, point.run_high)
        found += [value for value in candidates if value is not None]
    return found
