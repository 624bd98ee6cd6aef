"""Panels with one row per arm: a point with its interval, and the numbers in a column beside the panel.

In the column no line can cross the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import altair as alt

from reporting.charts import layout
from reporting.charts.labels import fitted, label_width
from reporting.charts.style import GREY, INK, TEXT_PX, Panelled, at_px, chart_of, interval_tooltips
from reporting.results_folder import Json
from reporting.wording import DASH, Scale, Words, integer

PLOT_PX = 200
COLUMNS = 2
MOST_ROW_PX = 34
_MOST_LABEL_PX = 250
_LABEL_PADDING_PX = 8
_LABEL_GAP_PX = 16
_WIDER = 1.15
"""Letters on axes are so much wider than those beside points."""


@dataclass(frozen=True)
class Row:
    """One arm: its value with the interval, in the unit of the axis, and its numbers as text."""

    label: str
    arm: str
    middle: float | None
    low: float | None
    high: float | None
    text: str
    """What stands beside the panel."""
    value: str
    interval: str
    n: str
    colour: str
    shape: str = "circle"
    fill: str = ""
    """Inside of the point; empty: its colour."""
    run_low: float | None = None
    run_high: float | None = None
    """A second, thick bar: sampling noise."""


@dataclass(frozen=True)
class Line:
    """A vertical line through all rows."""

    at: float
    colour: str = GREY
    dashed: bool = True


@dataclass(frozen=True)
class Forest:
    """One panel."""

    title: str
    subtitle: str
    axis_title: str
    domain: Sequence[float]
    rows: Sequence[Row]
    percent: bool = False
    """The axis is labelled as a percentage. (Differences in percentage points are plain numbers.)"""
    lines: Sequence[Line] = ()


def mean_row(label: str, found: Json, scale: Scale, colour: str) -> Row:
    """Return the row of an arm's mean with its interval.

    Args:
        label: what stands before it.
        found: has `arm`, `mean`, which is known, `ci95` and `n_items`.
        scale: how its values are printed.
        colour: of the point and the bar.
    """
    low, high = found["ci95"] or (None, None)
    value, interval = scale.value(found["mean"]), scale.interval(found["ci95"])
    return Row(
        label=label,
        arm=found["arm"],
        middle=found["mean"],
        low=low,
        high=high,
        text=value if found["ci95"] is None else f"{value} {interval}",
        value=value,
        interval=interval,
        n=integer(found["n_items"]),
        colour=colour,
    )


def missing_row(label: str, arm: str, words: Words) -> Row:
    """Return the row of an arm without a result: it says so, so that a gap is not read as zero."""
    text = words.say("結果なし", "no result")
    return Row(label, arm, None, None, None, text, DASH, DASH, DASH, GREY)


def forest_panels(forests: Sequence[Forest], words: Words) -> list[Panelled]:
    """Return the panels of a chart, with rows of one height and labels of one width."""
    height = layout.row_px(max(len(forest.rows) for forest in forests), len(forests), COLUMNS, MOST_ROW_PX)
    room = label_px(forests)
    return [forest_panel(forest, height, room, words) for forest in forests]


def label_px(forests: Sequence[Forest]) -> int:
    """Return the room for labels, the same for all panels of a chart, so that the panels align."""
    longest = max((label_width(row.label) for forest in forests for row in forest.rows), default=0)
    return math.ceil(min(_MOST_LABEL_PX, _WIDER * longest + _LABEL_GAP_PX))


def forest_panel(forest: Forest, row_px: int, labels_px: int, words: Words) -> Panelled:
    """Return one panel."""
    scale = alt.Scale(domain=list(forest.domain), nice=False, zero=False)
    axis = alt.Axis(title=forest.axis_title, format=".0%" if forest.percent else "~f", tickCount=4)
    x = alt.X("middle:Q", scale=scale, axis=axis)
    labels = {row.label: fitted(row.label, (labels_px - _LABEL_GAP_PX) / _WIDER) for row in forest.rows}
    if len(set(labels.values())) < len(labels):  # two names that differ only in the middle
        labels = {label: label for label in labels}
    order = list(labels.values())
    # The padding keeps labels clear of points that stand on the axis.
    left = alt.Axis(
        title=None,
        ticks=False,
        minExtent=labels_px,
        maxExtent=labels_px,
        labelLimit=labels_px - _LABEL_PADDING_PX,
        labelPadding=_LABEL_PADDING_PX,
    )
    y = alt.Y("label:N", scale=alt.Scale(domain=order), axis=left)
    base = chart_of([_data(row) | {"label": labels[row.label]} for row in forest.rows]).encode(y=y)
    colour = alt.Color("colour:N", scale=None)
    layers: list[Any] = [_line(line, scale) for line in forest.lines]
    if any(row.run_low is not None for row in forest.rows):
        thick = base.transform_filter("isValid(datum.run_low)").mark_rule(strokeWidth=5, opacity=0.45, clip=True)
        layers.append(thick.encode(x=alt.X("run_low:Q", scale=scale), x2=alt.X2("run_high:Q"), color=colour))
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.6, clip=True)
    layers.append(bars.encode(x=alt.X("low:Q", scale=scale), x2=alt.X2("high:Q"), color=colour))
    marks = base.transform_filter("isValid(datum.middle)").mark_point(size=62, opacity=1, strokeWidth=1.6)
    layers.append(
        marks.encode(
            x=x,
            color=colour,
            fill=alt.Fill("fill:N", scale=None),
            shape=alt.Shape("shape:N", scale=None),
            tooltip=interval_tooltips(words, words.say("値", "value")),
        )
    )
    texts = base.mark_text(align="left", fontSize=min(TEXT_PX, row_px - 3), color=INK)
    layers.append(texts.encode(x=at_px(PLOT_PX + 8), text=alt.Text("text:N")))
    return alt.layer(
        *layers,
        width=PLOT_PX,
        height=row_px * len(order),
        title=panel_title(forest.title, forest.subtitle, labels_px + PLOT_PX + 190),
    )


def panel_title(title: str, subtitle: str, width_px: int) -> alt.TitleParams:
    """Return the title of a panel, cut to its width."""
    return alt.TitleParams(text=title, subtitle=[subtitle], limit=width_px)


def _data(row: Row) -> dict[str, Any]:
    return asdict(row) | {"fill": row.fill or row.colour}


def _line(line: Line, scale: alt.Scale) -> alt.Chart:
    rule = chart_of([{"at": line.at}])
    dash = [4, 3] if line.dashed else [1, 0]
    chart: alt.Chart = rule.mark_rule(color=line.colour, strokeDash=dash).encode(x=alt.X("at:Q", scale=scale))
    return chart
