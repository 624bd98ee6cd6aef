"""Length of the thoughts: one row per arm, the reference at the top; only drawn if some model thinks.

A thin line holds the middle 80% of the answers, a thick one the middle 50%, and a bar stands at the median. Beside the
arm stands the share of answers that were cut while thinking: a cut hides how long the thoughts would have become.
"""

from __future__ import annotations

import math

import altair as alt
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
from reporting.thoughts import CUT, THINKING, thoughtful_answers
from reporting.wording import Words, benchmark_title

_WIDTH_PX = 330
_MOST_ROW_PX = 46
_SHARES = {"low": 0.1, "quarter": 0.25, "median": 0.5, "three_quarters": 0.75, "high": 0.9}


def thoughts_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart, one panel per benchmark; None if no model thought, or nobody counted the tokens."""
    answers = thoughtful_answers(findings)
    if answers is None:
        return None
    panels = [
        (benchmark, rows)
        for benchmark in findings.benchmarks
        if (rows := _rows(findings, words, answers.filter(benchmark=benchmark["name"])))
    ]
    if not panels:
        return None
    columns = min(2, columns_of(len(panels)))
    height = row_px(max(len(rows) for _, rows in panels), len(panels), columns, _MOST_ROW_PX)
    subtitle = [
        words.say(
            f"{models_text(findings, words)}: 回答前の思考のトークン数(最上段: 基準)",
            f"{models_text(findings, words)}: tokens of the thoughts before an answer (the reference on top)",
        ),
        words.say(
            "細線: 中央 80%。太線: 中央 50%。縦線: 中央値。打ち切り: 思考中にトークン上限に達した回答の割合。",
            "Thin line: middle 80%; thick line: middle 50%; bar: median. Cut: the limit was reached while thinking.",
        ),
    ]
    drawn = [_panel(findings, words, benchmark, rows, height) for benchmark, rows in panels]
    return figure(drawn, words.say("思考の長さ", "Length of the thoughts"), subtitle, columns=columns)


def _rows(findings: Findings, words: Words, answers: pl.DataFrame) -> list[Json]:
    """Return one row per arm whose thoughts were counted, model by model, references first."""
    rows: list[Json] = []
    for arm in findings.models_in_turn():
        own = answers.filter(arm=arm["name"])
        tokens = own.filter(THINKING)["thought_tokens"].drop_nulls()
        if tokens.is_empty():
            continue
        cut = f"{100 * own.filter(CUT).height / own.height:.0f}%"
        told = words.say(f"n = {tokens.len():,}、打ち切り {cut}", f"n = {tokens.len():,}, cut {cut}")
        found = {name: tokens.quantile(share, "linear") for name, share in _SHARES.items()}
        label = f"{arm_label(findings, words, arm)}\n{told}"
        rows.append({"arm": arm["name"], "row": len(rows), "label": label, "n": tokens.len(), "cut": cut, **found})
    return rows


def _panel(findings: Findings, words: Words, benchmark: Json, rows: list[Json], height_px: int) -> Panelled:
    limits = domain([0.0, *(row["high"] for row in rows)], (0.0, math.inf), margin=0.05)
    scale = alt.Scale(domain=limits, nice=False, zero=False)
    axis = alt.Axis(title=words.say("思考のトークン数", "Tokens of the thoughts"), tickCount=6)
    # Row numbers increase downwards.
    y = alt.Y("row:Q", axis=None, scale=alt.Scale(domain=[-0.5, len(rows) - 0.5], reverse=True, nice=False, zero=False))
    colour = colour_encoding(colours(findings))
    shown = {
        "arm": words.say("アーム", "arm"),
        "median": words.say("中央値", "median"),
        "cut": words.say("打ち切り", "cut"),
    }
    base = chart_of(rows).encode(y=y, color=colour, tooltip=tooltips(shown))
    lines = [
        base.mark_rule(strokeWidth=width).encode(x=alt.X(f"{low}:Q", scale=scale, axis=axis), x2=f"{high}:Q")
        for low, high, width in (("low", "high", 1.5), ("quarter", "three_quarters", 7))
    ]
    medians = base.mark_tick(thickness=2.5, size=22).encode(x=alt.X("median:Q", scale=scale, axis=axis))
    names = chart_of(rows).mark_text(align="right", fontSize=11, lineBreak="\n")
    return alt.layer(
        *lines,
        medians,
        names.encode(x=at_px(-8), y=y, text=alt.Text("label:N")),
        width=_WIDTH_PX,
        height=height_px * len(rows),
        title=panel_title(benchmark_title(words, benchmark), "", _WIDTH_PX + 60),
    )
