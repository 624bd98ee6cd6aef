"""Where the panels of a chart go: columns, heights of rows, and several pictures if one would be too high."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reporting.charts.style import INK, Panelled, Specification
from reporting.fonts import FAMILY
from reporting.results_folder import Json

CONFIG = {
    "font": f"{FAMILY}, sans-serif",
    "background": "white",
    "padding": 14,
    "view": {"stroke": "#D0D0D0"},
    "axis": {
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "gridColor": "#ECECEC",
        "labelLimit": 240,
        "labelSeparation": 6,
    },
    "title": {"anchor": "start", "fontSize": 13, "subtitleFontSize": 11, "subtitleColor": INK, "subtitlePadding": 5},
    "legend": {"titleFontSize": 11, "labelFontSize": 11, "labelLimit": 300},
}
"""The common style of all charts, as Vega-Lite's `config`."""
_TITLE = {"fontSize": 17, "subtitleFontSize": 11.5, "offset": 14}
_CHANNELS = ("x", "y", "shape", "color", "fill", "xOffset")

MOST_HEIGHT_PX = 1000
"""Height of a picture. Its PNG has three device pixels for each, 3,000 in all."""
_HEAD_PX = 92
"""Title, two lines of subtitle and the padding."""
_AROUND_PX = 62
"""Title and axis of a panel. Each line of its subtitle comes on top."""
_LINE_PX = 15
_SPACING_PX = 26
_LEGEND_PX = 40
SUBTITLE_LINES = 2
"""Most lines of subtitle. Everything else is said in the caption."""
_MANY = 4
"""From more panels on, there are three columns."""
_LEAST_ROW_PX = 13


def figure(
    panels: Sequence[Panelled],
    title: str,
    subtitle: Sequence[str],
    *,
    columns: int = 2,
    shared: Sequence[str] = (),
) -> Specification:
    """Return the specification of panels side by side under one title.

    altair makes the panels; they are joined here, because altair would copy all of their data several times. It does
    not check them against the schema of Vega-Lite either, which would take as long again; a test does.

    Args:
        panels: the panels, row by row.
        title: the title.
        subtitle: what is shown, then n and what the bars are.
        columns: number of panels in a row.
        shared: channels whose scale and legend all panels share, such as `color`. All others are independent.
    """
    assert len(subtitle) <= SUBTITLE_LINES
    made = [panel.to_dict(validate=False) for panel in panels]
    scales = {channel: "shared" if channel in shared else "independent" for channel in _CHANNELS}
    return {
        "$schema": made[0]["$schema"],
        "config": CONFIG,
        "title": {"text": title, "subtitle": list(subtitle), **_TITLE},
        "concat": [{key: value for key, value in panel.items() if key not in ("$schema", "config")} for panel in made],
        "columns": min(columns, len(panels)),
        "spacing": _SPACING_PX,
        "resolve": {"scale": scales},
    }


def columns_of(n_panels: int) -> int:
    """Return the number of columns for panels that are about as wide as high."""
    return min(n_panels, 2) if n_panels <= _MANY and n_panels != _MANY - 1 else 3


def height_of(n_panels: int, columns: int, most_px: int, least_px: int) -> int:
    """Return the height of panels with one line of subtitle, so that all of them fit into one picture if possible."""
    rows = max(1, math.ceil(n_panels / max(1, columns)))
    free = MOST_HEIGHT_PX - _HEAD_PX - _LEGEND_PX - rows * (_AROUND_PX + _LINE_PX) - (rows - 1) * _SPACING_PX
    return max(least_px, min(most_px, free // rows))


def row_px(n_rows: int, n_panels: int, columns: int, most_px: int) -> int:
    """Return the height of a row of a panel that has one row for each arm, so that all panels fit into one picture.

    Rows never get lower than their text: if they do not fit, there are several pictures.
    """
    height = height_of(n_panels, columns, most_px * max(n_rows, 1), 0)
    return max(_LEAST_ROW_PX + 5, min(most_px, height // max(n_rows, 1))) if n_panels > 1 else _alone(n_rows, most_px)


def _alone(n_rows: int, most_px: int) -> int:
    return max(_LEAST_ROW_PX, min(most_px, height_of(1, 1, MOST_HEIGHT_PX, 0) // max(n_rows, 1)))


def pages(specification: Specification) -> list[Specification]:
    """Return the specification of each picture: the panels in as few pictures as their heights allow, evenly."""
    panels = specification.get("concat", [])
    columns = int(specification.get("columns", 1))
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [max(map(_height_px, row)) + _SPACING_PX for row in rows]
    free = MOST_HEIGHT_PX - _HEAD_PX - _LEGEND_PX + _SPACING_PX
    if len(rows) < 2 or sum(heights) <= free:
        return [specification]
    fitting = max(1, int(free // max(heights)))
    n_pages = math.ceil(len(rows) / fitting)
    each = math.ceil(len(rows) / n_pages)
    parts = [rows[start : start + each] for start in range(0, len(rows), each)]
    head = specification["title"]
    return [
        specification
        | {
            "concat": [panel for row in part for panel in row],
            "title": head | {"text": f"{head['text']} ({place}/{len(parts)})"},
        }
        for place, part in enumerate(parts, 1)
    ]


def _height_px(panel: Json) -> float:
    title = panel.get("title")
    subtitle = title.get("subtitle", []) if isinstance(title, dict) else []
    lines = len(subtitle) if isinstance(subtitle, list) else 1
    return float(panel.get("height", 0)) + _AROUND_PX + _LINE_PX * lines
