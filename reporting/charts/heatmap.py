"""Heat map of all comparisons: one row per arm, one column per benchmark.

The colour shows the effect size; the text shows the difference and the verdict. Blue is better and orange is worse,
which can be told apart with every kind of colour vision.
"""

from __future__ import annotations

import altair as alt

from reporting.charts.points import ARM_LABEL_CHARS
from reporting.charts.style import AnyChart, chart_of, figure, source_lines
from reporting.escape import one_line
from reporting.results_folder import Findings, Json, unscored_of
from reporting.wording import Words, difference_scale, integer, verdict_word

_COLUMN_PX = 150
_ROW_PX = 40
_TITLE_CHARS = 24
_STRONG = 0.8
"""Effect size from which the colour is at its strongest: Cohen (1988) calls this a large effect."""
_DARK = 0.5
"""Effect size from which the text is white, because black would be hard to read."""


def heatmap_chart(findings: Findings, words: Words) -> AnyChart | None:
    """Return the chart; None if nothing was compared."""
    candidates = {_label(arm["name"]) for arm in findings.candidates}
    squares = [
        square
        for benchmark in findings.benchmarks
        for square in _squares(words, benchmark, findings.compared(benchmark["name"]))
        if square["arm"] in candidates
    ]
    if not squares:
        return None
    shown = {square["arm"] for square in squares}
    order = [name for name in (_label(arm["name"]) for arm in findings.arms) if name in shown]
    benchmarks = list(dict.fromkeys(square["benchmark"] for square in squares))
    x = alt.X(
        "benchmark:N",
        sort=benchmarks,
        axis=alt.Axis(title=None, orient="top", labelAngle=0, labelLimit=_COLUMN_PX, ticks=False, domain=False),
    )
    y = alt.Y("arm:N", sort=order, axis=alt.Axis(title=None, ticks=False, domain=False))
    scale = alt.Scale(scheme="blueorange", domain=[-_STRONG, _STRONG], domainMid=0, reverse=True, clamp=True)
    legend = alt.Legend(
        title=words.say("効果量 d(負: 悪い)", "Effect size d (negative: worse)"), orient="bottom", titleLimit=500
    )
    base = chart_of(squares).encode(x=x, y=y)
    # Vega-Lite does not draw a square without an effect size, so the background shows.
    ground = base.mark_rect(stroke="white", strokeWidth=2, fill="#E4E4E4")
    drawn = base.mark_rect(stroke="white", strokeWidth=2).encode(
        color=alt.Color("effect:Q", scale=scale, legend=legend)
    )
    ink = alt.condition(f"abs(datum.effect) > {_DARK}", alt.value("white"), alt.value("#222222"))
    above = base.mark_text(dy=-7, fontSize=10.5).encode(text="difference:N", color=ink)
    below = base.mark_text(dy=8, fontSize=10).encode(text="verdict:N", color=ink)
    chart = alt.layer(ground, drawn, above, below, width=_COLUMN_PX * len(benchmarks), height=_ROW_PX * len(order))
    title = [words.say("基準との差の一覧", "Differences from the reference at a glance")]
    subtitle = source_lines(findings, words) + words.lines(
        "上段: 差(アーム − 基準)と問題数 n。下段: 許容幅による判定。色: 効果量 d(正なら良い)。灰色: 値なし。",
        "Above: difference (arm minus reference) and n items. Below: verdict by the margin. Colour: effect size d "
        "(positive: better); grey: undefined.",
    )
    return figure([chart], title, subtitle)


def _label(name: str) -> str:
    return one_line(name, ARM_LABEL_CHARS)


def _count(words: Words, row: Json) -> str:
    """Return the number of items, and that of unscored records if there are any; it stands in brackets."""
    items, unscored = integer(row["n_items"]), unscored_of(row)
    if not unscored:
        return items
    return f"{items}, {words.say(f'採点不能 {integer(unscored)} 件', f'{integer(unscored)} unscored')}"


def _squares(words: Words, benchmark: Json, rows: list[Json]) -> list[Json]:
    """Return one square of the heat map per comparison that has a difference."""
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
            "difference": f"{scale.difference(row['difference'])} (n = {_count(words, row)})",
            "verdict": verdict_word(words, row.get("verdict")),
        }
        for row in known
    ]
