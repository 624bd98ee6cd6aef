"""Intervals of a share out of counts: exact ones, for rare events such as answers that flip.

Estimand: the chance of the event over all items of the kind, each item counted once. Wilson's interval, which takes
means of repeats as well, is in `stats.intervals`. The plain Wald interval p ± z·√(p(1-p)/n) is not here: it misleads
at small n and has no width at 0 and n (Bowyer et al., arXiv 2503.01747).
"""

from __future__ import annotations

from scipy import special

from stats.intervals import TAIL, Interval


def clopper_pearson(count: int, n: int) -> Interval:
    """The exact interval: covers at least 95% whatever the chance is (Clopper and Pearson 1934).

    Args:
        count: events, 0 to n.
        n: items, at least 1.
    """
    low = float(special.betaincinv(count, n - count + 1, 1 - TAIL)) if count else 0.0
    high = float(special.betaincinv(count + 1, n - count, TAIL)) if count < n else 1.0
    return Interval(low, high, "clopper_pearson")


def uniform_posterior(count: float, n: float) -> Interval:
    """Central 95% of the posterior Beta(1 + count, 1 + n - count) under a uniform prior.

    Never ends at 0 or 1, so odds made from it stay finite; n = 0 gives the prior itself.

    Args:
        count: events, 0 to n; sums of shares need not be whole.
        n: items, 0 or more.
    """
    a, b = 1 + count, 1 + n - count
    low, high = (float(special.betaincinv(a, b, tail)) for tail in (1 - TAIL, TAIL))
    return Interval(low, high, "beta_posterior")
