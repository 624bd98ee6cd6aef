"""File size against performance: what each saved byte costs in quality, with the interval of each point."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import altair as alt

from reporting.charts.labels import Spot, place_labels
from reporting.charts.performance import empty_chart
from reporting.charts.points import Panel, Point, domain, extent, panels
from reporting.charts.style import (
    GREY,
    PANEL_WIDTH_PX,
    AnyChart,
    Panelled,
    chart_of,
    colours,
    figure,
    shape_encoding,
    source_lines,
)
from reporting.findings import Findings
from reporting.wording import SizeUnit, Words, size_unit

HEIGHT_PX = 260


def efficiency_chart(findings: Findings, words: Words) -> AnyChart:
    """The chart; arms of unknown size (an endpoint, say) cannot be placed and are left out."""
    unit = size_unit(max((arm["size_bytes"] or 0 for arm in findings.arms), default=0))
    palette = colours(findings)
    drawn = [_panel_chart(panel, unit, palette, words) for panel in panels(findings, words)]
    title = [words.say("ファイルサイズと性能", "File size against performance")]
    subtitle = source_lines(findings, words) + words.lines(
        "縦線: 問題の抽出に対する95%信頼区間。菱形: 基準。",
        "Vertical bars: 95% confidence interval over items. Diamond: the reference.",
    )
    return figure([panel for panel in drawn if panel is not None] or [empty_chart(words)], title, subtitle)


def _panel_chart(panel: Panel, unit: SizeUnit, palette: dict[str, str], words: Words) -> Panelled | None:
    points = [point for point in panel.points if point.size_bytes is not None]
    if not points:
        return None
    sizes = domain([unit.of(point.size_bytes or 0) for point in points], margin=0.16)
    values = domain(extent(points), margin=0.1)
    x_scale = alt.Scale(domain=sizes, nice=False, zero=False)
    y_scale = alt.Scale(domain=values, nice=False, zero=False)
    x = alt.X(
        "size:Q",
        scale=x_scale,
        axis=alt.Axis(title=f"{words.say('ファイルサイズ', 'File size')} ({unit.name})", tickCount=6),
    )
    y_axis = alt.Axis(title=list(panel.axis_title), format=".0%" if panel.scale.percent else "~f", tickCount=6)
    y = alt.Y("mean:Q", scale=y_scale, axis=y_axis)
    colour = alt.Color("arm:N", scale=alt.Scale(domain=list(palette), range=list(palette.values())), legend=None)
    rows = [asdict(point) | {"size": unit.of(point.size_bytes or 0)} for point in points]
    base = chart_of(rows).encode(x=x, color=colour)
    interval = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.4)
        .encode(y=alt.Y("low:Q", scale=y_scale), y2="high:Q")
    )
    marks = base.mark_point(filled=True, size=80, opacity=1).encode(y=y, shape=shape_encoding(words))
    layers: list[Any] = [interval, marks, *_names(points, unit, sizes, values, colour)]
    return alt.layer(
        *layers,
        width=PANEL_WIDTH_PX,
        height=HEIGHT_PX,
        title=alt.TitleParams(text=panel.title, subtitle=panel.subtitle),
    )


def _names(
    points: list[Point], unit: SizeUnit, sizes: list[float], values: list[float], colour: alt.Color
) -> list[alt.Chart]:
    """The arms' names, each with a thin line to its point where it had to move away."""

    def x_px(point: Point) -> float:
        return (unit.of(point.size_bytes or 0) - sizes[0]) / (sizes[1] - sizes[0]) * PANEL_WIDTH_PX

    def y_px(value: float) -> float:
        return (values[1] - value) / (values[1] - values[0]) * HEIGHT_PX

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
        charts.append(name.mark_text(fontSize=10.5).encode(**at, text="label:N", color=colour))
        if abs(box.y - spot.y) > 20:
            near = box.y + (7 if box.y < spot.y else -7)
            line = name.mark_rule(strokeWidth=0.6, color=GREY)
            charts.append(
                line.encode(x=alt.value(box.x), y=alt.value(near), x2=alt.value(spot.x), y2=alt.value(spot.y))
            )
    return charts
