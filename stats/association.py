"""How two figures of the same items go together, by ranks.

Estimand: Spearman's rank correlation over all questions of the benchmark's kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from stats.intervals import Floats, Interval, Z, all_equal
from stats.reasons import Reason

LEAST_ITEMS = 10
"""Below it a rank correlation's interval says nothing of use, and its formula is not to be trusted."""


@dataclass(frozen=True)
class Association:
    """A rank correlation with its interval."""

    rho: float
    interval: Interval


def rank_correlation(first: Floats, second: Floats) -> Association | Reason:
    """Spearman's rho, ties at their mean rank, with the interval of Bonett and Wright.

        tanh(atanh(rho) ± z sqrt((1 + rho²/2) / (n - 3)))

    (Psychometrika 65(1), 2000, 23-28, doi:10.1007/BF02294183.) At rho of 1 or -1 it has no width; there the rho of
    one step less, 1 - 6/(n(n²-1)), stands in the formula, so that a perfect order of few items is no certainty.

    Args:
        first: shape (n,), no NaN.
        second: shape (n,), of the same items.
    """
    n = first.size
    if n < LEAST_ITEMS:
        return Reason.TOO_FEW_ITEMS
    if all_equal(first) or all_equal(second):
        return Reason.ZERO_VARIANCE
    rho = float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
    rho = max(-1.0, min(1.0, rho))
    most = 1 - 6 / (n * (n * n - 1))
    inner = max(-most, min(most, rho))
    half = Z * math.sqrt((1 + inner * inner / 2) / (n - 3))
    ends = math.tanh(math.atanh(inner) - half), math.tanh(math.atanh(inner) + half)
    return Association(rho, Interval(min(ends[0], rho), max(ends[1], rho), "bonett_wright"))


def shift_against_length(before: Floats, after: Floats) -> Association | Reason:
    """Whether longer answers shift more: the shift against the mean of both lengths.

    Against the length before alone it would look so even where nothing goes together, because chance that makes the
    length before long makes the shift negative (regression to the mean); the mean of both is free of that where both
    vary alike (Oldham, Journal of Chronic Diseases 15, 1962, 969-977, doi:10.1016/0021-9681(62)90116-9).

    Args:
        before: mean length of each item's answers, shape (n,).
        after: likewise, of the same items.
    """
    return rank_correlation(after - before, (after + before) / 2)
