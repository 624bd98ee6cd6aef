"""Panels of labelled points: a cost of the arm on the x axis, its performance with an interval on the y axis.

`reporting.charts.labels` places the labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import altair as alt

from reporting.charts.forest import panel_title
from reporting.charts.labels import Box, Spot, fitted, leader_of, place_labels
from reporting.charts.layout import columns_of, height_of
from reporting.charts.points import Panel, domain, extent
from reporting.charts.style import (
    GREY,
    TEXT_PX,
    Panelled,
    chart_of,
    colour_encoding,
    interval_tooltips,
    shape_encoding,
)
from reporting.wording import Words

MOST_HEIGHT_PX = 270
LEAST_HEIGHT_PX = 150
_WIDTHS_PX = {1: 560, 2: 400, 3: 262}
"""Number of columns -> width of a panel."""
_Y_AXIS_PX = 40
_APART_PX = 11.0
"""Distance of points that stand side by side because their costs are nearly equal."""
_MOST_APART_PX = 44.0
"""Distance of the outermost ones. More would show wrong costs."""
_MOST_TICKS = 6
_TOP_PX = 6
"""A number at a tick that is nearer to the top would stand above the panel."""
_PIXELS: dict[str, Any] = {
    "x": alt.X("x:Q", scale=None, axis=None),
    "y": alt.Y("y:Q", scale=None, axis=None),
}
"""Encoding of a position that is given in pixels of the panel."""
_STEPS = ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1,))
"""Sets of tick marks within each power of ten of a logarithmic axis. The first set that shows at most `_MOST_MARKS` is
used."""
_MOST_MARKS = 9
_WIDEST_LABEL = 0.6
"""Share of a panel's width that a label may take. Wider ones would leave the panel and cover each other."""
_SPREAD = 2.0
"""From this ratio of the largest cost to the smallest, the axis is logarithmic."""


@dataclass(frozen=True)
class Cost:
    """The quantity on the x axis."""

    title: str
    values: Mapping[str, float]
    """Arm name -> cost. Arms that are not in it are left out of the panel."""

    def text(self, arm: str) -> str:
        return f"{self.values[arm]:,.4g}"

    def tooltip(self) -> alt.Tooltip:
        """Return the tooltip of rows that have the text as `size`."""
        return alt.Tooltip("size:N", title=self.title)


@dataclass(frozen=True)
class Place:
    """The size of a panel in pixels, and the axes: how a value becomes a position."""

    width: int
    height: int
    x_axis: CostAxis
    y_ends: list[float]
    downwards: bool = False
    """True: larger values are further down."""

    def x(self, cost: float) -> float:
        return self.x_axis.share(cost) * self.width

    def cost(self, x: float) -> float:
        return self.x_axis.at(x / self.width)

    def y(self, value: float) -> float:
        share = (value - self.y_ends[0]) / (self.y_ends[1] - self.y_ends[0])
        return (share if self.downwards else 1 - share) * self.height


def scatter_panels(
    wanted: Sequence[Panel], cost: Cost, palette: dict[str, str], words: Words, joined: Mapping[str, str]
) -> tuple[list[Panelled], int]:
    """Return the panels that have an arm with a cost, and the number of columns that they were made for.

    Args:
        wanted: the panels with their points. A point without a label gets none.
        cost: the quantity on the x axis.
        palette: colour by arm.
        words: the language.
        joined: the arm that a line leads to, by the arm where it begins.
    """
    shown = [panel for panel in wanted if any(point.arm in cost.values for point in panel.points)]
    columns = columns_of(len(shown))
    height = height_of(len(shown), columns, MOST_HEIGHT_PX, LEAST_HEIGHT_PX)
    size_px = width_of(columns), height
    return [_scatter_panel(panel, cost, palette, size_px, words, joined) for panel in shown], columns


def width_of(columns: int) -> int:
    """Return the width of a panel if so many stand side by side."""
    return _WIDTHS_PX.get(columns, _WIDTHS_PX[3])


