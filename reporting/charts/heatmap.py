"""Heat map of all comparisons: one row per arm, one column per benchmark, coloured by verdict.

Each cell shows the paired difference with its unit, and its interval. A symbol repeats the verdict, and the colours
differ in brightness, so that a grey print can also be read.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from reporting.charts.difference import pairs_text
from reporting.charts.labels import arm_text, label_width
from reporting.charts.layout import figure, row_px
from reporting.charts.points import ARM_LABEL_CHARS
from reporting.charts.style import (
    VERDICTS,
    Specification,
    chart_of,
    interval_tooltips,
    models_text,
    verdict_code,
    verdict_title,
)
from reporting.escape import one_line
from reporting.results_folder import Findings, Json
from reporting.wording import RIGHT_OR_WRONG, Scale, Words, difference_scale, integer

_COLUMN_PX = 136
_MOST_ROW_PX = 40
_TWO_LINES_PX = 30
"""From this height on, a cell also shows the interval."""
_TITLE_CHARS = 22
_HEAD_LINES = 3
"""Name, number of items, number of unscored records."""
_HEAD_LINE_PX = 13


def heatmap_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart; None if nothing was compared."""
    columns = _columns(findings, words)
    cells = [cell for _, own in columns for cell in own]
    if not cells:
        return None
    shown = {cell["label"] for cell in cells}
    order = [name for name in (_label(arm["name"]) for arm in findings.arms) if name in shown]
    heads = [head for head, _ in columns]
    height = row_px(len(order), 1, 1, _MOST_ROW_PX)
    top = alt.Axis(
        title=None,
        orient="top",
        labelAngle=0,
        labelLimit=_COLUMN_PX,
        labelExpr="split(datum.label, '\\n')",
        # The lines of a label run down from its first one, so the first one stands so much higher.
        labelPadding=_HEAD_LINE_PX * max(len(head.rstrip("\n").split("\n")) - 1 for head in heads) + 4,
        ticks=False,
        domain=False,
    )
    side = alt.Axis(title=None, ticks=False, domain=False, labelLimit=int(max(map(label_width, order))) + 10)
    x = alt.X("column:N", scale=alt.Scale(domain=heads), axis=top)
    y = alt.Y("label:N", scale=alt.Scale(domain=order), axis=side)
    base = chart_of(cells).encode(x=x, y=y)
    two = height >= _TWO_LINES_PX
    upper, lower = (-8, 8) if two else (0, 0)
    ink = alt.Color("ink:N", scale=None)
    codes = [code for code in VERDICTS if any(cell["verdict"] == _named(words, code) for cell in cells)]
    named = [_named(words, code) for code in codes]
    fills = alt.Scale(domain=named, range=[VERDICTS[code].cell for code in codes])
    layers = [
        base.mark_rect(stroke="#BDBDBD", strokeWidth=1).encode(
            color=alt.Color("verdict:N", scale=fills, legend=_legend(words)),
            tooltip=interval_tooltips(words, words.say("差", "difference")),
        ),
        base.mark_point(size=40, xOffset=-_COLUMN_PX / 2 + 13, yOffset=upper, opacity=1, strokeWidth=1.5).encode(
            shape=alt.Shape("shape:N", scale=None),
            stroke=alt.Stroke("edge:N", scale=None),
            fill=alt.Fill("inside:N", scale=None),
        ),
        base.mark_text(dy=upper, dx=6, fontSize=11).encode(text=alt.Text("value:N"), color=ink),
    ]
    if two:
        layers.append(base.mark_text(dy=lower, dx=6, fontSize=9.5).encode(text=alt.Text("interval:N"), color=ink))
    chart = alt.layer(*layers, width=_COLUMN_PX * len(heads), height=height * len(order))
    models = models_text(findings, words)
    subtitle = [
        words.say(
            f"{models}: 各ベンチマークでの対応のある差(アーム − 基準)",
            f"{models}: paired difference, arm minus reference",
        ),
        words.say(
            "色と記号: 許容幅による判定。角括弧: 差の95%信頼区間。n は列の見出しに示す。",
            "Colour and symbol: verdict by the margin. Brackets: 95% interval of the difference. n heads each column.",
        ),
    ]
    return figure([chart], words.say("判定の一覧", "Verdicts at a glance"), subtitle, shared=("color",))


def _named(words: Words, code: str) -> str:
    """Return a verdict's symbol and name, for the legend."""
    return f"{VERDICTS[code].symbol} {verdict_title(words, code)}"


def _legend(words: Words) -> alt.Legend:
    return alt.Legend(
        title=words.say("判定", "Verdict"),
        orient="bottom",
        direction="horizontal",
        symbolType="square",
        symbolSize=170,
        symbolStrokeColor="#8F8F8F",
        symbolStrokeWidth=1,
        titleOrient="left",
    )


def _columns(findings: Findings, words: Words) -> list[tuple[str, list[Json]]]:
    """Return the heading and the cells of each column: the claim on average, then the benchmarks."""
    candidates = {arm["name"] for arm in findings.candidates}

    def known(rows: Sequence[Json]) -> list[Json]:
        return [row for row in rows if row["difference"] is not None and row["arm"] in candidates]

    found = []
    pooled = known((findings.analysis or {}).get("pooled") or [])
    if pooled:
        found.append(_column(words, words.say("平均", "on average"), pooled, RIGHT_OR_WRONG, " pp"))
    for benchmark in findings.benchmarks:
        rows = known(findings.compared(benchmark["name"]))
        if rows:
            unit = " ln PPL" if rows[0]["metric"] == "nll" else ""
            found.append(_column(words, benchmark["name"], rows, difference_scale(rows), unit))
    return found


def _column(words: Words, name: str, rows: Sequence[Json], scale: Scale, unit: str) -> tuple[str, list[Json]]:
    lines = [one_line(name, _TITLE_CHARS), *pairs_text(words, rows).split("; ")]
    head = "\n".join(lines + [""] * (_HEAD_LINES - len(lines)))
    return head, [_cell(words, head, row, scale, unit) for row in rows]


def _cell(words: Words, head: str, row: Json, scale: Scale, unit: str) -> Json:
    code = verdict_code(row)
    style = VERDICTS[code]
    text = scale.difference(row["difference"])
    dark = style.ink == "#FFFFFF"
    return {
        "arm": row["arm"],
        "label": _label(row["arm"]),
        "column": head,
        "verdict": _named(words, code),
        "value": text if text.endswith(" pp") else text + unit,
        "interval": scale.signed_interval(row["ci95"]),
        "n": integer(row["n_items"]),
        "ink": style.ink,
        "shape": style.shape,
        "edge": style.ink if dark else style.colour,
        "inside": style.ink if dark else style.fill,
    }


def _label(name: str) -> str:
    return arm_text(name, ARM_LABEL_CHARS)
