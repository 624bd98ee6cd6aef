"""The mean of several benchmarks: what an arm does in one category of them.

Estimand: the plain mean of the benchmarks' means, each weighing the same whatever its number of items, and each
taken as a sample of questions (estimand A of `stats.intervals`). The benchmarks themselves are not a sample: nothing
is said about benchmarks that were not asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stats.intervals import Interval
from stats.reasons import Reason

METHOD = "square_and_add"


def mean_of_means(means: Sequence[float]) -> float:
    """The plain mean; at least one benchmark."""
    return math.fsum(means) / len(means)


def joined_interval(means: Sequence[float], intervals: Sequence[Interval | Reason]) -> Interval | Reason:
    """The interval of the mean of k independent means m_i with intervals [l_i, u_i].

        low = mean - sqrt(sum (m_i - l_i)²) / k        high = mean + sqrt(sum (u_i - m_i)²) / k

    Each half-width stands for a standard error times its quantile, so the squares add as those of independent
    standard errors do; taking both halves apart keeps the asymmetry of Wilson's intervals, and no benchmark without
    spread counts as certain (Zou and Donner 2008, doi:10.1002/sim.3095; Newcombe's way of 1998 for a difference).
    Of one benchmark it is that benchmark's own interval.

    Args:
        means: one a benchmark, k >= 1.
        intervals: as many, of the same benchmarks.

    Returns:
        The interval, or the reason why one benchmark has none.
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
