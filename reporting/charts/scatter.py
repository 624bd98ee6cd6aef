"""Panels of points with names: something that an arm costs across, what it performs upwards, intervals and all.

Names are placed so that they overlap nothing (`reporting.charts.labels`). The thin line joins the Pareto front: arms
than which no other is at once cheaper and better, by the means alone; intervals may well overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import altair as alt

from reporting.charts.labels import Spot, place_labels
from reporting.charts.points import Panel, Point, domain, extent
from reporting.charts.style import GREY, PANEL_WIDTH_PX, Panelled, chart_of, haloed, shape_encoding
from reporting.wording import Words

HEIGHT_PX = 260


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
    across = domain([cost.values[point.arm] for point in points], margin=0.16)
    upwards = domain(extent(points), margin=0.1)
    x_scale = alt.Scale(domain=across, nice=False, zero=False)
    y_scale = alt.Scale(domain=upwards, nice=False, zero=False)
    x = alt.X("cost:Q", scale=x_scale, axis=alt.Axis(title=cost.title, tickCount=6))
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
        width=PANEL_WIDTH_PX,
        height=HEIGHT_PX,
        title=alt.TitleParams(text=panel.title, subtitle=panel.subtitle),
    )


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
    points: list[Point], cost: Cost, across: list[float], upwards: list[float], colour: alt.Color
) -> list[alt.Chart]:
    """The arms' names, each with a thin line to its point where it had to move away."""

    def x_px(point: Point) -> float:
        return (cost.values[point.arm] - across[0]) / (across[1] - across[0]) * PANEL_WIDTH_PX

    def y_px(value: float) -> float:
        return (upwards[1] - value) / (upwards[1] - upwards[0]) * HEIGHT_PX

    spots = [
        Spot(
            x=x_px(point),
            y=y_px(point.mean),
            top=y_px(point.mean if point.high is None else point.high),
            bottom=y_px(point.mean if point.low is None else point.low),
            label=point.label,
        )
        for point in points
    ]
    boxes = place_labels(spots, PANEL_WIDTH_PX, HEIGHT_PX)
    charts: list[alt.Chart] = []
    for point, spot, box in zip(points, spots, boxes, strict=True):
        name = chart_of([{"arm": point.arm, "label": point.label}])
        at = {"x": alt.value(box.x), "y": alt.value(box.y)}
        ground, letters = haloed(name.encode(**at, text="label:N"), fontSize=10.5)
        charts += [ground, letters.encode(color=colour)]
        if abs(box.y - spot.y) > 20:
            near = box.y + (7 if box.y < spot.y else -7)
            line = name.mark_rule(strokeWidth=0.6, color=GREY)
            charts.append(
                line.encode(x=alt.value(box.x), y=alt.value(near), x2=alt.value(spot.x), y2=alt.value(spot.y))
            )
    return charts
