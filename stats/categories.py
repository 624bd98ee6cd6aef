"""The mean of several benchmarks: the result of an arm in one category.

Estimand: the plain mean of the benchmarks' means. Each benchmark has the same weight, whatever its number of items, and
each counts as a sample of questions (estimand A of `stats.intervals`). The benchmarks themselves are not a sample:
nothing is said about other benchmarks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stats.intervals import Floats, Interval, all_equal
from stats.reasons import Reason

METHOD = "square_and_add"


def mean_of_means(means: Sequence[float]) -> float:
    """Return the plain mean of at least one benchmark mean."""
    return math.fsum(means) / len(means)


def means_correlation(one: Floats, other: Floats, n_one: int, n_other: int) -> float:
    """Return the correlation of two benchmark means that share m questions: ρ·m/√(n·n'), with ρ over these questions.

    Args:
        one: an arm's means on the shared questions in one form, shape (m,).
        other: its means on the same questions in the other form, shape (m,).
        n_one: number of items of the first benchmark.
        n_other: number of items of the second benchmark.
    """
    if one.size < 2 or all_equal(one) or all_equal(other):
        return 0.0
    return float(np.corrcoef(one, other)[0, 1]) * one.size / math.sqrt(n_one * n_other)


def joined_interval(
    means: Sequence[float], intervals: Sequence[Interval | Reason], correlations: Floats | None = None
) -> Interval | Reason:
    """Return the interval of the mean of k means m_i with intervals [l_i, u_i], which are independent by default.

        low = mean - sqrt(sum (m_i - l_i)²) / k        high = mean + sqrt(sum (u_i - m_i)²) / k

    Each half-width stands for a standard error times its quantile, so the squares add like the squares of independent
    standard errors. The lower and upper halves are combined separately. This keeps Wilson's intervals asymmetric, and a
    benchmark without spread does not count as certain (Zou and Donner 2008, doi:10.1002/sim.3095; Newcombe used the
    method in 1998 for a difference). For one benchmark the result is that benchmark's own interval. Means that share
    questions correlate by r_ij, and the sums become sum_i sum_j r_ij·(m_i - l_i)·(m_j - l_j), likewise above.

    Args:
        means: one per benchmark, k >= 1.
        intervals: one per benchmark, in the same order.
        correlations: of the means, shape (k, k), with ones on the diagonal. None: they are independent.

    Returns:
        The interval, or the reason why one of the benchmarks has none.
    """
    known: list[Interval] = []
    for interval in intervals:
        if isinstance(interval, Reason):
            return interval
        known.append(interval)
    k, mean = len(means), mean_of_means(means)
    matrix = np.eye(k) if correlations is None else correlations
    lower = np.array([m - one.low for m, one in zip(means, known, strict=True)])
    upper = np.array([one.high - m for m, one in zip(means, known, strict=True)])
    below, above = (math.sqrt(max(0.0, float(half @ matrix @ half))) / k for half in (lower, upper))
    return Interval(mean - below, mean + above, METHOD if k > 1 else known[0].method)
