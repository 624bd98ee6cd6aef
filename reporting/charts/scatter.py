"""Panels of points with names: something that an arm costs across, what it performs upwards, intervals and all.

Names are placed so that they overlap nothing (`reporting.charts.labels`). The thin line joins the Pareto front: arms
than which no other is at once cheaper and better, by the means alone; intervals may well overlap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import altair as alt

from reporting.charts.labels import LINE_PX, Spot, place_labels
from reporting.charts.points import Panel, Point, domain, extent
from reporting.charts.style import GREY, Panelled, chart_of, haloed, shape_encoding
from reporting.wording import Words

WIDTH_PX = 400
HEIGHT_PX = 290
_FAR_PX = 12.0
"""Between a name and its point, from which a thin line joins them."""
_STEPS = ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1,))
"""Marks within each power of ten of a logarithmic axis: the first set of which no more than so many are seen."""
_MOST_MARKS = 9
_SPREAD = 2.0
"""Ratio of the largest cost to the smallest from which the axis is logarithmic: sizes go by factors then."""


@dataclass(frozen=True)
class Cost:
    """What is drawn across."""

    title: str
    values: Mapping[str, float]
    """By arm; arms that are not in it cannot be placed, and are left out."""


def scatter_panel(panel: Panel, cost: Cost, palette: dict[str, str], words: Words) -> Panelled | None:
    """One panel; None where no arm can be placed."""
    points = [point for point in panel.points if point.arm in cost.values]
    if not points:
        return None
    across = _across([cost.values[point.arm] for point in points])
    upwards = domain(extent(points), margin=0.1)
    x_scale = alt.Scale(domain=across.ends, nice=False, zero=False, type="log" if across.logarithmic else "linear")
    y_scale = alt.Scale(domain=upwards, nice=False, zero=False)
    x = alt.X("cost:Q", scale=x_scale, axis=alt.Axis(title=cost.title, **across.ticks))
    y_axis = alt.Axis(title=list(panel.axis_title), format=".0%" if panel.scale.percent else "~f", tickCount=6)
    y = alt.Y("mean:Q", scale=y_scale, axis=y_axis)
    colour = alt.Color("arm:N", scale=alt.Scale(domain=list(palette), range=list(palette.values())), legend=None)
    base = chart_of([asdict(point) | {"cost": cost.values[point.arm]} for point in points]).encode(x=x, color=colour)
    interval = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.4)
        .encode(y=alt.Y("low:Q", scale=y_scale), y2="high:Q")
    )
    front = [{"cost": cost.values[point.arm], "mean": point.mean} for point in pareto_front(panel, cost)]
    line = chart_of(front).mark_line(strokeWidth=1, strokeDash=[2, 2], color=GREY).encode(x=x, y=y)
    marks = base.mark_point(filled=True, size=80, opacity=1).encode(y=y, shape=shape_encoding(words))
    layers: list[Any] = [line, interval, marks, *_names(points, cost, across, upwards, colour)]
    return alt.layer(
        *layers,
        width=WIDTH_PX,
        height=HEIGHT_PX,
        title=alt.TitleParams(text=panel.title, subtitle=panel.subtitle),
    )


@dataclass(frozen=True)
class _Across:
    """The axis of the cost."""

    ends: list[float]
    logarithmic: bool
    ticks: dict[str, Any]

    def px(self, value: float) -> float:
        """Distance from the panel's left end."""
        low, high = self.ends
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low) * WIDTH_PX


def _across(values: Sequence[float]) -> _Across:
    low, high = min(values), max(values)
    if low <= 0 or high < _SPREAD * low:
        return _Across(domain(values, margin=0.16), False, {"tickCount": 6})
    ends = [math.exp(end) for end in domain([math.log(low), math.log(high)], margin=0.16)]
    powers = range(math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1])) + 1)
    for steps in _STEPS:
        marks = [round(step * 10.0**power, 6) for power in powers for step in steps]
        seen = [mark for mark in marks if ends[0] <= mark <= ends[1]]
        if len(seen) <= _MOST_MARKS:
            break
    return _Across(ends, True, {"values": seen, "format": "~g"})


def pareto_front(panel: Panel, cost: Cost) -> list[Point]:
    """The points than which none is both cheaper (or as cheap) and better, from the cheapest on."""
    sign = 1 if panel.higher_is_better else -1
    placed = [point for point in panel.points if point.arm in cost.values]
    placed.sort(key=lambda point: (cost.values[point.arm], -sign * point.mean))
    front: list[Point] = []
    for point in placed:
        if not front or sign * point.mean > sign * front[-1].mean:
            front.append(point)
    return front


def pareto_lines(words: Words) -> list[str]:
    """What the dotted line is."""
    return words.lines(
        "点線: パレート前線(より安くかつ良いアームがないもの。平均のみによる)。",
        "Dotted line: Pareto front, no other arm being both cheaper and better (by the means alone).",
    )


def _names(
    points: list[Point], cost: Cost, across: _Across, upwards: list[float], colour: alt.Color
) -> list[alt.Chart]:
    """The arms' names, each with a thin line to its point where it had to move away."""

    def y_px(value: float) -> float:
        return (upwards[1] - value) / (upwards[1] - upwards[0]) * HEIGHT_PX

    spots = [
        Spot(
            x=across.px(cost.values[point.arm]),
            y=y_px(point.mean),
            top=y_px(point.mean if point.high is None else point.high),
            bottom=y_px(point.mean if point.low is None else point.low),
            label=point.label,
        )
        for point in points
    ]
    boxes = place_labels(spots, WIDTH_PX, HEIGHT_PX)
    charts: list[alt.Chart] = []
    for point, spot, box in zip(points, spots, boxes, strict=True):
        name = chart_of([{"arm": point.arm, "label": point.label}])
        at = {"x": alt.value(box.x), "y": alt.value(box.y)}
        ground, letters = haloed(name.encode(**at, text="label:N"), fontSize=10.5)
        charts += [ground, letters.encode(color=colour)]
        end_x = min(max(spot.x, box.x - box.width / 2), box.x + box.width / 2)
        end_y = box.y if abs(box.y - spot.y) < LINE_PX / 2 else box.y + (7 if box.y < spot.y else -7)
        if math.hypot(end_x - spot.x, end_y - spot.y) > _FAR_PX:
            line = name.mark_rule(strokeWidth=0.6, color=GREY)
            charts.append(
                line.encode(x=alt.value(end_x), y=alt.value(end_y), x2=alt.value(spot.x), y2=alt.value(spot.y))
            )
    return charts
