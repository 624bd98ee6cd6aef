"""Answers that flip: right under the reference and wrong under the arm, or the reverse.

Equal accuracy can hide many flips (Dutta et al., arXiv 2407.09141). Flips also happen without any quantization: with a
second sample, or with another batch layout (Yuan et al., arXiv 2506.09501). So each rate is shown beside a noise floor:

- For sampled answers the noise floor is the flips between different seeds of the reference itself. The arm's flips are
  then also counted over pairs of different seeds, because equal seeds stay in step for a while and would make the arm
  look better than it is.
- For answers that depend on no seed it is the flips of the reference in another batch layout (the arm
  `<reference>~aa`).

Estimand: the probability of a flip on a question of the kind. The sample consists of items. Pairs of seeds are averaged
within each item. Scores other than right (1) and wrong (0) do not flip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stats.intervals import Floats, Interval, Z, clamp, mean_interval, t_quantile
from stats.proportions import clopper_pearson, uniform_posterior
from stats.reasons import Reason

FEW_EVENTS = 10
"""If losses and gains differ in fewer items, the delta method's interval of their odds is too short."""


@dataclass(frozen=True)
class ItemFlips:
    """For each item, the share of its pairs of answers that flipped, shape (items,). NaN for an item without a pair."""

    lost: Floats
    """Right under the reference, wrong under the arm."""
    gained: Floats

    @property
    def both(self) -> Floats:
        return self.lost + self.gained


@dataclass(frozen=True)
class Rate:
    """A mean over items with its interval."""

    value: float
    interval: Interval | Reason


@dataclass(frozen=True)
class McNemar:
    """The exact test of flips under one run, and the interval of the difference in accuracy that goes with it."""

    lost: int
    gained: int
    p_value: float
    """Two-sided: min(1, 2·P(Bin(lost + gained, ½) <= min(lost, gained)))."""
    p_value_worse: float
    """One-sided: P(Bin(lost + gained, ½) >= lost)."""
    p_value_mid: float
    """The two-sided p value minus the probability of the observed counts. 1 if `lost` equals `gained`."""
    interval: Interval
    """Interval of Agresti and Min 2005 (Statistics in Medicine 24:729), which adds half an item to each of the four
    cells."""


def is_binary(scores: Floats) -> bool:
    """Return whether every score is 0 or 1. NaN marks an unscored answer and is ignored."""
    known = scores[~np.isnan(scores)]
    return bool(np.all((known == 0.0) | (known == 1.0)))


def flips(arm: Floats, reference: Floats, *, different_seeds: bool) -> ItemFlips:
    """Return the flips of each item over its pairs of answers.

    Args:
        arm: 0 or 1, shape (items, seeds), NaN if unscored. The columns are the same seeds in both arrays.
        reference: the same for the reference.
        different_seeds: True: all pairs of two different seeds. False: pairs of the same seed.
    """
    arm_known, reference_known = ~np.isnan(arm), ~np.isnan(reference)
    arm_right, reference_right = np.where(arm_known, arm, 0.0), np.where(reference_known, reference, 0.0)
    arm_wrong, reference_wrong = arm_known - arm_right, reference_known - reference_right
    counts = [
        _pairs(one, other, different_seeds=different_seeds)
        for one, other in (
            (reference_right, arm_wrong),
            (reference_wrong, arm_right),
            (reference_known.astype(float), arm_known.astype(float)),
        )
    ]
    lost, gained, pairs = counts
    paired = pairs > 0
    unknown = np.full(pairs.shape, np.nan)
    return ItemFlips(
        np.divide(lost, pairs, out=unknown.copy(), where=paired),
        np.divide(gained, pairs, out=unknown.copy(), where=paired),
    )


def _pairs(one: Floats, other: Floats, *, different_seeds: bool) -> NDArray[np.float64]:
    """Count the pairs (s, r) with one[s] and other[r], of different seeds or of the same seed; shape (items,)."""
    same: NDArray[np.float64] = (one * other).sum(axis=1)
    return one.sum(axis=1) * other.sum(axis=1) - same if different_seeds else same


def rate(shares: Floats) -> Rate | Reason:
    """Return the mean over items of shares in [0, 1], with its interval.

    The interval is Clopper and Pearson's if each item either flipped or not, otherwise that of any proportion.

    Args:
        shares: shape (items,), no NaN.
    """
    n = shares.size
    if n == 0:
        return Reason.NO_PAIRED_ITEMS
    value = float(np.mean(shares))
    if is_binary(shares):
        return Rate(value, clopper_pearson(int(shares.sum()), n))
    return Rate(value, mean_interval(np.minimum(shares, 1.0), proportion=True))


def odds_ratio(lost: Floats, gained: Floats) -> Rate | Reason:
    """Return the odds of losing against gaining an answer, lost/gained. Above 1 the arm loses more than it gains.

    With one pair per item this is McNemar's conditional odds ratio. Its interval follows from that of the share of
    losses among flips: the posterior under a uniform prior, which is finite for any data. With several pairs per item
    the interval comes from the delta method on the logarithm, with items as the sample. If in fewer than ten items
    losses and gains differ, the posterior is used instead, and each item counts with its shares.

    Args:
        lost: share of each item's pairs that were lost, shape (items,), no NaN.
        gained: share of each item's pairs that were gained, shape (items,), no NaN.
    """
    lost_total, gained_total = float(lost.sum()), float(gained.sum())
    if lost_total == 0.0 or gained_total == 0.0:
        return Reason.NO_FLIPS
    ratio = lost_total / gained_total
    one_pair = is_binary(lost) and is_binary(gained)
    if one_pair or np.count_nonzero(np.abs(lost - gained) > 1e-12) < FEW_EVENTS:
        share = uniform_posterior(lost_total, lost_total + gained_total)
        return Rate(ratio, Interval(share.low / (1 - share.low), share.high / (1 - share.high), "odds_beta_posterior"))
    n = lost.size
    errors = n * (lost / lost_total - gained / gained_total)
    half = t_quantile(n - 1) * float(np.std(errors, ddof=1)) / math.sqrt(n)
    return Rate(ratio, Interval(ratio * math.exp(-half), ratio * math.exp(half), "odds_delta"))


def mcnemar(lost: int, gained: int, n: int) -> McNemar:
    """Run the exact test of paired right/wrong answers under one run.

    Args:
        lost: items right under the reference and wrong under the arm.
        gained: the reverse.
        n: all items, at least 1.
    """
    flipped = lost + gained
    smaller_tail = float(special.bdtr(min(lost, gained), flipped, 0.5))
    two_sided = min(1.0, 2 * smaller_tail)
    worse = float(special.bdtrc(lost - 1, flipped, 0.5)) if lost else 1.0
    seen = math.exp(math.lgamma(flipped + 1) - math.lgamma(lost + 1) - math.lgamma(gained + 1) - flipped * math.log(2))
    mid = 1.0 if lost == gained else two_sided - seen
    total, difference = n + 2, (gained - lost) / (n + 2)
    half = Z * math.sqrt((flipped + 1) / total**2 - (gained - lost) ** 2 / total**3)
    interval = clamp(Interval(difference - half, difference + half, "agresti_min"), -1.0, 1.0)
    return McNemar(lost, gained, two_sided, worse, mid, interval)
