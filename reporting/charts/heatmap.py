"""All comparisons at a glance: arms down, benchmarks across, the effect size as colour, difference and verdict as text.

Colours are blue for better and orange for worse, told apart with every kind of colour vision; the text says the same.
"""

from __future__ import annotations

import altair as alt

from reporting.charts.points import ARM_LABEL_CHARS
from reporting.charts.style import AnyChart, chart_of, figure, source_lines
from reporting.escape import one_line
from reporting.results_folder import Findings, Json
from reporting.wording import Words, difference_scale, verdict_word

_CELL_WIDTH_PX = 150
_ROW_PX = 40
_TITLE_CHARS = 24
_STRONG = 0.8
"""Effect size from which the colour is full: what Cohen (1988) calls a large effect."""
_DARK = 0.5
"""Effect size from which letters must be white to be read."""


def heatmap_chart(findings: Findings, words: Words) -> AnyChart | None:
    """The chart; None where nothing was compared."""
    candidates = {_label(arm["name"]) for arm in findings.candidates}
    cells = [
        cell
        for benchmark in findings.benchmarks
        for cell in _cells(words, benchmark, findings.compared(benchmark["name"]))
        if cell["arm"] in candidates
    ]
    if not cells:
        return None
    shown = {cell["arm"] for cell in cells}
    order = [name for name in (_label(arm["name"]) for arm in findings.arms) if name in shown]
    benchmarks = list(dict.fromkeys(cell["benchmark"] for cell in cells))
    x = alt.X(
        "benchmark:N",
        sort=benchmarks,
        axis=alt.Axis(title=None, orient="top", labelAngle=0, labelLimit=_CELL_WIDTH_PX, ticks=False, domain=False),
    )
    y = alt.Y("arm:N", sort=order, axis=alt.Axis(title=None, ticks=False, domain=False))
    scale = alt.Scale(scheme="blueorange", domain=[-_STRONG, _STRONG], domainMid=0, reverse=True, clamp=True)
    legend = alt.Legend(
        title=words.say("効果量 d(負: 悪い)", "Effect size d (negative: worse)"), orient="bottom", titleLimit=500
    )
    base = chart_of(cells).encode(x=x, y=y)
    # What has no effect size is not drawn by Vega-Lite, and the ground shows.
    ground = base.mark_rect(stroke="white", strokeWidth=2, fill="#E4E4E4")
    drawn = base.mark_rect(stroke="white", strokeWidth=2).encode(
        color=alt.Color("effect:Q", scale=scale, legend=legend)
    )
    ink = alt.condition(f"abs(datum.effect) > {_DARK}", alt.value("white"), alt.value("#222222"))
    above = base.mark_text(dy=-7, fontSize=10.5).encode(text="difference:N", color=ink)
    below = base.mark_text(dy=8, fontSize=10).encode(text="verdict:N", color=ink)
    chart = alt.layer(ground, drawn, above, below, width=_CELL_WIDTH_PX * len(benchmarks), height=_ROW_PX * len(order))
    title = [words.say("基準との差の一覧", "Differences from the reference at a glance")]
    subtitle = source_lines(findings, words) + words.lines(
        "上段: 差(アーム − 基準)と問題数 n。下段: 許容幅に対する判定。色: 効果量 d(良い向きが正)。灰色: 定義されない。",
        "Above: difference (arm minus reference) and n items. Below: verdict by the margin. Colour: effect size d, "
        "turned so that positive is better; grey: undefined.",
    )
    return figure([chart], title, subtitle)


def _label(name: str) -> str:
    return one_line(name, ARM_LABEL_CHARS)


def _cells(words: Words, benchmark: Json, rows: list[Json]) -> list[Json]:
    known = [row for row in rows if row["difference"] is not None]
    if not known:
        return []
    scale = difference_scale(known)
    sign = 1 if benchmark["higher_is_better"] else -1
    title = one_line(benchmark["name"], _TITLE_CHARS)
    return [
        {
            "arm": _label(row["arm"]),
            "benchmark": title,
            "effect": None if row["cohens_d"] is None else sign * row["cohens_d"],
            "difference": f"{scale.difference(row['difference'])} (n = {row['n_items']})",
            "verdict": verdict_word(words, row.get("verdict")),
        }
        for row in known
    ]
