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

from reporting.charts.difference import axis_title
from reporting.charts.points import domain
from reporting.charts.style import (
    BLACK,
    PALETTE,
    PANEL_WIDTH_PX,
    AnyChart,
    Panelled,
    chart_of,
    figure,
    haloed,
    source_lines,
)
from reporting.escape import one_line
from reporting.results_folder import Findings, Json
from reporting.wording import Words, benchmark_title, difference_words, number
from stats.verdict import ALPHA

PREFIX = "imatrix_"
"""Start of the figure's file name; the benchmark's name follows."""

_HEIGHT_PX = 250
_ROW_PX = 30
_DODGE_PX = 12
_NAME_CHARS = 30
_NO_IMATRIX = "none"
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")


def grid_languages(findings: Findings) -> list[str]:
    """Return the names of the benchmarks that have a figure."""
    return list(dict.fromkeys(language for grid in _grids(findings) for language in grid["languages"]))


def grid_chart(findings: Findings, words: Words, language: str) -> AnyChart | None:
    """Return the figure of one language, with two panels per grid; None if no arm of a grid was measured on it."""
    benchmark = next((one for one in findings.benchmarks if one["name"] == language), None)
    drawn: list[Panelled] = []
    for grid in _grids(findings):
        points = _points(findings, grid, language) if language in grid["languages"] else []
        if benchmark is not None and points:
            drawn.append(_levels(findings, words, grid, language, points))
            drawn += _contrasts(words, grid, language)
    if benchmark is None or not drawn:
        return None
    title = [words.say("重要度行列の効果", "Effect of the importance matrix"), benchmark_title(words, benchmark)]
    subtitle = source_lines(findings, words) + words.lines(
        "線: 同じチャンクでの差の95%信頼区間(左: 基準との差をパープレキシティに換算、右: 行列どうしの差を"
        "型について平均)。多重性の補正なし。",
        "Bars: 95% intervals of differences on the same chunks (left: from the reference; right: between matrices, "
        "mean over recipes), uncorrected.",
    )
    subtitle += words.lines(
        "この結果は他のモデルには当てはまらない。小さな差を事実と見なさないこと。",
        "One model's result does not carry over to others; small differences are not facts.",
    )
    return figure(drawn, title, subtitle)


def _grids(findings: Findings) -> list[Json]:
    return [] if findings.analysis is None else list(findings.analysis.get("factorial", []))


# --- left: perplexity by matrix and variant -------------------------------------------------------


def _levels(findings: Findings, words: Words, grid: Json, language: str, points: Sequence[Json]) -> Panelled:
    reference = findings.shown(grid["reference"], language)
    level = None if reference is None else reference["mean"]
    bounds = [point[key] for point in points for key in ("mean", "low", "high") if point[key] is not None]
    y_scale = alt.Scale(domain=domain([*bounds, *([] if level is None else [level])]), nice=False, zero=False)
    columns = list(dict.fromkeys(point["column"] for point in points))
    recipes = list(dict.fromkeys(point["recipe"] for point in points))
    x_axis = alt.Axis(title=words.say("重要度行列", "Importance matrix"), labelAngle=0, ticks=False)
    y_axis = alt.Axis(
        title=words.lines("パープレキシティ(小さいほど良い)", "Perplexity (lower is better)"), format="~f"
    )
    legend = alt.Legend(title=words.say("型", "Recipe"), orient="bottom")
    colours = alt.Scale(domain=recipes, range=[PALETTE[place % len(PALETTE)] for place in range(len(recipes))])
    shapes = alt.Scale(domain=recipes, range=[_SHAPES[place % len(_SHAPES)] for place in range(len(recipes))])
    base = chart_of(list(points)).encode(
        x=alt.X("column:N", sort=columns, scale=alt.Scale(type="point", domain=columns, padding=0.6), axis=x_axis),
        xOffset=alt.XOffset("recipe:N", sort=recipes, scale=alt.Scale(domain=recipes, range=[-_DODGE_PX, _DODGE_PX])),
        color=alt.Color("recipe:N", sort=recipes, scale=colours, legend=legend),
    )
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.6)
    marks = base.mark_point(filled=True, size=70, opacity=1)
    line = chart_of([] if level is None else [{"level": level}]).mark_rule(strokeDash=[5, 3], color=BLACK)
    return alt.layer(
        line.encode(y=alt.Y("level:Q", scale=y_scale, axis=y_axis)),
        bars.encode(y=alt.Y("low:Q", scale=y_scale, axis=y_axis), y2="high:Q"),
        marks.encode(
            y=alt.Y("mean:Q", scale=y_scale, axis=y_axis),
            shape=alt.Shape("recipe:N", sort=recipes, scale=shapes, legend=legend),
        ),
        width=PANEL_WIDTH_PX,
        height=_HEIGHT_PX,
        title=alt.TitleParams(
            text=words.say("行列と型ごとの値", "By matrix and recipe"),
            subtitle=_level_lines(words, grid, language, reference),
        ),
    )


