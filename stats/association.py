"""Rank correlation of two numbers measured on the same items.

Estimand: Spearman's rank correlation over all questions of the benchmark's kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from stats.intervals import Floats, Interval, Z, all_equal
from stats.reasons import Reason

LEAST_ITEMS = 5
"""With fewer items there is no correlation. From 5 on the intervals cover the true value in 95% to 99% of simulated
samples, for true correlations from 0 to 0.9 (tests/stats/test_association.py)."""


@dataclass(frozen=True)
class Association:
    """A rank correlation with its interval."""

    rho: float
    interval: Interval


def rank_correlation(first: Floats, second: Floats) -> Association | Reason:
    """Return Spearman's rho with the interval of Bonett and Wright. Ties get their mean rank.

        tanh(atanh(rho) ± z sqrt((1 + rho²/2) / (n - 3)))

    (Psychometrika 65(1), 2000, 23-28, doi:10.1007/BF02294183.) The formula gives no width at a rho of 1 or -1. There
    the next smaller value that rho can have, 1 - 6/(n(n²-1)), is used instead, so that a perfect order of few items
    does not look certain.

    Args:
        first: shape (n,), no NaN.
        second: the other number on the same items, shape (n,), no NaN.

    Returns:
        The correlation, or the reason why it is undefined.
    """
    n = first.size
    if n < LEAST_ITEMS:
        return Reason.TOO_FEW_ITEMS
    if all_equal(first) or all_equal(second):
        return Reason.ZERO_VARIANCE
    rho = float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])
    rho = max(-1.0, min(1.0, rho))
    most = 1 - 6 / (n * (n * n - 1))
    inner = max(-most, min(most, rho))
    half = Z * math.sqrt((1 + inner * inner / 2) / (n - 3))
    ends = math.tanh(math.atanh(inner) - half), math.tanh(math.atanh(inner) + half)
    return Association(rho, Interval(min(ends[0], rho), max(ends[1], rho), "bonett_wright"))


def _ranks(values: Floats) -> Floats:
    """Return the rank of each value, from 1. Ties get their mean rank."""
    ranks: Floats = pl.Series(values).rank("average").to_numpy()
    return ranks


def shift_against_length(before: Floats, after: Floats) -> Association | Reason:
    """Correlate the change in answer length with the mean of both lengths: do longer answers change more?

    The length before is not used alone, because it would show a correlation even if there is none: chance that makes
    the length before large also makes the change negative (regression to the mean). The mean of both lengths does not
    have this bias if both lengths have the same variance (Oldham, Journal of Chronic Diseases 15, 1962, 969-977,
    doi:10.1016/0021-9681(62)90116-9).

    Args:
        before: mean length of each item's answers, shape (n,).
        after: the same for the other arm, on the same items, shape (n,).
    """
    return rank_correlation(after - before, (after + before) / 2)
