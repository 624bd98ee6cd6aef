"""Intervals for one arm's mean on one benchmark.

There are two estimands, and they are never mixed:

A. The benchmark as a sample of questions: the mean that the arm would have over all questions of that kind. The spread
   between items counts, and it includes sampling noise. `mean_interval`.
B. This fixed benchmark: the mean that the arm would have on exactly these items with endless repeats. Only sampling
   noise counts. `fixed_benchmark_interval`.

All intervals are two-sided 95% intervals. No interval has a width of zero. If the data show no spread, either the
bounds of the scale determine the interval (Wilson), or there is no interval but a reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stats.reasons import Reason

CONFIDENCE = 0.95
TAIL = 0.5 + CONFIDENCE / 2
"""The quantile that leaves half of the uncovered probability above it: 0.975."""
Z = float(special.ndtri(TAIL))
"""1.959964: the same quantile of the normal distribution."""
SMALL_N = 200
"""With fewer items a proportion takes Wilson's interval, because normal theory misleads there (arXiv 2503.01747)."""
FEW_APART = 50
"""A proportion takes Wilson's interval, too, if fewer items than this are not wrong, or not right, under all seeds.

Near 0 and 1 the t interval is too short at any number of items, and misses on one side: with 10 of 5000 items right it
covers 92.8%, with 1 of 500 63%. Wilson's covers 92% or more. With 50 items apart from the end, t covers 94% or more,
for one run and for five (simulated, tests/stats/test_intervals.py)."""
FEW_OF_A_SCALE = 10
"""Scores on a scale take Wilson's interval with the number of items if fewer items than this lie apart from an end of
the scale, counted as `near_an_end` does: their spread says too little about the scores that were not seen."""
_ADDED_ITEMS = 4
"""The spread of scores on a scale counts as if there were so many more items, right or wrong ones."""
_EQUAL = 1e-12
"""Relative spread up to which values count as equal. Rounding in means of the same scores stays below it."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A two-sided 95% interval and the method that gave it."""

    low: float
    high: float
    method: str


def all_equal(values: Floats) -> bool:
    """Return whether `values`, shape (n,), show no spread beyond rounding."""
    if values.size == 0:
        return True
    return bool(np.ptp(values) <= _EQUAL * max(1.0, float(np.max(np.abs(values)))))


def t_quantile(df: float, tail: float = TAIL) -> float:
    """Return the quantile `tail` of Student's t with `df` degrees of freedom: by default the one of 97.5%."""
    return float(special.stdtrit(df, tail))


def mean_interval(item_means: Floats, *, proportion: bool) -> Interval | Reason:
    """Return the interval of estimand A from per-item means.

    The interval is Student's t: mean ± t(n-1)·sd/√n. A proportion takes Wilson's interval instead if n < 200, if it is
    close to 0 or 1, or if all means are equal, and [0, 1] if fewer than two items were scored.

    Args:
        item_means: one mean per item, averaged over its seeds, shape (n,), no NaN.
        proportion: True if each score lies in [0, 1].

    Returns:
        The interval, clamped to [0, 1] for a proportion, or the reason why there is none.
    """
    n = item_means.size
    if proportion:
        if n < 2:
            return Interval(0.0, 1.0, "score_range")
        if n < SMALL_N or near_an_end(item_means) or all_equal(item_means):
            return wilson(float(np.mean(item_means)), n)
    if n < 2:
        return Reason.ONE_ITEM if n else Reason.NO_SCORED_ITEMS
    if all_equal(item_means):
        return Reason.ZERO_VARIANCE
    interval = t_interval(item_means)
    return clamp(interval, 0.0, 1.0) if proportion else interval


def scaled_mean_interval(item_means: Floats, scale: tuple[float, float]) -> Interval | Reason:
    """Return `mean_interval` of scores on a scale from `scale[0]` to `scale[1]`, computed as shares of the scale.

    Where a proportion takes Wilson's interval, scores on another scale than 0 to 1 take `graded_interval`.
    """
    low, span = scale[0], scale[1] - scale[0]
    shares = np.clip((item_means - low) / span, 0.0, 1.0)
    found = mean_interval(shares, proportion=True)
    if scale != (0.0, 1.0) and isinstance(found, Interval) and found.method == "wilson":
        found = graded_interval(shares)
    return stretched(found, span, low) if isinstance(found, Interval) else found


