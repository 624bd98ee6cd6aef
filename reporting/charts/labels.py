"""Place the labels of the points in a scatter chart so that they do not overlap.

Vega-Lite cannot do this. The algorithm is greedy and works in pixels: each label takes the cheapest free place in rings
around its point. The size of a letter is an estimate.
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
"""Cost of lying on an error bar, as a distance in pixels that a label would move to avoid it. It is low because the
letters have a white outline."""
_NEAR_PX = 60.0
"""Distance within which other points count as a crowd."""


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
    """The rectangle of a label, in pixels; x and y are its centre."""

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
    """Return the estimated width in pixels. Wide (Japanese) letters count twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WFA" else 1 for letter in label) * LETTER_PX


def place_labels(spots: Sequence[Spot], width: float, height: float) -> list[Box]:
    """Return a box for the label of each spot, in the order of `spots`, inside the panel if possible.

    The most crowded spots choose first. Each takes the cheapest place that no other label covers. Lying on a point
    costs most, then lying on an error bar; each pixel of distance costs one.

    Args:
        spots: the points, in pixels.
        width: width of the panel in pixels.
        height: height of the panel in pixels.
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
    """Return how many other points are near."""
    return sum(abs(spot.x - other.x) < _NEAR_PX and abs(spot.y - other.y) < _NEAR_PX for other in spots) - 1


def _gap(box: Box, spot: Spot) -> float:
    """Return the horizontal distance from the point to the nearer end of the label."""
    return max(abs(box.x - spot.x) - box.width / 2, 0.0)


def _ring(spot: Spot) -> itertools.chain[Box]:
    """Yield candidate boxes around a spot, the nearest first."""
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
