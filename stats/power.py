"""What a number of items and runs can show: the smallest detectable difference, and the number of items needed.

All formulas are two-sided at 95% with 80% power: n = (z_.975 + z_.80)²·v/δ², where v is the variance of one item's
difference (Card et al., arXiv 2010.06595; Miller, arXiv 2411.00640):

    v = ω² + σ²_arm/R_arm + σ²_reference/R_reference

ω² is the variance of the true per-item differences, and σ² is the variance between repeats of one item. For right/wrong
answers given once, v is approximately the discordance q: the share of items for which exactly one of the two answers is
right. The same formula gives the items needed to show "no worse" within a margin δ if the true difference is zero: the
lower end of a two-sided 95% interval must lie above -δ.
"""

from __future__ import annotations

import math

from scipy import special

from stats.intervals import CONFIDENCE

POWER = 0.8
"""Probability of finding an effect of the stated size."""


def normal_sum(*, confidence: float = CONFIDENCE, power: float = POWER) -> float:
    """Return z_{1-α/2} + z_{power}: 2.8016 by default."""
    return float(special.ndtri(0.5 + confidence / 2) + special.ndtri(power))


def detectable_difference(variance: float, n: float, *, power: float = POWER) -> float:
    """Return the smallest true difference that `n` items find with the given power.

    Args:
        variance: v above, on the scale of the score squared.
        n: number of items.
        power: probability of finding it.
    """
    return normal_sum(power=power) * math.sqrt(variance / n)


def items_needed(variance: float, difference: float, *, confidence: float = CONFIDENCE, power: float = POWER) -> int:
    """Return the items needed to find a true difference, or to show "no worse" within a margin of that size.

    Args:
        variance: v above.
        difference: on the scale of the score, not 0. Its sign does not matter.
        confidence: confidence of the two-sided interval. 0.90 is a one-sided test at 5%.
        power: probability of finding it.
    """
    return math.ceil(normal_sum(confidence=confidence, power=power) ** 2 * variance / difference**2)


def discordance_bounds(discordance: float, n_runs: int) -> tuple[float, float]:
    """Return the smallest and the largest v for right/wrong answers with a given discordance of single answers.

    At best all of the discordance is sampling noise, which repeats average out. At worst none of it is.

    Args:
        discordance: q above, in [0, 1].
        n_runs: repeats of each item, 1 if nothing is sampled.
    """
    return discordance / n_runs, discordance
