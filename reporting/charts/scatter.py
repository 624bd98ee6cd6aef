"""Panels of labelled points: a cost of the arm on the x axis, its performance with an interval on the y axis.

`reporting.charts.labels` places the labels. The dotted line joins the Pareto front: the arms for which no other arm is
both cheaper and better. Only the means decide this; the intervals may overlap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import altair as alt

from reporting.charts.labels import LINE_PX, Box, Spot, place_labels
from reporting.charts.points import Panel, Point, domain, extent
from reporting.charts.style import GREY, Panelled, chart_of, haloed, shape_encoding
from reporting.wording import Words

WIDTH_PX = 400
HEIGHT_PX = 290
_PIXELS: dict[str, Any] = {
    "x": alt.X("x:Q", scale=None, axis=None),
    "y": alt.Y("y:Q", scale=None, axis=None),
}
"""Encoding of a position that is given in pixels of the panel."""
_FAR_PX = 12.0
"""A label that is farther than this from its point gets a thin line to it."""
_STEPS = ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1,))
"""Sets of tick marks within each power of ten of a logarithmic axis. The first set that shows at most `_MOST_MARKS` is
used."""
_MOST_MARKS = 9
_SPREAD = 2.0
"""From this ratio of the largest cost to the smallest, the axis is logarithmic."""


@dataclass(frozen=True)
class Cost:
    """The quantity on the x axis."""

    title: str
    values: Mapping[str, float]
    """Arm name -> cost. Arms that are not in it are left out of the panel."""


def scatter_panel(panel: Panel, cost: Cost, palette: dict[str, str], words: Words) -> Panelled | None:
    """Return one panel; None if no arm has a cost."""
    points = [point for point in panel.points if point.arm in cost.values]
    if not points:
        return None
    x_axis = _cost_axis([cost.values[point.arm] for point in points])
    y_ends = domain(extent(points), margin=0.1)
    x_scale = alt.Scale(domain=x_axis.ends, nice=False, zero=False, type="log" if x_axis.logarithmic else "linear")
    y_scale = alt.Scale(domain=y_ends, nice=False, zero=False)
    x = alt.X("cost:Q", scale=x_scale, axis=alt.Axis(title=cost.title, **x_axis.ticks))
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
    layers: list[Any] = [line, interval, marks, *_names(points, cost, x_axis, y_ends, colour)]
    return alt.layer(
        *layers,
        width=WIDTH_PX,
        height=HEIGHT_PX,
        title=alt.TitleParams(text=panel.title, subtitle=panel.subtitle),
    )


@dataclass(frozen=True)
class _CostAxis:
    """The x axis of a panel."""

    ends: list[float]
    logarithmic: bool
    ticks: dict[str, Any]

    def px(self, value: float) -> float:
        """Return the distance of a value from the panel's left end, in pixels."""
        low, high = self.ends
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low) * WIDTH_PX


def _cost_axis(values: Sequence[float]) -> _CostAxis:
    low, high = min(values), max(values)
    if low <= 0 or high < _SPREAD * low:
        return _CostAxis(domain(values, margin=0.16), False, {"tickCount": 6})
    ends = [math.exp(end) for end in domain([math.log(low), math.log(high)], margin=0.16)]
    powers = range(math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1])) + 1)
    for steps in _STEPS:
        marks = [round(step * 10.0**power, 6) for power in powers for step in steps]
        seen = [mark for mark in marks if ends[0] <= mark <= ends[1]]
        if len(seen) <= _MOST_MARKS:
            break
    return _CostAxis(ends, True, {"values": seen, "format": "~g"})


def pareto_front(panel: Panel, cost: Cost) -> list[Point]:
    """Return the points for which no other point is better at the same or a lower cost, the cheapest first."""
    sign = 1 if panel.higher_is_better else -1
    placed = [point for point in panel.points if point.arm in cost.values]
    placed.sort(key=lambda point: (cost.values[point.arm], -sign * point.mean))
    front: list[Point] = []
    for point in placed:
        if not front or sign * point.mean > sign * front[-1].mean:
            front.append(point)
    return front


def pareto_lines(words: Words) -> list[str]:
    """Return lines that explain the dotted line."""
    return words.lines(
        "点線: パレートフロント(コストがより低く、かつ性能がより良いアームがほかにないもの。平均だけで判定)。",
        "Dotted line: Pareto front. No other arm is both cheaper and better (by the means alone).",
    )


def _names(
    points: list[Point], cost: Cost, x_axis: _CostAxis, y_ends: list[float], colour: alt.Color
) -> list[alt.Chart]:
    """Return the labels of the points; a label that is far from its point has a thin line to it."""

    def y_px(value: float) -> float:
        return (y_ends[1] - value) / (y_ends[1] - y_ends[0]) * HEIGHT_PX

    spots = [
        Spot(
            x=x_axis.px(cost.values[point.arm]),
            y=y_px(point.mean),
            top=y_px(point.mean if point.high is None else point.high),
            bottom=y_px(point.mean if point.low is None else point.low),
            label=point.label,
        )
        for point in points
    ]
    boxes = place_labels(spots, WIDTH_PX, HEIGHT_PX)
    # One layer for all labels: each layer costs the renderer time.
    rows = [
        {"arm": point.arm, "label": point.label, "x": box.x, "y": box.y}
        for point, box in zip(points, boxes, strict=True)
    ]
    ground, letters = haloed(chart_of(rows).encode(**_PIXELS, text="label:N"), fontSize=10.5)
    charts = [ground, letters.encode(color=colour)]
    lines = [line for spot, box in zip(spots, boxes, strict=True) if (line := _line(spot, box)) is not None]
    if lines:
        rule = chart_of(lines).mark_rule(strokeWidth=0.6, color=GREY)
        charts.append(rule.encode(**_PIXELS, x2="spot_x:Q", y2="spot_y:Q"))
    return charts


def _line(spot: Spot, box: Box) -> dict[str, float] | None:
    """Return the ends of the line from a label to its point; None if the label is near enough."""
    x = min(max(spot.x, box.x - box.width / 2), box.x + box.width / 2)
    y = box.y if abs(box.y - spot.y) < LINE_PX / 2 else box.y + (7 if box.y < spot.y else -7)
    far = math.hypot(x - spot.x, y - spot.y) > _FAR_PX
    return {"x": x, "y": y, "spot_x": spot.x, "spot_y": spot.y} if far else None
