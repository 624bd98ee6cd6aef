"""The mean over the chunks of a text, in text order, where chunks that are neighbours have similar values.

Estimand: the mean over all text of the kind, for one arm by itself. Chunks of one article are about as hard as each
other: on WikiText-2 the losses of neighbouring chunks correlate by .2 to .3. The usual standard error takes them as
independent, and its 95% interval then covers about 75% to 89%. Differences of two arms on the same chunks hardly
correlate, because the text's difficulty cancels; `stats.paired` takes care of them.

The variance of the mean is estimated from the slow part of the series (equal-weighted cosines: Lazarus, Lewis, Stock
and Watson 2018, doi:10.1080/07350015.2018.1506926). The series is projected on the B slowest cosines. Each projection
squared estimates the long-run variance, so their mean has B degrees of freedom, and the interval is Student's t with B.
For independent normal values it is exact at any number of chunks.
"""

from __future__ import annotations

import math

import numpy as np

from stats.clusters import ClusteredRatio
from stats.intervals import Floats, Interval, all_equal, t_quantile
from stats.reasons import Reason

METHOD = "t_series"
_COSINES = 0.41
"""B = 0.41·n^(2/3), the authors' rule, but at least 2.

If neighbours correlate by .2 or .3 and the correlation falls off at that rate, the interval covers 94 to 95% from 19 to
600 chunks. On WikiText-2 the correlation falls off slowly: .21, .31, .11, .19, .12 for chunks that are 1 to 5 apart
(101 chunks, SmolLM2-135M; .01, .12, .06, -.03, .11 for the differences of q4_k_m from f16). For a series like that it
covers 92, 93 and 95% at 19, 100 and 600 chunks, and the usual t interval 77 to 79%. A larger B covers less (simulated,
tests/stats/test_series.py)."""


def n_cosines(n: int) -> int:
    """Return the number of cosines for n chunks, n >= 2; it is also the number of degrees of freedom."""
    return min(n - 1, max(2, round(_COSINES * math.cbrt(n) ** 2)))


def series_ratio(totals: Floats, weights: Floats) -> ClusteredRatio | Reason:
    """Return the ratio of two totals over chunks in text order, with its interval.

    With residuals e_t = totals_t - ratio·weights_t, t = 1..n, the projections are
    Λ_j = √(2/n) Σ_t e_t·cos(πj(t - ½)/n), j = 1..B, and SE = √(n·Σ_j Λ_j²/B) / Σ weights.

    Args:
        totals: sums over the tokens of each chunk, or means with weights of 1; shape (chunks,), in text order.
        weights: numbers of tokens, or 1; shape (chunks,). Their sum is positive.
    """
    n = totals.size
    if n == 0:
        return Reason.NO_SCORED_ITEMS
    weight = float(weights.sum())
    ratio = float(totals.sum()) / weight
    if n == 1:
        return ClusteredRatio(ratio, Reason.ONE_ITEM, Reason.ONE_ITEM, n)
    residuals = totals - ratio * weights
    spread = n * _long_run_variance(residuals)
    # Values that only alternate have no slow part, although they differ.
    if all_equal(np.append(residuals, 0.0)) or spread <= 1e-12 * float(residuals @ residuals):
        return ClusteredRatio(ratio, Reason.ZERO_VARIANCE, Reason.ZERO_VARIANCE, n)
    standard_error = math.sqrt(spread) / weight
    half = t_quantile(n_cosines(n)) * standard_error
    return ClusteredRatio(ratio, standard_error, Interval(ratio - half, ratio + half, METHOD), n)


def _long_run_variance(residuals: Floats) -> float:
    n = residuals.size
    places = np.arange(n) + 0.5
    projections = [residuals @ np.cos(math.pi * j * places / n) for j in range(1, n_cosines(n) + 1)]
    return 2 / n * float(np.mean(np.square(projections)))
