"""The effect of the importance matrix on one test text: one figure per language, if the arms form a grid (`factorial`).

The left panel shows the perplexity of each recipe with each matrix, and the reference as a line. Its bars are intervals
of the paired loss against the reference. Intervals of the perplexities themselves would mostly show how chunks of text
differ, and would hide the differences between arms on the same text. Matrices have no order, so no line joins the
points.

The right panel compares every pair of matrices, and says what the two differ in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt

from reporting.charts.difference import difference_title, direction
from reporting.charts.forest import Forest, Line, Row, forest_panel, label_px, panel_title
from reporting.charts.layout import figure, height_of, row_px
from reporting.charts.points import domain
from reporting.charts.style import (
    BLACK,
    INK,
    PALETTE,
    Panelled,
    Specification,
    chart_of,
    counts_text,
    models_text,
    tooltips,
)
from reporting.escape import one_line
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, benchmark_title, difference_words, number
from stats.verdict import ALPHA

PREFIX = "imatrix_"
"""Start of the figure's file name; the benchmark's name follows."""

_WIDTH_PX = 400
_MOST_HEIGHT_PX = 300
_LEAST_HEIGHT_PX = 200
_MOST_ROW_PX = 34
_DODGE_PX = 12
_NAME_CHARS = 30
_NO_IMATRIX = "none"
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")


def grid_languages(findings: Findings) -> list[str]:
    """Return the names of the benchmarks that have a figure."""
    return list(dict.fromkeys(language for grid in _grids(findings) for language in grid["languages"]))


def grid_chart(findings: Findings, words: Words, language: str) -> Specification | None:
    """Return the figure of one language, with two panels per grid; None if no arm of a grid was measured on it."""
    benchmark = next((one for one in findings.benchmarks if one["name"] == language), None)
    shown = [
        (grid, points)
        for grid in _grids(findings)
        if language in grid["languages"] and (points := _points(findings, grid, language))
    ]
    if benchmark is None or not shown:
        return None
    height = height_of(len(shown), 1, _MOST_HEIGHT_PX, _LEAST_HEIGHT_PX)
    drawn: list[Panelled] = []
    for grid, points in shown:
        drawn.append(_levels(findings, words, grid, language, points, height))
        drawn += _contrasts(words, grid, language, len(shown))
    effect = words.say("重要度行列の効果", "Effect of the importance matrix")
    models = models_text(findings, words)
    subtitle = [
        words.say(
            f"{models}: 行列と型ごとのパープレキシティ(左)と、行列どうしの差(右)",
            f"{models}: perplexity by matrix and recipe (left), matrices against each other (right)",
        ),
        words.say(
            "線: 同じチャンクでの差の95%信頼区間(補正なし)。塗りつぶし: Holm の補正後に p < 0.05。n は各パネルに示す。",
            "Bars: 95% interval of the difference on the same chunks, uncorrected. Filled: p < 0.05 after Holm's "
            "adjustment.",
        ),
    ]
    return figure(drawn, f"{effect}: {benchmark_title(words, benchmark)}", subtitle)


def _grids(findings: Findings) -> list[Json]:
    return [] if findings.analysis is None else list(findings.analysis.get("factorial", []))


# --- left: perplexity by matrix and variant -------------------------------------------------------


def _levels(
    findings: Findings, words: Words, grid: Json, language: str, points: Sequence[Json], height_px: int
) -> Panelled:
    reference = findings.shown(grid["reference"], language)
    level = None if reference is None else reference["mean"]
    bounds = [point[key] for point in points for key in ("mean", "low", "high") if point[key] is not None]
    ends = domain([*bounds, *([] if level is None else [level])], (1.0, math.inf))
    y_scale = alt.Scale(domain=ends, nice=False, zero=False)
    columns = list(dict.fromkeys(point["column"] for point in points))
    recipes = list(dict.fromkeys(point["recipe"] for point in points))
    x_axis = alt.Axis(title=words.say("重要度行列", "Importance matrix"), labelAngle=0, ticks=False)
    y_axis = alt.Axis(title=words.say("パープレキシティ(小さいほど良い)", "Perplexity (lower is better)"), format="~f")
    legend = alt.Legend(title=words.say("型", "Recipe"), orient="bottom")
    colours = alt.Scale(domain=recipes, range=[PALETTE[place % len(PALETTE)] for place in range(len(recipes))])
    shapes = alt.Scale(domain=recipes, range=[_SHAPES[place % len(_SHAPES)] for place in range(len(recipes))])
    base = chart_of(list(points)).encode(
        x=alt.X("column:N", scale=alt.Scale(type="point", domain=columns, padding=0.6), axis=x_axis),
        xOffset=alt.XOffset("recipe:N", scale=alt.Scale(domain=recipes, range=[-_DODGE_PX, _DODGE_PX])),
        color=alt.Color("recipe:N", scale=colours, legend=legend),
    )
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.6)
    marks = base.mark_point(filled=True, size=70, opacity=1)
    line = chart_of([] if level is None else [{"level": level}]).mark_rule(strokeDash=[5, 3], color=BLACK)
    return alt.layer(
        line.encode(y=alt.Y("level:Q", scale=y_scale, axis=y_axis)),
        bars.encode(y=alt.Y("low:Q", scale=y_scale, axis=y_axis), y2=alt.Y2("high:Q")),
        marks.encode(
            y=alt.Y("mean:Q", scale=y_scale, axis=y_axis),
            shape=alt.Shape("recipe:N", scale=shapes, legend=legend),
            tooltip=tooltips({"arm": words.say("アーム", "arm"), "value": words.say("値", "value"), **_tips(words)}),
        ),
        width=_WIDTH_PX,
        height=height_px,
        title=panel_title(
            words.say("行列と型ごとの値", "By matrix and recipe"),
            _level_line(words, grid, language, reference),
            _WIDTH_PX + 50,
        ),
    )


def _tips(words: Words) -> dict[str, str]:
    return {"interval": words.say("95%信頼区間", "95% CI"), "n": "n"}


def _level_line(words: Words, grid: Json, language: str, reference: Json | None) -> str:
    line = f"n = {grid['n_chunks'][language]:,} {words.say('チャンク', 'chunks')}"
    if reference is not None and reference["mean"] is not None:
        name = one_line(grid["reference"], _NAME_CHARS)
        line += f"; {words.say('破線', 'dashed')}: {name}, {number(reference['mean'], 2)}"
    return line


def _points(findings: Findings, grid: Json, language: str) -> list[Json]:
    """Return one point per arm: the arms of the grid, then published files, each in its own column."""
    rows = findings.shown_rows(language)
    compared = {row["arm"]: row for row in findings.compared(language) if row["reference"] == grid["reference"]}
    order = {mix: place for place, mix in enumerate(grid["imatrices"])}
    placed = sorted(_grid_arms(findings, grid), key=lambda one: order[one["imatrix"]])
    columns = [(one["arm"], one["recipe"], one["imatrix"]) for one in placed]
    inside = {arm for arm, *_ in columns}
    columns += [
        (arm["name"], arm["recipe"] or arm["name"], arm["name"])
        for arm in findings.arms
        if arm["name"] in compared and arm["name"] not in inside and not arm.get("method") and not arm.get("fallbacks")
    ]
    points = []
    for arm, recipe, column in columns:
        if arm in rows:
            low, high = _bounds(rows.get(grid["reference"]), compared.get(arm))
            names = {"recipe": one_line(recipe, _NAME_CHARS), "column": one_line(column, _NAME_CHARS)}
            shown = {"arm": arm, "value": number(rows[arm]["mean"], 3), "n": counts_text([rows[arm]["n_items"]])}
            shown["interval"] = DASH if low is None else f"[{number(low, 3)}, {number(high, 3)}]"
            points.append(names | shown | {"mean": rows[arm]["mean"], "low": low, "high": high})
    return points


def _bounds(reference: Json | None, compared: Json | None) -> tuple[float | None, float | None]:
    """Return the reference's perplexity times the exponential of each end of the loss's interval."""
    if reference is None or compared is None or compared["ci95"] is None:
        return None, None
    low, high = (reference["mean"] * math.exp(end) for end in compared["ci95"])
    return low, high


def _grid_arms(findings: Findings, grid: Json) -> list[Json]:
    """Return the arms of a grid. If the results file does not list them, find the arms by the grid's levels."""
    if "cells" in grid:
        return list(grid["cells"])
    return [
        {"recipe": arm["recipe"], "imatrix": arm["imatrix"] or _NO_IMATRIX, "arm": arm["name"]}
        for arm in findings.arms
        if arm["reference"] == grid["reference"]
        and arm["recipe"] in grid["recipes"]
        and (arm["imatrix"] or _NO_IMATRIX) in grid["imatrices"]
    ]


