"""Performance of every arm on every benchmark, with error bars.

The thin bar is the 95% interval over items (the benchmark as a sample of questions). The thick bar is
`1.96 * sigma_runs / sqrt(runs)`, sampling noise only; without sampling there is no thick bar.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import altair as alt

from reporting.charts.points import Panel, arm_label, domain, extent, panels
from reporting.charts.style import (
    GREY,
    PANEL_WIDTH_PX,
    AnyChart,
    Panelled,
    chart_of,
    colours,
    figure,
    haloed,
    role_title,
    shape_encoding,
    source_lines,
)
from reporting.results_folder import Findings
from reporting.wording import Words

ROW_PX = 42


def performance_chart(findings: Findings, words: Words, *, plain_bars: bool = False) -> AnyChart:
    """Return the chart. A benchmark without any result has a panel that says so.

    Args:
        findings: the results.
        words: the language.
        plain_bars: draw 1.96 sigma/sqrt(n) over items in place of the intervals of the statistics.
    """
    labels = [arm_label(findings, words, arm) for arm in findings.arms]
    palette = colours(findings)
    drawn = [_panel_chart(panel, labels, palette, words) for panel in panels(findings, words, plain_bars=plain_bars)]
    title = [words.say("量子化ごとの性能", "Performance by quantization")]
    subtitle = source_lines(findings, words)
    ja, en = (
        ("1.96σ/√n(σ: 問題間)", "1.96σ/√n, σ between items")
        if plain_bars
        else (
            "問題の抽出に対する95%信頼区間",
            "95% interval over items",
        )
    )
    subtitle += words.lines(
        f"細い線: {ja}。太い線: 1.96σ/√実行回数(サンプリングのばらつきのみ)。破線: 基準の値。",
        f"Thin bars: {en}. Thick bars: 1.96σ/√runs (sampling noise only). Dashed: the reference.",
    )
    return figure(drawn or [empty_chart(words)], title, subtitle)


def empty_chart(words: Words) -> alt.Chart:
    """Return a chart that only says that there are no results."""
    text = words.say("結果なし", "no results")
    chart: alt.Chart = chart_of([{"text": text}]).mark_text(color=GREY).encode(text="text:N")
    return chart


def _panel_chart(panel: Panel, labels: list[str], palette: dict[str, str], words: Words) -> Panelled:
    scale = alt.Scale(domain=domain(extent(panel.points)), nice=False, zero=False)
    axis = alt.Axis(
        title=f"{panel.axis_title[0]} ({panel.axis_title[1]})",
        format=".0%" if panel.scale.percent else "~f",
        tickCount=5,
    )
    x = alt.X("mean:Q", scale=scale, axis=axis)
    y = alt.Y("label:N", sort=labels, scale=alt.Scale(domain=labels), axis=alt.Axis(title=None, ticks=False))
    colour = alt.Color("arm:N", scale=alt.Scale(domain=list(palette), range=list(palette.values())), legend=None)
    base = chart_of([asdict(point) for point in panel.points]).encode(y=y, color=colour)
    interval = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.6)
        .encode(x=alt.X("low:Q", scale=scale), x2="high:Q")
    )
    runs = (
        base.transform_filter("isValid(datum.run_low)")
        .mark_rule(strokeWidth=5, opacity=0.45)
        .encode(x=alt.X("run_low:Q", scale=scale), x2="run_high:Q")
    )
    marks = base.mark_point(filled=True, size=75, opacity=1).encode(x=x, shape=shape_encoding(words))
    values = haloed(base.encode(x=x, text="text:N"), dy=-12, fontSize=10.5)
    layers: list[Any] = [
        *_reference_rules(panel, palette, scale, words),
        interval,
        runs,
        marks,
        *values,
        _missing(panel, labels, words),
    ]
    return alt.layer(
        *layers,
        width=PANEL_WIDTH_PX,
        height=max(ROW_PX * len(labels), ROW_PX),
        title=alt.TitleParams(text=panel.title, subtitle=panel.subtitle),
    )


def _reference_rules(panel: Panel, palette: dict[str, str], scale: alt.Scale, words: Words) -> list[alt.Chart]:
    """Return a dashed line at the reference; no line if there are several, because it would be ambiguous."""
    found = [point for point in panel.points if point.role == role_title(words, "reference")]
    if len(found) != 1:
        return []
    rule = chart_of([{"mean": found[0].mean}]).mark_rule(strokeDash=[4, 3], color=GREY)
    return [rule.encode(x=alt.X("mean:Q", scale=scale))]


def _missing(panel: Panel, labels: list[str], words: Words) -> alt.Chart:
    """Return "no result" in the row of each arm without a result, so that a gap is not read as zero."""
    values = [{"label": label, "text": words.say("結果なし", "no result")} for label in panel.missing]
    y = alt.Y("label:N", sort=labels, scale=alt.Scale(domain=labels))
    middle = alt.value(PANEL_WIDTH_PX / 2)
    chart: alt.Chart = chart_of(values).mark_text(color=GREY, fontSize=10.5).encode(y=y, x=middle, text="text:N")
    return chart
