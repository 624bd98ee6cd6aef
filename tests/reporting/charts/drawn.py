"""What a drawn chart contains: its text, its tags, and the rows of its layers."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from reporting.charts.render import to_svg
from reporting.charts.style import Specification

TEXT_TAGS = ("}text", "}tspan")


def svg_text(svg: str) -> str:
    """Return all text that an SVG picture shows."""
    shown = (element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith(TEXT_TAGS))
    return "\n".join(shown)


def shown_by(chart: Specification) -> str:
    """Draw a chart and return all text that it shows."""
    return svg_text(to_svg(chart))


def panel_of(chart: Specification, title: str) -> dict[str, Any]:
    """Return the panel with this title."""
    (panel,) = [one for one in chart["concat"] if one["title"]["text"].startswith(title)]
    return dict(panel)


def values(panel: dict[str, Any], layer: int) -> list[dict[str, Any]]:
    """Return the rows that a layer of a panel draws: its own, or those that all layers share."""
    data = panel["layer"][layer].get("data") or panel["data"]
    return list(data["values"])