# --- right: matrices against each other -----------------------------------------------------------


def _contrasts(words: Words, grid: Json, language: str, n_grids: int) -> list[Panelled]:
    """Return the panel of contrasts; no panel if the results file has none.

    In a grid with only one language no contrast has `within` set, so the contrasts of matrices are shown.
    """
    alone = len(grid["languages"]) == 1
    n = f"{grid['n_chunks'][language]:,}"
    rows = [
        _contrast(words, row, n)
        for row in grid.get("contrasts", [])
        if row["within"] == language or (alone and row["factors"] == ["imatrix"])
    ]
    if not rows:
        return []
    bounds = [end for row in rows for end in (row.middle, row.low, row.high) if end is not None]
    forest = Forest(
        title=words.say("行列どうしの差", "Matrices against each other"),
        subtitle=words.say(f"n = {n} チャンク; 型についての平均", f"n = {n} chunks; mean over recipes"),
        axis_title=difference_title(words, "nll", (), direction(words, False)),
        domain=domain([*bounds, 0.0], margin=0.12),
        rows=rows,
        lines=[Line(0.0, INK, dashed=False)],
    )
    height = row_px(len(rows), max(n_grids, 2), 2, _MOST_ROW_PX)
    return [forest_panel(forest, height, label_px([forest]), words)]


def _contrast(words: Words, row: Json, n: str) -> Row:
    low, high = row["ci95"] or (None, None)
    first, second = one_line(row["levels"][0], _NAME_CHARS), one_line(row["baselines"][0], _NAME_CHARS)
    shown = row["p_adjusted"] is not None and row["p_adjusted"] < ALPHA
    value = number(row["estimate"], 4, sign=True)
    interval = DASH if low is None else f"[{number(low, 4, sign=True)}, {number(high, 4, sign=True)}]"
    return Row(
        label=f"{first} − {second}",
        arm=f"{first} − {second}",
        middle=row["estimate"],
        low=low,
        high=high,
        text=f"{value} {'' if low is None else interval} {difference_words(words, row)}",
        value=value,
        interval=interval,
        n=n,
        colour=PALETTE[0],
        fill=PALETTE[0] if shown else "#FFFFFF",
    )