def _scatter_panel(
    panel: Panel,
    cost: Cost,
    palette: dict[str, str],
    size_px: tuple[int, int],
    words: Words,
    joined: Mapping[str, str],
) -> Panelled:
    points = [point for point in panel.points if point.arm in cost.values]
    ends = domain(extent(points), panel.possible, margin=0.1)
    place = Place(*size_px, cost_axis([cost.values[point.arm] for point in points]), ends)
    y_scale = alt.Scale(domain=ends, nice=False, zero=False)
    x = place.x_axis.encoding("cost:Q", cost.title)
    y = alt.Y("mean:Q", scale=y_scale, axis=y_axis(panel.axis_title, place, percent=panel.scale.percent))
    colour = colour_encoding(palette)
    drawn = side_by_side([cost.values[point.arm] for point in points], place)
    values = [
        asdict(point) | {"cost": at, "size": cost.text(point.arm)} for point, at in zip(points, drawn, strict=True)
    ]
    base = chart_of(values).encode(x=x, color=colour)
    interval = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.4, clip=True)
        .encode(y=alt.Y("low:Q", scale=y_scale), y2=alt.Y2("high:Q"))
    )
    marks = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=y,
        shape=shape_encoding(words),
        tooltip=[*interval_tooltips(words, words.say("平均", "mean")), cost.tooltip()],
    )
    spots = [
        Spot(
            x=place.x(at),
            y=place.y(point.mean),
            top=place.y(point.mean if point.high is None else point.high),
            bottom=place.y(point.mean if point.low is None else point.low),
            label=point.label,
        )
        for point, at in zip(points, drawn, strict=True)
    ]
    labels = label_layers(spots, [point.arm for point in points], place, (), colour)
    return alt.layer(
        *_joining_lines({point.arm: spot for point, spot in zip(points, spots, strict=True)}, joined),
        interval,
        marks,
        *labels,
        width=place.width,
        height=place.height,
        title=panel_title(panel.title, panel.subtitle, place.width + _Y_AXIS_PX + 20),
    )


def _joining_lines(spots: Mapping[str, Spot], joined: Mapping[str, str]) -> list[alt.Chart]:
    """Return the thin lines between points, in pixels; none if no two points are joined."""
    ends = [
        {"x": spots[arm].x, "y": spots[arm].y, "spot_x": spots[other].x, "spot_y": spots[other].y}
        for arm, other in joined.items()
        if arm in spots and other in spots
    ]
    rule = chart_of(ends).mark_rule(strokeWidth=0.8, color=GREY, strokeDash=[2, 2])
    return [rule.encode(**_PIXELS, x2=alt.X2("spot_x:Q"), y2=alt.Y2("spot_y:Q"))] if ends else []


def y_axis(title: str, place: Place, *, percent: bool = False) -> alt.Axis:
    """Return the y axis, as wide in every panel and nowhere higher than the panel, so that the panels align."""
    marks = [mark for mark in tick_marks(*place.y_ends) if place.y(mark) >= _TOP_PX]
    return alt.Axis(
        title=title,
        titleLimit=place.height + 30,
        format=".0%" if percent else "~f",
        values=marks,
        minExtent=_Y_AXIS_PX,
        maxExtent=_Y_AXIS_PX,
    )


def side_by_side(costs: Sequence[float], place: Place) -> list[float]:
    """Return where points are drawn, as costs: points that would cover each other stand side by side."""
    order = sorted(range(len(costs)), key=lambda one: costs[one])
    groups: list[list[int]] = []
    for one in order:
        if groups and place.x(costs[one]) - place.x(costs[groups[-1][-1]]) < _APART_PX / 2:
            groups[-1].append(one)
        else:
            groups.append([one])
    drawn = list(costs)
    for group in (group for group in groups if len(group) > 1):
        last = len(group) - 1
        step = min(_APART_PX, _MOST_APART_PX / last)
        middle = sum(place.x(costs[one]) for one in group) / len(group)
        for number, one in enumerate(group):
            drawn[one] = place.cost(middle + (number - last / 2) * step)
    return drawn


