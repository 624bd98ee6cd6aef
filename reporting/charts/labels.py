"""Placing the names beside the points of a scatter chart so that they overlap nothing.

Vega-Lite has no such placement, so it is done here, in pixels, greedily: each label takes the first free
place of a ring around its point, then of wider rings. Sizes of letters are estimated, not measured.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LETTER_PX = 6.4
LINE_PX = 14.0
_GAP_PX = 9.0


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

    Args:
        spots: the points, pixels.
        width: of the panel, pixels.
        height: of the panel, pixels.
    """
    obstacles = [Box(spot.x, (spot.top + spot.bottom) / 2, 10, max(spot.bottom - spot.top, 10)) for spot in spots]
    placed: list[Box] = []
    for spot in spots:
        candidates = [box for box in _ring(spot) if _inside(box, width, height)] or [next(iter(_ring(spot)))]
        free = (box for box in candidates if not any(box.overlaps(other) for other in (*obstacles, *placed)))
        fallback = (box for box in candidates if not any(box.overlaps(other) for other in placed))
        placed.append(next(free, None) or next(fallback, candidates[0]))
    return placed


def _ring(spot: Spot) -> itertools.chain[Box]:
    size = label_width(spot.label)
    side = size / 2 + _GAP_PX
    steps = [step * LINE_PX for step in range(16)]
    return itertools.chain.from_iterable(
        (
            Box(spot.x + side, spot.y + shift, size),
            Box(spot.x - side, spot.y + shift, size),
            Box(spot.x + side, spot.y - shift, size),
            Box(spot.x - side, spot.y - shift, size),
            Box(spot.x, spot.top - LINE_PX - shift, size),
            Box(spot.x, spot.bottom + LINE_PX + shift, size),
        )
        for shift in steps
    )


def _inside(box: Box, width: float, height: float) -> bool:
    return box.width / 2 <= box.x <= width - box.width / 2 and LINE_PX / 2 <= box.y <= height - LINE_PX / 2
