"""How a judge's scores go with the length of the answers, and a difference adjusted for it.

Both arms answered the same question, so what makes a question hard, or its answers long, cancels in the differences of
one item. With d_i the difference in score and L_i that in length (arm minus reference, each a mean over seeds):

    d_i = adjusted + slope·L_i + e_i

`slope` says how many points go with a unit of length. `adjusted` is the difference that the line gives for answers of
equal length. This describes the scores. It is no cause: a longer answer may also be a better one, and then the slope is
no leaning of the judge, and the adjusted difference takes away what the arm really gained or lost.

Standard errors are those of the jackknife over items, which hold if the scatter grows with the length (Efron and Stein
1981; MacKinnon and White 1985 call it HC3): V = (n-1)/n·Σ(b_(i) - mean(b_(.)))², where b_(i) is fitted without item i.
Intervals take Student's t with n-2 degrees of freedom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stats.intervals import Floats, Interval, all_equal, t_quantile
from stats.reasons import Reason

FEWEST_ITEMS = 10


@dataclass(frozen=True)
class Leaning:
    """The line through paired differences."""

    slope: float
    """Points per unit of length."""
    slope_interval: Interval
    adjusted: float
    """Difference in score at equal length."""
    adjusted_interval: Interval
    n_items: int


def leaning(score_differences: Floats, length_differences: Floats) -> Leaning | Reason:
    """Return the line, or the reason why there is none.

    Args:
        score_differences: arm minus reference, one per item, shape (n,).
        length_differences: the same of the lengths, shape (n,).
    """
    n = score_differences.size
    if n < FEWEST_ITEMS:
        return Reason.TOO_FEW_ITEMS
    if all_equal(score_differences):
        return Reason.ZERO_VARIANCE
    lines = _without_each(score_differences, length_differences)
    if lines is None:
        return Reason.NO_LENGTHS
    slope, adjusted = _line(score_differences, length_differences)
    errors = np.sqrt((n - 1) / n * np.sum((lines - lines.mean(axis=0)) ** 2, axis=0))
    halves = t_quantile(n - 2) * errors
    return Leaning(
        slope,
        Interval(slope - float(halves[0]), slope + float(halves[0]), "jackknife"),
        adjusted,
        Interval(adjusted - float(halves[1]), adjusted + float(halves[1]), "jackknife"),
        n,
    )


def _line(scores: Floats, lengths: Floats) -> tuple[float, float]:
    """Return slope and value at 0 of the least-squares line."""
    centred = lengths - lengths.mean()
    slope = float(centred @ scores / (centred @ centred))
    return slope, float(scores.mean()) - slope * float(lengths.mean())


def _without_each(scores: Floats, lengths: Floats) -> Floats | None:
    """Return slope and value at 0 without each item, shape (n, 2); None if a line needs one single item."""
    n = scores.size
    x, y = lengths - lengths.mean(), scores - scores.mean()
    lost = n / (n - 1)
    squares = x @ x - lost * x**2
    if math.isclose(float(x @ x), 0.0, abs_tol=1e-12) or bool(np.any(squares <= 1e-9 * float(x @ x))):
        return None
    slopes = (x @ y - lost * x * y) / squares
    mean_x, mean_y = lengths.mean() - x / (n - 1), scores.mean() - y / (n - 1)
    return np.column_stack([slopes, mean_y - slopes * mean_x])
