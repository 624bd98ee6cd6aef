"""Placing the names beside the points of a scatter chart so that they overlap nothing.

Vega-Lite has no such placement, so it is done here, in pixels, greedily: each label takes the cheapest free place of
rings around its point. Sizes of letters are estimated, not measured.
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LETTER_PX = 6.4
LINE_PX = 14.0
_GAP_PX = 9.0
_POINT_PX = 10.0
_BAR_COST = 12.0
"""Pixels that a label rather moves than lie on an error bar: letters have a white outline there."""
_NEAR_PX = 60.0


@dataclass(frozen=True)
class Spot:
    """A point with its error bar, in pixels from the panel's top left corner."""

    x: float
    y: float
    top: float
    bottom: float
    label: str


@dataclass(frozen=True)
class Box:
    """A label's place by its middle."""

    x: float
    y: float
    width: float
    height: float = LINE_PX

    def overlaps(self, other: Box) -> bool:
        return (
            abs(self.x - other.x) < (self.width + other.width) / 2
            and abs(self.y - other.y) < (self.height + other.height) / 2
        )


def label_width(label: str) -> float:
    """Estimated width in pixels: wide (Japanese) letters count twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WFA" else 1 for letter in label) * LETTER_PX


def place_labels(spots: Sequence[Spot], width: float, height: float) -> list[Box]:
    """A box for each spot's label, in the order of `spots`, inside the panel wherever it fits.

    The most crowded spots choose first. A label never lies on another one, on a point only where there is no other
    place; lying on an error bar and standing far off cost something, and the cheapest place is taken.

    Args:
        spots: the points, pixels.
        width: of the panel, pixels.
        height: of the panel, pixels.
    """
    points = [Box(spot.x, spot.y, _POINT_PX, _POINT_PX) for spot in spots]
    bars = [Box(spot.x, (spot.top + spot.bottom) / 2, 3, max(spot.bottom - spot.top, 1)) for spot in spots]
    placed: dict[int, Box] = {}
    for place in sorted(range(len(spots)), key=lambda one: (-_crowd(spots[one], spots), one)):
        spot = spots[place]
        candidates = [box for box in _ring(spot) if _inside(box, width, height)] or [next(iter(_ring(spot)))]
        free = [box for box in candidates if not any(box.overlaps(other) for other in placed.values())]

        def cost(box: Box, spot: Spot = spot) -> float:
            on_points = sum(box.overlaps(point) for point in points)
            on_bars = sum(box.overlaps(bar) for bar in bars)
            return 1000 * on_points + _BAR_COST * on_bars + math.hypot(_gap(box, spot), box.y - spot.y)

        placed[place] = min(free or candidates[:1], key=cost)
    return [placed[place] for place in range(len(spots))]


def _crowd(spot: Spot, spots: Sequence[Spot]) -> int:
    """How many other points stand near."""
    return sum(abs(spot.x - other.x) < _NEAR_PX and abs(spot.y - other.y) < _NEAR_PX for other in spots) - 1


def _gap(box: Box, spot: Spot) -> float:
    """From the point to the nearer end of the label."""
    return max(abs(box.x - spot.x) - box.width / 2, 0.0)


def _ring(spot: Spot) -> itertools.chain[Box]:
    size = label_width(spot.label)
    side = size / 2 + _GAP_PX
    steps = [step * LINE_PX for step in range(16)]
    return itertools.chain.from_iterable(
        (
            Box(spot.x + side + away, spot.y + shift, size),
            Box(spot.x - side - away, spot.y + shift, size),
            Box(spot.x + side + away, spot.y - shift, size),
            Box(spot.x - side - away, spot.y - shift, size),
            Box(spot.x, spot.y - LINE_PX - shift, size),
            Box(spot.x, spot.y + LINE_PX + shift, size),
        )
        for shift in steps
        for away in (0.0, 2 * _GAP_PX, 5 * _GAP_PX)
    )


def _inside(box: Box, width: float, height: float) -> bool:
    return box.width / 2 <= box.x <= width - box.width / 2 and LINE_PX / 2 <= box.y <= height - LINE_PX / 2
