"""How much longer or shorter the answer to each question became, against the length of the reference's answer.

One panel per benchmark and arm, one point per item. The rank correlation below the title is taken with the mean of both
lengths: with the reference's length alone there would always be one, by regression to the mean (`stats.association`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import altair as alt
import polars as pl

from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.charts.forest import panel_title
from reporting.charts.layout import columns_of, figure, height_of
from reporting.charts.lengths import length_unit
from reporting.charts.points import domain
from reporting.charts.style import GREY, Panelled, Specification, chart_of, colours, models_text, tooltips
from reporting.escape import one_line
from reporting.results_folder import Findings, Json
from reporting.style_words import unit_title
from reporting.wording import Words, integer, number

_MOST_POINTS = 400
_WIDTHS_PX = {1: 460, 2: 360, 3: 240}
_MOST_HEIGHT_PX = 230
_LEAST_HEIGHT_PX = 150


def length_shifts_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart; None if no answers were compared."""
    if findings.lengths is None:
        return None
    unit = length_unit(findings)
    shown = list(_shown(findings, unit))
    if not shown:
        return None
    columns = columns_of(len(shown))
    size_px = _WIDTHS_PX[columns], height_of(len(shown), columns, _MOST_HEIGHT_PX, _LEAST_HEIGHT_PX)
    drawn = [_panel(findings, words, row, shift, points, size_px) for row, shift, points in shown]
    models, counted = models_text(findings, words), unit_title(words, unit)
    subtitle = [
        words.say(
            f"{models}: 点は 1 問。基準の回答の{counted}と、そこからの差(0 より下: 短くなった)",
            f"{models}: {counted} of the reference's answer to each item, and the shift (below 0: shorter)",
        ),
        words.say(
            "線: 平均の差。ρ: 差と前後の平均の長さとの順位相関とその95%信頼区間。n は各パネルに示す。",
            "Line: mean shift. ρ: rank correlation of the shift with the mean of both lengths, and its 95% interval.",
        ),
    ]
    title = words.say("回答の長さの変化", "Shift of the length of answers")
    return figure(drawn, title, subtitle, columns=columns)


def _shown(findings: Findings, unit: str) -> Iterator[tuple[Json, Json, pl.DataFrame]]:
    """Yield each compared arm's row, its shift, and the length of its items before and after."""
    assert findings.lengths is not None
    items = findings.lengths.group_by("benchmark", "arm", "item_id").agg(pl.col(unit).mean().alias("length"))
    of_arm = items.partition_by("benchmark", "arm", as_dict=True)
    for row in findings.answer_style:
        shift = next((one for one in row["shifts"] if one["unit"] == unit), None)
        before = of_arm.get((row["benchmark"], row["reference"]))
        if shift is None or before is None or row["arm"].endswith(AA_SUFFIX):
            continue
        both = of_arm[row["benchmark"], row["arm"]].join(before, on="item_id", suffix="_before")
        yield row, shift, both.drop_nulls().sort("item_id")


def _panel(
    findings: Findings, words: Words, row: Json, shift: Json, items: pl.DataFrame, size_px: tuple[int, int]
) -> Panelled:
    step = -(-items.height // _MOST_POINTS)
    points = [
        {
            "item": one_line(item, 40),
            "before": before,
            "shift": after - before,
            "of": f"{before:,.0f}",
            "to": f"{after:,.0f}",
        }
        for _, _, item, after, before in items.gather_every(step)
        .select("benchmark", "arm", "item_id", "length", "length_before")
        .iter_rows()
    ]
    x_scale = alt.Scale(domain=domain([one["before"] for one in points], (0.0, math.inf), margin=0.05), nice=False)
    y_scale = alt.Scale(domain=domain([0.0, *(one["shift"] for one in points)], margin=0.08), nice=False)
    counted = unit_title(words, shift["unit"])
    x = alt.X(
        "before:Q",
        scale=x_scale,
        axis=alt.Axis(title=words.say(f"基準の{counted}", f"{counted} of the reference"), tickCount=5),
    )
    y = alt.Y(
        "shift:Q", scale=y_scale, axis=alt.Axis(title=words.say(f"{counted}の差", f"shift in {counted}"), tickCount=5)
    )
    colour = colours(findings)[row["arm"]]
    named = {"item": words.say("問題", "item"), "of": words.say("基準", "reference"), "to": words.say("アーム", "arm")}
    dots = chart_of(points).mark_circle(size=22, opacity=0.5, color=colour).encode(x=x, y=y, tooltip=tooltips(named))
    zero = chart_of([{"at": 0.0}]).mark_rule(color=GREY, strokeDash=[4, 3]).encode(y=alt.Y("at:Q", scale=y_scale))
    mean = chart_of([{"at": shift["difference"]}]).mark_rule(color=colour, strokeWidth=2)
    title = f"{one_line(row['arm'], 30)} − {one_line(row['reference'], 20)}"
    return alt.layer(
        zero,
        dots,
        mean.encode(y=alt.Y("at:Q", scale=y_scale)),
        width=size_px[0],
        height=size_px[1],
        title=panel_title(title, f"{row['benchmark']}; {_correlation(shift)}", size_px[0] + 60),
    )


def _correlation(shift: Json) -> str:
    found = shift["against_length"]
    n = f"n = {integer(shift['n_items'])}"
    if found["rho"] is None:
        return n
    rho = f"ρ = {number(found['rho'], 2, sign=True)}"
    bounds = "" if found["ci95"] is None else " [{}, {}]".format(*(number(end, 2, sign=True) for end in found["ci95"]))
    return f"{rho}{bounds}, {n}"
