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
from functools import partial

from reporting.escape import one_line

LETTER_PX = 6.1
LINE_PX = 14.0
_GAP_PX = 9.0
_POINT_PX = 10.0
_BAR_COST = 45.0
"""Cost of lying on an error bar or another line, as a distance in pixels that a label would move to avoid it."""
_FAR_PX = 12.0
"""A label that is farther than this from its point gets a thin line to it."""
_STEP_PX = 5.0
"""A line is cut into steps of this length, so that labels can keep away from it."""
_NEAR_PX = 60.0
"""Distance within which other points count as a crowd."""
_LONGEST_NAME = 500
_START_CHARS = 7
"""Characters that a cut label keeps of its start. Its end may hold a number, so it keeps all the rest."""


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
    """Return the estimated width in pixels. Wide (Japanese) letters count twice, m and w 1.6 times."""
    return sum(map(_letters, label)) * LETTER_PX


def _letters(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in "WFA":
        return 2
    return 1.6 if letter in "mwMW" else 1


def fitted(label: str, width: float) -> str:
    """Return a label that is at most `width` pixels wide. A longer one loses its middle."""
    if label_width(label) <= width:
        return label
    start, end = label[: len(label) // 2], label[len(label) // 2 :]
    while start and label_width(f"{start}…{end}") > width:
        start, end = (start, end[1:]) if len(start) <= _START_CHARS and end else (start[:-1], end)
    return f"{start}…{end}"


def arm_text(name: str, limit_chars: int) -> str:
    """Return an arm's name for a label. A longer one loses its middle: the type stands at its end."""
    return fitted(one_line(name, _LONGEST_NAME), limit_chars * LETTER_PX)


def place_labels(spots: Sequence[Spot], width: float, height: float, lines: Sequence[Box] = ()) -> list[Box]:
    """Return a box for the label of each spot, in the order of `spots`, inside the panel if possible.

    The most crowded spots choose first. Each takes the cheapest place that no other label covers. Lying on a point
    costs most, then lying on an error bar or another line; each pixel of distance costs one.

    Args:
        spots: the points, in pixels.
        width: width of the panel in pixels.
        height: height of the panel in pixels.
        lines: other lines that labels keep away from, as boxes.
    """
    points = [Box(spot.x, spot.y, _POINT_PX, _POINT_PX) for spot in spots]
    bars = [Box(spot.x, (spot.top + spot.bottom) / 2, 3, max(spot.bottom - spot.top, 1)) for spot in spots]
    bars += lines
    placed: dict[int, Box] = {}
    for place in sorted(range(len(spots)), key=lambda one: (-_crowd(spots[one], spots), one)):
        spot = spots[place]
        candidates = [box for box in _ring(spot) if _inside(box, width, height)] or [next(iter(_ring(spot)))]
        free = [box for box in candidates if not any(box.overlaps(other) for other in placed.values())]
        cost = partial(_cost, spot=spot, points=points, lines=bars, placed=list(placed.values()))
        placed[place] = min(free or candidates[:1], key=cost)
        bars += _steps(spot, placed[place])
    return [placed[place] for place in range(len(spots))]


def _cost(box: Box, spot: Spot, points: Sequence[Box], lines: Sequence[Box], placed: Sequence[Box]) -> float:
    on_points = sum(box.overlaps(point) for point in points)
    on_lines = sum(box.overlaps(line) for line in lines)
    leader = _steps(spot, box)
    crossed = sum(any(step.overlaps(other) for step in leader) for other in placed)
    return 1000 * on_points + _BAR_COST * (on_lines + crossed) + math.hypot(_gap(box, spot), box.y - spot.y)


def leader_of(spot: Spot, box: Box) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return the ends of the line from a label to its point; None if the label is near enough."""
    x = min(max(spot.x, box.x - box.width / 2), box.x + box.width / 2)
    y = box.y if abs(box.y - spot.y) < LINE_PX / 2 else box.y + (7 if box.y < spot.y else -7)
    return ((x, y), (spot.x, spot.y)) if math.hypot(x - spot.x, y - spot.y) > _FAR_PX else None


def _steps(spot: Spot, box: Box) -> list[Box]:
    """Return small boxes along the line from a label to its point; none if it has no line."""
    leader = leader_of(spot, box)
    if leader is None:
        return []
    (x, y), (to_x, to_y) = leader
    n = max(1, round(math.hypot(to_x - x, to_y - y) / _STEP_PX))
    parts = [(step + 0.5) / n for step in range(n)]
    return [Box(x + part * (to_x - x), y + part * (to_y - y), 1.0, 1.0) for part in parts]


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
