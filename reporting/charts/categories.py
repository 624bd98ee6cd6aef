"""Bars of every arm's mean in each category of benchmarks, with its interval: one panel per category.

The mean of a category is the plain mean of its benchmarks' means (`reporting.analysis.categories`). The title of each
panel names these benchmarks.
"""

from __future__ import annotations

import altair as alt

from reporting.categories import category_title, shown_row
from reporting.charts.points import arm_label
from reporting.charts.style import (
    PANEL_WIDTH_PX,
    AnyChart,
    Panelled,
    chart_of,
    colours,
    figure,
    haloed,
    source_lines,
)
from reporting.escape import one_line
from reporting.results_folder import Findings, Json
from reporting.wording import Words, integer, metric_title, scale_of

_ROW_PX = 30
_BAR_PX = 15
_ROOM = 1.28
"""Width of the axis, relative to the longest bar or interval: the text after its end needs room."""


def categories_chart(findings: Findings, words: Words) -> AnyChart | None:
    """Return the chart; None if no benchmark has a category, or if the results are older than categories."""
    groups: dict[tuple[str, str], list[Json]] = {}
    for row in findings.categories:
        groups.setdefault((row["category"], row["metric"]), []).append(shown_row(row))
    drawn = [panel for rows in groups.values() if (panel := _panel(findings, words, rows)) is not None]
    if not drawn:
        return None
    title = [words.say("カテゴリー別の性能", "Performance by category")]
    subtitle = source_lines(findings, words) + words.lines(
        "棒: カテゴリー内の各ベンチマークの平均の単純平均(パープレキシティは平均損失の指数)。"
        "線: 95%信頼区間(ベンチマークは互いに独立と仮定)。",
        "Bars: plain mean of the means of a category's benchmarks (perplexity: exponential of the mean loss). "
        "Lines: 95% interval, assuming that the benchmarks are independent.",
    )
    return figure(drawn, title, subtitle)


def _panel(findings: Findings, words: Words, rows: list[Json]) -> Panelled | None:
    of_arm = {row["arm"]: row for row in rows}
    arms = [arm for arm in findings.arms if arm["name"] in of_arm]
    known = [row for row in rows if row["mean"] is not None]
    if not known:
        return None
    first = rows[0]
    scale = scale_of(first["metric"], [end for row in known for end in (row["mean"], *(row["ci95"] or ()))])
    labels = [arm_label(findings, words, arm) for arm in arms]
    values = [
        _bar(of_arm[arm["name"]], label, scale.value(of_arm[arm["name"]]["mean"]), words)
        for arm, label in zip(arms, labels, strict=True)
    ]
    end = _ROOM * max(max(row["mean"], row["ci95"][1] if row["ci95"] else 0.0) for row in known)
    x_scale = alt.Scale(domain=[min(0.0, *(row["mean"] for row in known)), end or 1.0], nice=False)
    axis = alt.Axis(title=_axis_title(first, words), format=".0%" if scale.percent else "~f", tickCount=5)
    palette = colours(findings)
    colour = alt.Color("arm:N", scale=alt.Scale(domain=list(palette), range=list(palette.values())), legend=None)
    y = alt.Y("label:N", sort=labels, scale=alt.Scale(domain=labels), axis=alt.Axis(title=None, ticks=False))
    base = chart_of(values).encode(y=y)
    bars = base.mark_bar(size=_BAR_PX, opacity=0.45).encode(x=alt.X("mean:Q", scale=x_scale, axis=axis), color=colour)
    lines = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.8)
        .encode(x=alt.X("low:Q", scale=x_scale), x2="high:Q", color=colour)
    )
    texts = haloed(base.encode(x=alt.X("end:Q", scale=x_scale), text="text:N"), dx=6, fontSize=10.5, align="left")
    return alt.layer(
        bars,
        lines,
        *texts,
        width=PANEL_WIDTH_PX,
        height=_ROW_PX * len(labels),
        title=alt.TitleParams(text=category_title(words, first["category"]), subtitle=_made_of(words, rows)),
    )


def _axis_title(row: Json, words: Words) -> str:
    if row["higher_is_better"]:
        better = words.say("大きいほど良い", "higher is better")
    else:
        better = words.say("小さいほど良い", "lower is better")
    return f"{metric_title(words, row['metric'])} ({better})"


def _bar(row: Json, label: str, text: str, words: Words) -> Json:
    low, high = row["ci95"] or (None, None)
    return {
        "arm": row["arm"],
        "label": label,
        "mean": row["mean"],
        "low": low,
        "high": high,
        "end": max(row["mean"] or 0.0, high or 0.0),
        "text": words.say("結果なし", "no result") if row["mean"] is None else text,
    }


def _made_of(words: Words, rows: list[Json]) -> list[str]:
    counts = sorted({row["n_items"] for row in rows if row["mean"] is not None})
    n = integer(counts[0]) if len(counts) == 1 else f"{integer(counts[0])}–{integer(counts[-1])}"
    methods = ", ".join(sorted({str(row["ci_method"]) for row in rows if row["ci95"] is not None}))
    names = one_line(", ".join(rows[0]["benchmarks"]), 60)
    unit = ("チャンク", "chunks") if rows[0]["category"] == "language_modelling" else ("問", "items")
    return [
        f"{names}; n = {n} {words.say(*unit)}",
        words.say("区間", "interval") + f": {methods or words.say('なし', 'none')}",
    ]
