"""Perplexity per test language and importance matrix: a panel a language, a line a recipe.

Drawn where the arms form a grid of recipes and matrices (the analysis finds it: `factorial`). Lines join what belongs
together; matrices have no order, and nothing lies between them.
"""

from __future__ import annotations

import altair as alt

from reporting.charts.points import domain
from reporting.charts.style import PALETTE, PANEL_WIDTH_PX, AnyChart, Panelled, chart_of, figure, source_lines
from reporting.escape import one_line
from reporting.findings import Findings, Json
from reporting.wording import Words, benchmark_title

_HEIGHT_PX = 230
_DODGE_PX = 9
_NO_IMATRIX = "none"


def grid_charts(findings: Findings, words: Words) -> AnyChart | None:
    """All grids' panels in one figure; None where the arms form none."""
    grids = [] if findings.analysis is None else findings.analysis.get("factorial", [])
    drawn = [
        panel for grid in grids for language in grid["languages"] if (panel := _panel(findings, words, grid, language))
    ]
    if not drawn:
        return None
    title = [words.say("重要度行列・テスト言語とパープレキシティ", "Perplexity by importance matrix and test language")]
    subtitle = source_lines(findings, words) + words.lines(
        "縦線: チャンクの抽出に対する95%信頼区間。アームの比較は対応のある差による。結果は他のモデルには及ばない。",
        "Bars: 95% interval over chunks; arms are compared by paired differences. Does not carry over to other models.",
    )
    return figure(drawn, title, subtitle)


def _panel(findings: Findings, words: Words, grid: Json, language: str) -> Panelled | None:
    benchmark = next((one for one in findings.benchmarks if one["name"] == language), None)
    points = _points(findings, grid, language)
    if benchmark is None or not points:
        return None
    recipes = [one_line(name, 30) for name in grid["recipes"]]
    matrices = [one_line(name, 30) for name in grid["imatrices"]]
    bounds = [value for point in points for value in (point["low"], point["high"], point["mean"]) if value is not None]
    y_scale = alt.Scale(domain=domain(bounds), nice=False, zero=False)
    x = alt.X(
        "imatrix:N",
        sort=matrices,
        scale=alt.Scale(domain=matrices),
        axis=alt.Axis(title=words.say("重要度行列", "Importance matrix"), labelAngle=0, ticks=False),
    )
    offset = alt.XOffset("recipe:N", sort=recipes, scale=alt.Scale(domain=recipes, range=[-_DODGE_PX, _DODGE_PX]))
    axis = alt.Axis(title=words.say("パープレキシティ(小さいほど良い)", "Perplexity (lower is better)"), format="~f")
    y = alt.Y("mean:Q", scale=y_scale, axis=axis)
    legend = alt.Legend(title=words.say("型", "Recipe"), orient="bottom")
    colours = [PALETTE[place % len(PALETTE)] for place in range(len(recipes))]
    colour = alt.Color("recipe:N", sort=recipes, scale=alt.Scale(domain=recipes, range=colours), legend=legend)
    shape = alt.Shape("recipe:N", sort=recipes, scale=alt.Scale(domain=recipes), legend=legend)
    base = chart_of(points).encode(x=x, xOffset=offset, color=colour)
    n_items = max(point["n"] for point in points)
    return alt.layer(
        base.mark_line(strokeWidth=1, opacity=0.6).encode(y=y),
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.4)
        .encode(y=alt.Y("low:Q", scale=y_scale), y2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(y=y, shape=shape),
        width=PANEL_WIDTH_PX,
        height=_HEIGHT_PX,
        title=alt.TitleParams(
            text=benchmark_title(words, benchmark), subtitle=[f"n = {n_items} {words.say('チャンク', 'chunks')}"]
        ),
    )


def _points(findings: Findings, grid: Json, language: str) -> list[Json]:
    rows = findings.shown_rows(language)
    points = []
    for arm in findings.arms:
        matrix = arm["imatrix"] or _NO_IMATRIX
        row = rows.get(arm["name"])
        if row is None or arm["reference"] != grid["reference"]:
            continue
        if arm["recipe"] in grid["recipes"] and matrix in grid["imatrices"]:
            low, high = row["ci95"] or (None, None)
            place = {"recipe": one_line(arm["recipe"], 30), "imatrix": one_line(matrix, 30)}
            points.append(place | {"mean": row["mean"], "low": low, "high": high, "n": row["n_items"]})
    return points