def _level_lines(words: Words, grid: Json, language: str, reference: Json | None) -> list[str]:
    lines = [f"n = {grid['n_chunks'][language]} {words.say('チャンク', 'chunks')}"]
    if reference is not None and reference["mean"] is not None:
        text = (
            f"{words.say('破線', 'Dashed')}: {one_line(grid['reference'], _NAME_CHARS)}, {number(reference['mean'], 2)}"
        )
        low_high = reference["ci95"]
        if low_high is not None:
            own = words.say("その値の95%区間", "its own 95% interval")
            text += f" ({own}: {number(low_high[0], 2)}–{number(low_high[1], 2)})"
        lines.append(text)
    return lines


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
            points.append(names | {"mean": rows[arm]["mean"], "low": low, "high": high})
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


def _contrasts(words: Words, grid: Json, language: str) -> list[Panelled]:
    """Return the panel of contrasts; no panel if the results file has none.

    In a grid with only one language no contrast has `within` set, so the contrasts of matrices are shown.
    """
    alone = len(grid["languages"]) == 1
    rows = [
        _contrast(words, row)
        for row in grid.get("contrasts", [])
        if row["within"] == language or (alone and row["factors"] == ["imatrix"])
    ]
    if not rows:
        return []
    bounds = [row[key] for row in rows for key in ("estimate", "low", "high") if row[key] is not None]
    x_scale = alt.Scale(domain=domain([*bounds, 0.0], margin=0.12), nice=False)
    order = [row["label"] for row in rows]
    title = axis_title(words, "nll", higher_is_better=False, percent=False)
    x = alt.X("estimate:Q", scale=x_scale, axis=alt.Axis(title=title, format="~f", tickCount=5))
    base = chart_of(rows).encode(y=alt.Y("label:N", sort=order, axis=alt.Axis(title=None, ticks=False)))
    zero = chart_of([{"zero": 0}]).mark_rule(color="#444444").encode(x=alt.X("zero:Q", scale=x_scale))
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.8, color=PALETTE[0])
    marks = base.mark_point(size=70, opacity=1, strokeWidth=1.6, color=PALETTE[0]).encode(
        x=x, fill=alt.Fill("fill:N", scale=None)
    )
    texts = haloed(
        base.encode(x=alt.value(PANEL_WIDTH_PX - 4), text="text:N"), dy=-11, fontSize=9, align="right", color="#444444"
    )
    filled = words.lines("塗りつぶし: Holm の補正後に p < 0.05", "Filled: p < 0.05 after Holm's adjustment")
    return [
        alt.layer(
            zero,
            bars.encode(x=alt.X("low:Q", scale=x_scale), x2="high:Q"),
            marks,
            *texts,
            width=PANEL_WIDTH_PX,
            height=max(_HEIGHT_PX, (_ROW_PX + 8) * len(rows)),
            title=alt.TitleParams(text=words.say("行列どうしの差", "Matrices against each other"), subtitle=filled),
        )
    ]


def _contrast(words: Words, row: Json) -> Json:
    low, high = row["ci95"] or (None, None)
    first, second = one_line(row["levels"][0], _NAME_CHARS), one_line(row["baselines"][0], _NAME_CHARS)
    shown = row["p_adjusted"] is not None and row["p_adjusted"] < ALPHA
    bracket = "" if low is None else f" [{number(low, 4, sign=True)}, {number(high, 4, sign=True)}]"
    return {
        "label": f"{first} − {second}",
        "estimate": row["estimate"],
        "low": low,
        "high": high,
        "fill": PALETTE[0] if shown else "white",
        "text": f"{difference_words(words, row)}: {number(row['estimate'], 4, sign=True)}{bracket}",
    }