def graded_interval(shares: Floats) -> Interval:
    """Return Wilson's interval of the mean of scores that lie anywhere between the ends of a scale.

    Scores such as 1 to 5 vary less than right and wrong of the same mean, so their number of items is worth n / D: D is
    their variance over that of a share of that size. D counts as if there were four more items with the variance of the
    share, and the quantile is Student's. If few items lie apart from an end of the scale, it is `wilson` with n.
    The interval covers 94% or more from 20 items on, for scores spread evenly, heaped at an end, or in two heaps
    (simulated, tests/stats/test_graded_interval.py). Wilson's with n covers 99% there, and is up to twice as wide.

    Args:
        shares: one mean per item, as a share of the scale, in [0, 1], shape (n,), n >= 2.
    """
    mean, n = float(np.mean(shares)), shares.size
    if all_equal(shares) or min(_effective_count(shares), _effective_count(1.0 - shares)) < FEW_OF_A_SCALE:
        return wilson(mean, n)
    of_share = mean * (1 - mean)
    ratio = (float(np.sum((shares - mean) ** 2)) + _ADDED_ITEMS * of_share) / ((n - 1 + _ADDED_ITEMS) * of_share)
    found = score_interval(mean, n / ratio, t_quantile(n - 1))
    return Interval(found.low, found.high, "wilson_effective")


def stretched(interval: Interval, span: float, low: float = 0.0) -> Interval:
    """Return an interval of shares of a scale, in the units of the scale."""
    return Interval(low + span * interval.low, low + span * interval.high, interval.method)


def near_an_end(shares: Floats) -> bool:
    """Return whether so few of the shares in [0, 1] lie above 0, or below 1, that their t interval is too short.

    Shares s count by (Σs)²/Σs²: k equal shares among zeros count k, and a large one among small ones counts for most.
    """
    return min(_effective_count(shares), _effective_count(1.0 - shares)) < FEW_APART


def _effective_count(sizes: Floats) -> float:
    squares = float(sizes @ sizes)
    return float(sizes.sum()) ** 2 / squares if squares > 0 else 0.0


def t_interval(values: Floats, tail: float = TAIL) -> Interval:
    """Return Student's t interval of the mean of independent `values`, shape (n,), n >= 2, not all equal.

    `tail` is the quantile of its ends; a larger one than 0.975 gives a wider interval (`stats.looks`).
    """
    mean = float(np.mean(values))
    half = t_quantile(values.size - 1, tail) * float(np.std(values, ddof=1)) / math.sqrt(values.size)
    return Interval(mean - half, mean + half, "t")


def wilson(mean: float, n: float, tail: float = TAIL) -> Interval:
    """Return Wilson's score interval of a proportion.

    With repeats, `mean` is the mean of per-item means and `n` counts items, never items times repeats: repeats of a
    question are not new questions. The interval is then conservative, because a mean of repeats varies less than a
    single answer.

    Args:
        mean: in [0, 1].
        n: number of items, positive. An effective number of items need not be a whole number.
        tail: as in `t_interval`.
    """
    return score_interval(mean, n, Z if tail == TAIL else float(special.ndtri(tail)))


def score_interval(mean: float, n: float, z: float) -> Interval:
    """Return Wilson's interval for a given quantile `z`, otherwise as `wilson` does."""
    centre = (mean + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # If none or all are right, the end is exactly the mean. Rounding would put it 1e-17 on the wrong side.
    return Interval(max(0.0, min(centre - half, mean)), min(1.0, max(centre + half, mean)), "wilson")


def fixed_benchmark_interval(
    item_means: Floats, item_variances: Floats, n_runs: NDArray[np.int64], *, proportion: bool
) -> Interval | Reason:
    """Return the interval of estimand B: sampling noise only, with the questions held fixed.

    SE² = Σ s_i²/R_i / n², where s_i² is the variance between the repeats of item i; t with Σ(R_i-1) degrees of freedom.
    An item with one scored repeat takes the mean variance of the others.

    Args:
        item_means: shape (n,).
        item_variances: shape (n,), n-1 form, NaN for an item with one repeat.
        n_runs: scored repeats of each item, shape (n,), each at least 1.
        proportion: True if each score lies in [0, 1]. The interval is then clamped to it.
    """
    n = item_means.size
    if n == 0:
        return Reason.NO_SCORED_ITEMS
    repeated = n_runs >= 2
    if not repeated.any():
        return Reason.ONE_RUN
    variances = np.where(repeated, item_variances, item_variances[repeated].mean())
    standard_error = math.sqrt(float(np.sum(variances / n_runs))) / n
    if standard_error <= _EQUAL:
        return Reason.ZERO_VARIANCE
    half = t_quantile(float(np.sum(n_runs[repeated] - 1))) * standard_error
    mean = float(np.mean(item_means))
    interval = Interval(mean - half, mean + half, "t_within_items")
    return clamp(interval, 0.0, 1.0) if proportion else interval


def clamp(interval: Interval, low: float, high: float) -> Interval:
    """Limit an interval to the values that the scale has."""
    return Interval(max(low, interval.low), min(high, interval.high), interval.method)