def tick_marks(low: float, high: float) -> list[float]:
    """Return round numbers between two ends, at most seven."""
    power = 10.0 ** math.floor(math.log10((high - low) / _MOST_TICKS))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * _MOST_TICKS >= high - low)
    digits = max(0, 1 - math.floor(math.log10(step)))
    return [round(place * step, digits) for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


@dataclass(frozen=True)
class CostAxis:
    """The x axis of a panel."""

    ends: list[float]
    logarithmic: bool
    ticks: dict[str, Any]

    def share(self, value: float) -> float:
        """Return the distance of a value from the panel's left end, as a share of the width."""
        low, high = self.ends
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low)

    def at(self, share: float) -> float:
        """Return the value at a distance from the panel's left end."""
        if self.logarithmic:
            low, high = map(math.log, self.ends)
            return math.exp(low + share * (high - low))
        return self.ends[0] + share * (self.ends[1] - self.ends[0])

    def encoding(self, field: str, title: str) -> alt.X:
        """Return the encoding of a field on this axis."""
        scale = alt.Scale(domain=self.ends, nice=False, zero=False, type="log" if self.logarithmic else "linear")
        return alt.X(field, scale=scale, axis=alt.Axis(title=title, **self.ticks))


def cost_axis(values: Sequence[float]) -> CostAxis:
    """Return the axis of a cost, which is never negative. It is logarithmic if the values differ by a factor."""
    low, high = min(values), max(values)
    if low <= 0 or high < _SPREAD * low:
        return CostAxis(domain(values, (0.0, math.inf), margin=0.16), False, {"tickCount": 6})
    ends = [math.exp(end) for end in domain([math.log(low), math.log(high)], margin=0.16)]
    powers = range(math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1])) + 1)
    for steps in _STEPS:
        marks = [round(step * 10.0**power, 6) for power in powers for step in steps]
        seen = [mark for mark in marks if ends[0] <= mark <= ends[1]]
        if len(seen) <= _MOST_MARKS:
            break
    return CostAxis(ends, True, {"values": seen, "format": "~g"})


def label_layers(
    spots: Sequence[Spot], arms: Sequence[str], place: Place, lines: Sequence[Box], colour: alt.Color | alt.Value
) -> list[alt.Chart]:
    """Return the labels of the points; a label that is far from its point has a thin line to it.

    Args:
        spots: the points with their labels.
        arms: the arm of each point, which gives the colour.
        place: the panel.
        lines: lines that the labels keep away from.
        colour: the encoding of the colour.
    """
    spots = [replace(spot, label=fitted(spot.label, _WIDEST_LABEL * place.width)) for spot in spots]
    boxes = place_labels(spots, place.width, place.height, lines)
    rows = [
        {"arm": arm, "label": spot.label, "x": box.x, "y": box.y}
        for arm, spot, box in zip(arms, spots, boxes, strict=True)
    ]
    bars = [Box(spot.x, (spot.top + spot.bottom) / 2, 3, max(spot.bottom - spot.top, 1)) for spot in spots]
    crossed = [row for row, box in zip(rows, boxes, strict=True) if any(map(box.overlaps, (*bars, *lines)))]
    charts = []
    if crossed:
        ground = chart_of(crossed).mark_text(stroke="white", strokeWidth=3, fontSize=TEXT_PX)
        charts.append(ground.encode(**_PIXELS, text=alt.Text("label:N")))
    charts.append(chart_of(rows).mark_text(fontSize=TEXT_PX).encode(**_PIXELS, text=alt.Text("label:N"), color=colour))
    leaders = [
        leader
        for spot, box in zip(spots, boxes, strict=True)
        if spot.label and (leader := leader_of(spot, box)) is not None
    ]
    if leaders:
        ends = [{"x": x, "y": y, "spot_x": spot_x, "spot_y": spot_y} for (x, y), (spot_x, spot_y) in leaders]
        rule = chart_of(ends).mark_rule(strokeWidth=0.6, color=GREY)
        charts.append(rule.encode(**_PIXELS, x2=alt.X2("spot_x:Q"), y2=alt.Y2("spot_y:Q")))
    return charts
