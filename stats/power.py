"""What a number of items and runs can show: smallest detectable differences, and items needed.

Two-sided at 95% with 80% power throughout: n = (z_.975 + z_.80)²·v/δ², with v the variance of one item's difference
(Card et al., arXiv 2010.06595; Miller, arXiv 2411.00640):

    v = ω² + σ²_arm/R_arm + σ²_reference/R_reference

ω² is the variance of the true per-item differences and σ² the variance between repeats of one item. For right/wrong
answers given once, v is about the discordance q: the share of items on which the two answers differ in being right.
The same formula gives the items that show "no worse" within a margin δ, where the true difference is zero: the lower
end of a two-sided 95% interval must lie above -δ.
"""

from __future__ import annotations

import math

from scipy import special

from stats.intervals import CONFIDENCE

POWER = 0.8
"""Chance to find an effect of the stated size."""


def normal_sum(*, confidence: float = CONFIDENCE, power: float = POWER) -> float:
    """z_{1-α/2} + z_{power}: 2.8016 by default."""
    return float(special.ndtri(0.5 + confidence / 2) + special.ndtri(power))


def detectable_difference(variance: float, n: float, *, power: float = POWER) -> float:
    """The smallest true difference that `n` items find with the given power.

    Args:
        variance: v above, on the scale of the score squared.
        n: items.
        power: chance to find it.
    """
    return normal_sum(power=power) * math.sqrt(variance / n)


def items_needed(variance: float, difference: float, *, confidence: float = CONFIDENCE, power: float = POWER) -> int:
    """Items that find a true difference (or show "no worse" within a margin of that size) with the given power.

    Args:
        variance: v above.
        difference: on the scale of the score, not 0; its sign does not matter.
        confidence: of the two-sided interval; 0.90 is a one-sided test at 5%.
        power: chance to find it.
    """
    return math.ceil(normal_sum(confidence=confidence, power=power) ** 2 * variance / difference**2)


def discordance_bounds(discordance: float, n_runs: int) -> tuple[float, float]:
    """Smallest and largest v for right/wrong answers, of which a share differs between single answers of two arms.

    At best all of it is sampling noise, which repeats average out; at worst none of it is.

    Args:
        discordance: q above, in [0, 1].
        n_runs: repeats of each item, 1 where nothing is sampled.
    """
    return discordance / n_runs, discordance


def runs_needed(variance_of_one_run: float, allowed: float) -> int:
    """Repeats after which sampling noise adds no more than `allowed` to the variance of an item's difference."""
    return math.ceil(variance_of_one_run / allowed)
