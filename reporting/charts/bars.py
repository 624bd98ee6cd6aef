"""Panels with one bar per arm, model by model: plain bars for references, hatched ones for quantized arms.

The two fills can be told apart without colour. Vega-Lite has no patterns, so the hatching is one symbol per bar, whose
path is drawn in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import altair as alt

from reporting.charts.forest import panel_title
from reporting.charts.labels import label_width
from reporting.charts.style import GREY, INK, TEXT_PX, Panelled, at_px, chart_of, interval_tooltips
from reporting.wording import Words

PLOT_PX = 200
COLUMNS = 2
_BAR_PX = 15
_BETWEEN_PX = 9
"""Space between two models."""
_HATCH_PX = 5.0
"""Distance of the hatching's lines."""
_PLAIN = "#56B4E9"
_MOST_LABEL_PX = 250
_LABEL_GAP_PX = 8


class Bar(NamedTuple):
    """One arm: its value with the interval, in the unit of the axis, and its numbers as text."""

    arm: str
    hatched: bool
    value: float | None
    """None: there is no result, and `text` says so."""
    low: float | None
    high: float | None
    text: str
    """What stands beside the bar."""
    shown: str
    interval: str
    n: str


@dataclass(frozen=True)
class BarGroup:
    """One model with its bars, from top to bottom."""

    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class BarPanel:
    """One panel."""

    title: str
    subtitle: str
    axis_title: str
    base: float
    """Where bars begin."""
    end: float
    """Where the axis ends."""
    groups: Sequence[BarGroup]
    percent: bool = False


def bar_panel(panel: BarPanel, words: Words) -> Panelled:
    """Return one panel."""
    rows, height = _rows(panel)
    scale = alt.Scale(domain=[panel.base, panel.end], nice=False, zero=False)
    axis = alt.Axis(title=panel.axis_title, format=".0%" if panel.percent else "~f", tickCount=4)
    vertical = alt.Scale(domain=[0, height], range=[0, height], nice=False, zero=False)
    y = alt.Y("middle:Q", scale=vertical, axis=None)
    base = chart_of(rows)
    known = base.transform_filter("isValid(datum.value)")
    boxes = known.mark_rect(stroke=INK, strokeWidth=0.8, clip=True).encode(
        x=alt.X("base:Q", scale=scale, axis=axis),
        x2=alt.X2("value:Q"),
        y=alt.Y("top:Q", scale=vertical, axis=None),
        y2=alt.Y2("bottom:Q"),
        fill=alt.Fill("fill:N", scale=None),
        tooltip=interval_tooltips(words, words.say("値", "value")),
    )
    lines = known.transform_filter("datum.hatched").mark_point(size=4, stroke=INK, strokeWidth=0.9, opacity=1)
    hatching = lines.encode(x=at_px(0), y=y, shape=alt.Shape("path:N", scale=None))
    bars = base.transform_filter("isValid(datum.low)")
    ends = {"x": alt.X("low:Q", scale=scale), "x2": "high:Q", "y": y}
    # A white line below the black one, so that the bar can also be seen on the hatching.
    halo = bars.mark_rule(strokeWidth=4.2, color="#FFFFFF", clip=True).encode(**ends)
    intervals = bars.mark_rule(strokeWidth=1.7, color="#000000", clip=True).encode(**ends)
    texts = base.mark_text(align="left", fontSize=TEXT_PX, color=INK).encode(
        x=at_px(PLOT_PX + 8), y=y, text=alt.Text("text:N")
    )
    named = base.transform_filter("isValid(datum.label)").mark_text(align="right", fontSize=11, limit=_MOST_LABEL_PX)
    labels = named.encode(
        x=at_px(-_LABEL_GAP_PX), y=alt.Y("label_y:Q", scale=vertical, axis=None), text=alt.Text("label:N")
    )
    return alt.layer(
        boxes,
        hatching,
        halo,
        intervals,
        texts,
        labels,
        width=PLOT_PX,
        height=height,
        title=panel_title(panel.title, panel.subtitle, _labels_px(panel) + PLOT_PX + 190),
    )


def _labels_px(panel: BarPanel) -> int:
    return int(min(_MOST_LABEL_PX, max((label_width(group.label) for group in panel.groups), default=0)))


def _rows(panel: BarPanel) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of the bars with their places in pixels, and the height of all of them."""
    rows: list[dict[str, Any]] = []
    top = 0
    for group in panel.groups:
        middle = top + len(group.bars) * _BAR_PX / 2
        for place, bar in enumerate(group.bars):
            box = {"top": top + 1, "bottom": top + _BAR_PX - 1, "middle": top + _BAR_PX / 2}
            name = {"label": group.label, "label_y": middle} if place == 0 else {"label": None, "label_y": None}
            rows.append({**_data(panel, bar), **box, **name})
            top += _BAR_PX
        top += _BETWEEN_PX
    return rows, max(top - _BETWEEN_PX, _BAR_PX)


def _data(panel: BarPanel, bar: Bar) -> dict[str, Any]:
    share = 0.0 if bar.value is None else (bar.value - panel.base) / (panel.end - panel.base)
    width = PLOT_PX * min(max(share, 0.0), 1.0)
    return {
        "arm": bar.arm,
        "value": bar.value,
        "base": panel.base,
        "low": bar.low,
        "high": bar.high,
        "text": bar.text,
        "shown": bar.shown,
        "interval": bar.interval,
        "n": bar.n,
        "hatched": bar.hatched,
        "fill": GREY if bar.value is None else "#FFFFFF" if bar.hatched else _PLAIN,
        "path": hatching_path(width, _BAR_PX - 2) if bar.hatched else "",
    }


def hatching_path(width: float, height: float) -> str:
    """Return the path of slanting lines that fill a box: x from 0 to `width`, y from -`height`/2 to `height`/2."""
    parts = []
    start = _HATCH_PX
    while start < width + height:
        # The line goes from (start, top) down to the left, and is cut where it leaves the box.
        right, left = min(start, width), max(start - height, 0.0)
        if right > left:
            upper, lower = -height / 2 + (start - right), -height / 2 + (start - left)
            parts.append(f"M{right:.1f},{upper:.1f}L{left:.1f},{lower:.1f}")
        start += _HATCH_PX
    return "".join(parts) or "M0,0"
