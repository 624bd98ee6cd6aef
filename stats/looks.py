"""Several looks at one comparison: how far an interval must be widened so that all looks together keep their level.

Whoever looks at 440 items, and then at 1,319 because the first result was not what he hoped for, has two chances of a
false claim. So all looks share one level: 2.5% on each side. A look may spend what the share of the planned items that
it covers allows, minus what earlier looks have spent (Lan and DeMets 1983, Biometrika 70:659):

    spent(t) = α·ln(1 + (e - 1)·t),  t = items / planned items

This is their function of Pocock's kind. It leaves a first small look something to claim with, and takes little from the
last one: with looks at a third and at all items, 1.13% and 1.37% of 2.5%. O'Brien and Fleming's kind would leave a look
at a third next to nothing (0.01%). A single look at all planned items spends everything: its interval is the usual one.

The critical value of a look follows from the joint distribution of the statistics: under the hypothesis, those of looks
at n and m > n items of one fixed order are normal with correlation √(n/m) (Armitage, McPherson and Rowe 1969, JRSS A
132:235). It is integrated numerically on the grid of Jennison and Turnbull (2000, chapter 19). The intervals with these
values are their repeated confidence intervals: at all looks at once they cover with 95%. Each side is bounded by
itself, because "no worse" is a claim about one side.

Nothing is left for a look that adds no planned items: other seeds on the same items, fewer items, or items beyond the
plan. Such a look can claim nothing new. The betting sequence (`stats.sequential`) is no way out: beside the looks that
have spent the level it would need a level of its own. Planned beforehand it is valid at any number of looks, but its
intervals are 1.55 to 1.8 times as wide as those of a single look, against 1.1 to 1.3 here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from stats.intervals import TAIL, Floats

SIDE = 1 - TAIL
"""2.5%: the level of all looks together, on each side."""
_GRID = 18
"""Fineness r of the grid: 6r - 1 points and the points halfway between them."""
_LEAST_STEP = 0.005
"""If a look adds a smaller share of items to the one before, the normal kernel between them is too narrow for the grid.
The look's part of the level then counts as if the looks were unrelated, which widens the interval a little more."""
_WIDEST = 40.0
"""Critical values are searched between minus and plus this many standard errors."""


@dataclass(frozen=True)
class PlannedLook:
    """What must be known of a look to tell what it may spend."""

    information: float
    """Items of the look, in any unit that all looks share, such as the planned number of items."""
    continues: bool = True
    """True if the look has the same seeds as the one before. If not, nothing is known of their correlation."""
    planned: float = 1.0
    """The most items that were planned when the look was made, in the same unit. A plan that is raised afterwards gives
    nothing back that was spent."""


def share_spent(information: float) -> float:
    """Return the share of the level that is spent once a share of the planned items was looked at."""
    return math.log1p((math.e - 1) * min(1.0, max(0.0, information)))


def critical_values(looks: Sequence[PlannedLook], side: float = SIDE) -> tuple[float, ...]:
    """Return the critical value of each look, in standard errors; infinite for a look that has nothing left to spend.

    Args:
        looks: in the order in which they were made.
        side: the level of all looks together, on each side.
    """
    shares = [share_spent(look.information / look.planned) for look in looks]
    before = [0.0, *np.maximum.accumulate(shares)][: len(shares)]
    spent = [side * max(0.0, share - earlier) for share, earlier in zip(shares, before, strict=True)]
    return boundaries([look.information for look in looks], spent, [look.continues for look in looks])


def boundaries(
    information: Sequence[float], spent: Sequence[float], continues: Sequence[bool] | None = None
) -> tuple[float, ...]:
    """Return the values c_k that make P(Z_k > c_k, no earlier look above its value) equal to what look k spends.

    Args:
        information: proportional to the items of each look.
        spent: what each look spends; it gets an infinite value if that is 0.
        continues: as in `PlannedLook`; None: all looks have the same seeds.
    """
    found: list[float] = []
    alive: _Alive | None = None
    for number, (now, alpha) in enumerate(zip(information, spent, strict=True)):
        related = alive is not None and (continues is None or all(continues[alive.number + 1 : number + 1]))
        if alpha <= 0:
            found.append(math.inf)
        elif alive is None or not related:
            found.append(_quantile(alpha))
            alive = _first(number, now, found[-1])
        elif now - alive.information < _LEAST_STEP * now:
            found.append(_quantile(alpha))  # its paths stay alive, which counts later crossings twice: on the safe side
        else:
            found.append(_crossing_value(alive, now, alpha))
            alive = _later(alive, number, now, found[-1])
    return tuple(found)


