"""Length of the answers: one violin per arm, the reference at the top, the answers as dots.

Quantization often changes the lengths first: answers break off, or run to the token limit. Lengths are in tokens, but
in characters if the arms belong to several models, whose tokens do not compare, or if an endpoint counts none. The
outline is a kernel
density estimate (Gaussian, Scott's rule), cut at the shortest and the longest answer. All violins have the same height,
so only their shapes can be compared; the number of answers is written beside each.
"""

from __future__ import annotations

import math

import altair as alt
import numpy as np
import polars as pl

from reporting.charts.forest import panel_title
from reporting.charts.layout import columns_of, figure, row_px
from reporting.charts.points import arm_label, domain
from reporting.charts.style import (
    Panelled,
    Specification,
    at_px,
    chart_of,
    colour_encoding,
    colours,
    models_text,
    tooltips,
)
from reporting.results_folder import Findings, Json
from reporting.style_words import unit_title
from reporting.wording import Words, benchmark_title
from stats.intervals import Floats

_WIDTH_PX = 330
_MOST_ROW_PX = 52
_HALF_HEIGHT = 0.4
_OUTLINE_POINTS = 120
_MOST_DOTS = 200


def lengths_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart, one panel per benchmark with generated answers; None if there are no such answers."""
    if findings.lengths is None:
        return None
    unit = length_unit(findings)
    answered = findings.lengths.rename({unit: "length"})
    own = {
        benchmark["name"]: (benchmark, answers)
        for benchmark in findings.benchmarks
        if benchmark["kind"] == "generate"
        and not (answers := answered.filter(pl.col("benchmark") == benchmark["name"])).is_empty()
    }
    if not own:
        return None
    columns = min(2, columns_of(len(own)))
    height = row_px(len(findings.arms), len(own), columns, _MOST_ROW_PX)
    drawn = [_panel(findings, words, benchmark, answers, height) for benchmark, answers in own.values()]
    title = words.say("回答の長さ", "Length of the answers")
    models = models_text(findings, words)
    subtitle = [
        words.say(
            f"{models}: 回答の{unit_title(words, unit)}の分布(最上段: 基準)",
            f"{models}: {unit_title(words, unit)} per answer (the reference on top)",
        ),
        words.say(
            f"点: 回答(各アーム最大 {_MOST_DOTS} 件)。太い縦線: 中央値。輪郭: 密度推定。n はアーム名の下に示す。",
            f"Dots: answers (at most {_MOST_DOTS} per arm); bars: medians; outlines: density. n stands on the left.",
        ),
    ]
    return figure(drawn, title, subtitle, columns=columns)


def length_unit(findings: Findings) -> str:
    """Return what all lengths of a chart are counted in: `tokens`, or `characters` where tokens do not compare."""
    assert findings.lengths is not None
    models = {arm["model"] for arm in findings.arms if (findings.lengths["arm"] == arm["name"]).any()}
    return "characters" if len(models) > 1 or findings.lengths["tokens"].null_count() else "tokens"


def axis_title(words: Words, unit: str) -> str:
    """Return the title of an axis of lengths."""
    return words.say(f"回答の{unit_title(words, unit)}", f"{unit_title(words, unit).capitalize()} of the answer")


def _panel(findings: Findings, words: Words, benchmark: Json, answers: pl.DataFrame, height_px: int) -> Panelled:
    arms = [arm for arm in findings.models_in_turn() if (answers["arm"] == arm["name"]).any()]
    palette = colours(findings)
    outlines: list[Json] = []
    dots: list[Json] = []
    medians: list[Json] = []
    labels: list[Json] = []
    for row, arm in enumerate(arms):
        own = answers.filter(pl.col("arm") == arm["name"]).sort("item_id", "seed")
        lengths = own["length"].cast(pl.Float64).to_numpy()
        common = {"arm": arm["name"], "row": row}
        outlines += [common | point for point in _outline(lengths, row)]
        dots += [common | point for point in _dots(lengths, row)]
        median = float(np.median(lengths))
        shown = {"median": f"{median:,.0f}", "n": f"{lengths.size:,}"}
        medians.append(common | shown | {"length": median, "low": row - 0.2, "high": row + 0.2})
        labels.append({"row": row, "label": f"{arm_label(findings, words, arm)}\nn = {lengths.size:,}"})
    limits = domain([point["length"] for point in dots + outlines], (0.0, math.inf), margin=0.03)
    x = alt.X(
        "length:Q",
        scale=alt.Scale(domain=limits, nice=False, zero=False),
        axis=alt.Axis(title=axis_title(words, length_unit(findings)), tickCount=6),
    )
    # Row numbers increase downwards.
    y_scale = alt.Scale(domain=[-0.5, len(arms) - 0.5], reverse=True, nice=False, zero=False)
    y = alt.Y("y:Q", scale=y_scale, axis=None)
    colour = colour_encoding(palette)
    violin = (
        chart_of(outlines)
        .mark_area(opacity=0.22, strokeWidth=1, line=False)
        .encode(
            x=x,
            y=alt.Y("low:Q", scale=y_scale, axis=None),
            y2=alt.Y2("high:Q"),
            color=colour,
            detail=alt.Detail("row:N"),
        )
    )
    points = chart_of(dots).mark_circle(size=9, opacity=0.55).encode(x=x, y=y, color=colour)
    bars = (
        chart_of(medians)
        .mark_rule(strokeWidth=2.2)
        .encode(
            x=x,
            y=alt.Y("low:Q", scale=y_scale, axis=None),
            y2=alt.Y2("high:Q"),
            color=colour,
            tooltip=tooltips({"arm": words.say("アーム", "arm"), "median": words.say("中央値", "median"), "n": "n"}),
        )
    )
    # Left of the panel, as in every chart: inside they would lie on the outlines.
    names = chart_of(labels).mark_text(align="right", fontSize=11, lineBreak="\n")
    return alt.layer(
        violin,
        points,
        bars,
        names.encode(x=at_px(-8), y=alt.Y("row:Q", scale=y_scale, axis=None), text=alt.Text("label:N")),
        width=_WIDTH_PX,
        height=height_px * len(arms),
        title=panel_title(benchmark_title(words, benchmark), _counted(words, benchmark), _WIDTH_PX + 60),
    )


def _counted(words: Words, benchmark: Json) -> str:
    """Return how many answers each arm should have."""
    items, runs = benchmark["n_items"], len(benchmark["seeds"])
    return words.say(f"{items:,} 問 × {runs} 回の実行", f"{items:,} items × {runs} runs")


def _outline(lengths: Floats, row: int) -> list[Json]:
    """Return the lower and upper edge of a violin; nothing if all lengths are equal, because there is no density."""
    if lengths.size < 2 or np.ptp(lengths) == 0:
        return []
    from scipy.stats import gaussian_kde  # imported here, because it takes a second and few charts need it

    grid = np.linspace(lengths.min(), lengths.max(), _OUTLINE_POINTS)
    density = gaussian_kde(lengths)(grid)
    half = _HALF_HEIGHT * density / density.max()
    return [
        {"length": float(at), "low": float(row - height), "high": float(row + height)}
        for at, height in zip(grid, half, strict=True)
    ]


def _dots(lengths: Floats, row: int) -> list[Json]:
    """Return one dot per answer, or a regular sample if there are many. Heights alternate so that equal dots show."""
    step = -(-lengths.size // _MOST_DOTS)
    return [
        {"length": float(value), "y": row + 0.05 * ((index % 5) - 2)} for index, value in enumerate(lengths[::step])
    ]
