"""Intervals of a share, computed from counts: exact ones, for rare events such as answers that flip.

Estimand: the probability of the event over all items of the kind, where each item counts once. Wilson's interval, which
also takes means of repeats, is in `stats.intervals`. The plain Wald interval p ± z·√(p(1-p)/n) is not used: it misleads
at small n, and it has no width at counts of 0 and n (Bowyer et al., arXiv 2503.01747).
"""

from __future__ import annotations

from scipy import special

from stats.intervals import TAIL, Interval


def clopper_pearson(count: int, n: int) -> Interval:
    """Return the exact interval, which covers at least 95% for any probability (Clopper and Pearson 1934).

    Args:
        count: number of events, 0 to n.
        n: number of items, at least 1.
    """
    low = float(special.betaincinv(count, n - count + 1, 1 - TAIL)) if count else 0.0
    high = float(special.betaincinv(count + 1, n - count, TAIL)) if count < n else 1.0
    return Interval(low, high, "clopper_pearson")


def uniform_posterior(count: float, n: float) -> Interval:
    """Return the central 95% of the posterior Beta(1 + count, 1 + n - count) under a uniform prior.

    The interval never ends at 0 or 1, so odds that are computed from it stay finite. n = 0 gives the prior itself.

    Args:
        count: number of events, 0 to n. A sum of shares need not be a whole number.
        n: number of items, 0 or more.
    """
    a, b = 1 + count, 1 + n - count
    low, high = (float(special.betaincinv(a, b, tail)) for tail in (1 - TAIL, TAIL))
    return Interval(low, high, "beta_posterior")
