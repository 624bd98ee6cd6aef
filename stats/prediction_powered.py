"""A judge's mean, corrected by human scores of some items (prediction-powered inference).

Estimand: the mean human score over all questions of the benchmark's kind. A difference of two arms is the same with
differences per item in place of scores. Both arms of an item, and all its seeds, stay together: an item is one unit.

People scored n items (Y: human, f: judge, on the same answers). N other items have only the judge's score (g):

    theta = w·mean(g) + mean(Y - w·f)

For every weight w this is unbiased, whatever the judge's mistakes are: w·mean(g) and w·mean(f) have the same
expectation. That needs one thing: **the labelled items must be a random sample.** If people scored the answers that
looked odd, say, then g and f differ for another reason, and theta is as wrong as the choice was.

A judge that follows people makes Y - w·f vary less than Y, so theta is more certain than the human mean alone. The
weight that is best for that (PPI++: Angelopoulos, Duchi and Zrnic 2023, arXiv 2311.01453), clipped to [0, 1]:

    w = cov(Y, f) / (var(f) + n/N·var(g))

An unrelated judge gets a weight near 0 and does little harm. PPI++ tunes w on the same labels that it corrects by. With
few labels and scores near the end of the scale that shifts theta, so here each labelled item gets the weight that the
others give (w_i, leave-one-out), which keeps theta unbiased:

    theta = mean(Y_i - w_i·(f_i - mean(g))),   SE² = var(Y_i - w_i·(f_i - mean(g)))/n + w²·var(g)/N

The interval is theta ± t(n-2)·SE. Simulated coverage (tests/stats/test_prediction_powered.py): 94 to 96% from 10 labels
on if scores spread over the scale, also for a biased or an unrelated judge. Scores that are nearly all equal need more:
with fewer than five labels that differ from the most frequent one there is no interval, and with five or more it covers
91% or more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stats.intervals import Floats, Interval, clamp, t_interval, t_quantile
from stats.reasons import Reason

FEWEST_LABELS = 10
"""With fewer labelled items nothing is corrected."""
FEWEST_APART = 5
"""With fewer labels that differ from the most frequent one, nobody knows from them how rare other scores are."""


@dataclass(frozen=True)
class Corrected:
    """A mean or a paired difference, corrected by human scores."""

    mean: float
    interval: Interval | Reason
    weight: float
    """Weight of the judge, in [0, 1]. 0: only the human scores count."""
    human_mean: float
    """Mean of the human scores alone."""
    bias: float
    """Judge minus human on the labelled items."""
    bias_interval: Interval | Reason
    n_labelled: int
    n_unlabelled: int


def corrected_mean(human: Floats, judged: Floats, others: Floats, bounds: tuple[float, float]) -> Corrected | Reason:
    """Return the corrected mean.

    Args:
        human: mean human score of each labelled item, shape (n,); for a difference, arm minus reference.
        judged: the judge's mean of the same answers, shape (n,).
        others: the judge's mean of each unlabelled item, shape (N,).
        bounds: the lowest and the highest possible value, which limit the interval.
    """
    n = human.size
    if n < FEWEST_LABELS:
        return Reason.TOO_FEW_LABELS
    weight = judge_weight(human, judged, others)
    if weight == 0.0:
        rectified, of_others = human, 0.0
    else:
        weights = _weights_without_each(human, judged, others)
        rectified = human - weights * (judged - float(others.mean()))
        of_others = weight**2 * float(others.var(ddof=1)) / others.size
    mean = float(rectified.mean())
    half = t_quantile(n - 2) * math.sqrt(float(rectified.var(ddof=1)) / n + of_others)
    found = clamp(Interval(mean - half, mean + half, "prediction_powered"), *bounds)
    excess = judged - human
    return Corrected(
        mean=min(max(mean, bounds[0]), bounds[1]),
        interval=found if _n_apart(human) >= FEWEST_APART else Reason.TOO_FEW_LABELS,
        weight=weight,
        human_mean=float(human.mean()),
        bias=float(excess.mean()),
        bias_interval=t_interval(excess) if _n_apart(excess) >= FEWEST_APART else Reason.TOO_FEW_LABELS,
        n_labelled=n,
        n_unlabelled=others.size,
    )


def judge_weight(human: Floats, judged: Floats, others: Floats) -> float:
    """Return w, in [0, 1]. It is 0 with fewer than two unlabelled items: there is nothing to learn about them."""
    if others.size < 2:
        return 0.0
    covariance = np.cov(human, judged)
    spread = float(covariance[1, 1]) + human.size / others.size * float(others.var(ddof=1))
    return min(1.0, max(0.0, float(covariance[0, 1]) / spread)) if spread > 0 else 0.0


def _weights_without_each(human: Floats, judged: Floats, others: Floats) -> Floats:
    """Return, for each labelled item, the weight that the other labelled items give; shape (n,)."""
    n = human.size
    of_human, of_judge = human - human.mean(), judged - judged.mean()
    # A sum of squares (or products) without item i is smaller by n/(n-1) times what i adds to it.
    lost = n / (n - 1)
    covariances = (of_human @ of_judge - lost * of_human * of_judge) / (n - 2)
    variances = (of_judge @ of_judge - lost * of_judge**2) / (n - 2)
    spreads = variances + (n - 1) / others.size * float(others.var(ddof=1))
    weights = np.divide(covariances, spreads, out=np.zeros(n), where=spreads > 0)
    clipped: Floats = np.clip(weights, 0.0, 1.0)
    return clipped


def _n_apart(values: Floats) -> int:
    """Return how many values differ from the most frequent one."""
    _, counts = np.unique(values.round(9), return_counts=True)
    return values.size - int(counts.max())