def crossing_probabilities(information: Sequence[float], bounds: Sequence[float]) -> tuple[float, ...]:
    """Return for each look P(Z_k > bound k, no earlier look above its bound), with the hypothesis true.

    Args: as in `boundaries`, with the same seeds at all looks.
    """
    alive = _first(0, information[0], bounds[0])
    found = [float(special.ndtr(-bounds[0]))]
    for number, (now, bound) in enumerate(zip(information[1:], bounds[1:], strict=True), 1):
        found.append(_crossing(alive, now, bound))
        alive = _later(alive, number, now, bound)
    return tuple(found)


def repeated_p_value(p_value: float, looks: Sequence[PlannedLook]) -> float:
    """Return the two-sided p value of the last look that allows for all looks: the smallest level that would reject.

    Args:
        p_value: the two-sided p value of the last look by itself.
        looks: all looks, the last one included. It must have something left to spend.
    """
    value = _quantile(p_value / 2) if p_value > 0 else _WIDEST

    def excess(log_level: float) -> float:
        return critical_values(looks, math.exp(log_level) / 2)[-1] - value

    if excess(0.0) >= 0:
        return 1.0
    lowest = math.log(max(p_value, 1e-300))
    if excess(lowest) <= 0:
        return p_value
    return math.exp(optimize.brentq(excess, lowest, 0.0, xtol=1e-6))


# --- numerical integration ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Alive:
    """The distribution of the statistic at a look, over the paths that no look has ended so far."""

    number: int
    information: float
    points: Floats
    masses: Floats
    """Density times quadrature weight; shape (points,)."""


def _quantile(alpha: float) -> float:
    return float(-special.ndtri(alpha))


def _normal(z: Floats) -> Floats:
    density: Floats = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return density


def _first(number: int, information: float, bound: float) -> _Alive:
    points, weights = _grid(bound)
    return _Alive(number, information, points, weights * _normal(points))


def _later(before: _Alive, number: int, information: float, bound: float) -> _Alive:
    points, weights = _grid(bound)
    step = math.sqrt(information - before.information)
    scores = points[:, None] * math.sqrt(information) - before.points * math.sqrt(before.information)
    density = _normal(scores / step) @ before.masses * (math.sqrt(information) / step)
    return _Alive(number, information, points, weights * density)


def _crossing(before: _Alive, information: float, bound: float) -> float:
    """Return the probability that a path that is alive lies above `bound` at a look with more information."""
    step = math.sqrt(information - before.information)
    away = (bound * math.sqrt(information) - before.points * math.sqrt(before.information)) / step
    return float(special.ndtr(-away) @ before.masses)


def _crossing_value(before: _Alive, information: float, alpha: float) -> float:
    def excess(bound: float) -> float:
        return _crossing(before, information, bound) - alpha

    if excess(-_WIDEST) <= 0:
        return -_WIDEST  # what is alive weighs less than what may be spent, so all of it may end here
    return float(optimize.brentq(excess, -_WIDEST, _WIDEST, xtol=1e-10))


def _grid(bound: float) -> tuple[Floats, Floats]:
    """Return points up to `bound`, and Simpson's weights for them: dense around 0, with ever wider steps outwards."""
    steps = np.arange(1, 6 * _GRID, dtype=np.float64)
    low, high = steps < _GRID, steps > 5 * _GRID
    main = -3 + 3 * (steps - _GRID) / (2 * _GRID)
    main[low] = -3 - 4 * np.log(_GRID / steps[low])
    main[high] = 3 + 4 * np.log(_GRID / (6 * _GRID - steps[high]))
    main = np.append(main[main < bound], bound) if main[-1] > bound else main
    if main.size < 2:
        return np.array([bound]), np.array([0.0])
    widths = np.diff(main)
    points, weights = np.empty(2 * main.size - 1), np.zeros(2 * main.size - 1)
    points[::2], points[1::2] = main, (main[:-1] + main[1:]) / 2
    weights[:-2:2] += widths / 6
    weights[2::2] += widths / 6
    weights[1::2] = 4 * widths / 6
    return points, weights
