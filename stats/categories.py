"""The mean of several benchmarks: the result of an arm in one category.

Estimand: the plain mean of the benchmarks' means. Each benchmark has the same weight, whatever its number of items, and
each counts as a sample of questions (estimand A of `stats.intervals`). The benchmarks themselves are not a sample:
nothing is said about other benchmarks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stats.intervals import Interval
from stats.reasons import Reason

METHOD = "square_and_add"


def mean_of_means(means: Sequence[float]) -> float:
    """Return the plain mean of at least one benchmark mean."""
    return math.fsum(means) / len(means)


def joined_interval(means: Sequence[float], intervals: Sequence[Interval | Reason]) -> Interval | Reason:
    """Return the interval of the mean of k independent means m_i with intervals [l_i, u_i].

        low = mean - sqrt(sum (m_i - l_i)²) / k        high = mean + sqrt(sum (u_i - m_i)²) / k

    Each half-width stands for a standard error times its quantile, so the squares add like the squares of independent
    standard errors. The lower and upper halves are combined separately. This keeps Wilson's intervals asymmetric, and a
    benchmark without spread does not count as certain (Zou and Donner 2008, doi:10.1002/sim.3095; Newcombe used the
    method in 1998 for a difference). For one benchmark the result is that benchmark's own interval.

    Args:
        means: one per benchmark, k >= 1.
        intervals: one per benchmark, in the same order.

    Returns:
        The interval, or the reason why one of the benchmarks has none.
    """
    known: list[Interval] = []
    for interval in intervals:
        if isinstance(interval, Reason):
            return interval
        known.append(interval)
    k, mean = len(means), mean_of_means(means)
    below = math.sqrt(math.fsum((m - one.low) ** 2 for m, one in zip(means, known, strict=True))) / k
    above = math.sqrt(math.fsum((one.high - m) ** 2 for m, one in zip(means, known, strict=True))) / k
    return Interval(mean - below, mean + above, METHOD if k > 1 else known[0].method)
