"""Deciding before all items are done: an anytime-valid confidence sequence of the mean paired difference.

Estimand: the mean difference over all questions of the kind (A in `stats.intervals`), of items drawn in a random order
that was fixed beforehand. The sequence covers it at every number of items at once with 95%, so one may look after each
item and stop when the verdict is in; after a stop its interval is the one to report, never the fixed-n one.

It is a betting confidence sequence (Waudby-Smith and Ramdas, arXiv 2010.09686): for each candidate mean m a gambler
bets on every next item, against m from either side; in truth m no wealth grows above 1/α' with a chance of more than
α' (Ville's inequality), at any time. Each side has half of α. Wealth is a mixture over fixed fractions of what may be
staked, so it does not depend on the order of the items so far, falls (or rises) with m, and the candidates that are
left form an interval. Small fractions are for differences that are noisy, large ones for answers that hardly ever
flip.

The form for draws without replacement from a finite benchmark is deliberately not used: it covers what the full run
would show, and would decide where the full run itself says undecided.

Interface for the scheduler: after each finished block call `decide_early` with the differences of all items whose
seeds are done in both arms, in the fixed order and without gaps (items that are unscored in either arm left out); it is
a pure function of them, costs a tenth of a second at most, and once it has decided it decides the same for any longer
prefix. Level and margin are those of one benchmark: what is worse over all of them must still survive Holm's
adjustment. Unbounded scores (perplexity) have no betting sequence: those benchmarks run to their end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stats.intervals import CONFIDENCE, Floats, Interval
from stats.verdict import Verdict

FRACTIONS = np.array([1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 0.9])
"""Shares of the largest stake that keeps wealth positive. The interval after 300 to 5000 items is 1.55 to 1.8 times as
wide as the fixed-n one, whether none or 40% of the answers flip; ten finer or coarser ones made it wider."""
_BISECTIONS = 50


@dataclass(frozen=True)
class EarlyDecision:
    """What the sequence says."""

    verdict: Verdict
    """`undecided` where it has not left the margin on either side."""
    n_items: int
    """Items after which it was decided; all that were given where it was not."""
    interval: Interval
    """The sequence's interval after these items, `betting`."""
    saved_items: int
    """Planned items that need not be run."""


def decide_early(
    differences: Floats,
    *,
    margin: float,
    n_planned: int,
    bound: float = 1.0,
    confidence: float = CONFIDENCE,
) -> EarlyDecision:
    """Find the first number of items at which the verdict is in.

    Args:
        differences: arm minus reference of the items so far, in their fixed random order, positive is better; shape
            (n,), each in [-bound, bound], no NaN.
        margin: δ, 0 < δ < bound.
        n_planned: items of the benchmark.
        bound: the largest difference that the scale allows: 1 for shares of right answers, 4 for scores from 1 to 5.
        confidence: of the two-sided sequence; the verdict's 0.95.
    """
    unit = _to_unit(differences, bound)
    threshold = math.log(2 / (1 - confidence))
    edge = (1 - margin / bound) / 2  # where a difference of -δ lies on [0, 1]
    above, below = log_wealth(unit, edge, above=True), log_wealth(unit, edge, above=False)
    found = np.flatnonzero((above >= threshold) | (below >= threshold))
    if found.size == 0:
        n, verdict = differences.size, Verdict.UNDECIDED
    else:
        n = int(found[0]) + 1
        verdict = Verdict.NO_WORSE if above[n - 1] >= threshold else Verdict.WORSE
    interval = confidence_sequence(differences[:n], bound=bound, confidence=confidence)
    saved = n_planned - n if verdict is not Verdict.UNDECIDED else 0
    return EarlyDecision(verdict, n, interval, saved)


def confidence_sequence(differences: Floats, *, bound: float = 1.0, confidence: float = CONFIDENCE) -> Interval:
    """The sequence's interval after the given items: every mean that neither gambler has refuted.

    Args: as in `decide_early`; no items give the whole scale.
    """
    unit = _to_unit(differences, bound)
    threshold = math.log(2 / (1 - confidence))
    low = _edge(unit, threshold, above=True)
    high = _edge(unit, threshold, above=False)
    return Interval((2 * low - 1) * bound, (2 * high - 1) * bound, "betting")


def log_wealth(unit: Floats, mean: float, *, above: bool) -> Floats:
    """Logarithm of the wealth after each item of the gambler who bets that the mean lies above (or below) `mean`.

    Wealth = average over fractions f of Π_i (1 + f·(x_i - m)/m), or with (m - x_i)/(1 - m) for the other side.

    Args:
        unit: items on [0, 1], shape (..., n).
        mean: candidate m, 0 < m < 1.
        above: which side is bet on.

    Returns:
        Shape (..., n).
    """
    gains = (unit - mean) / mean if above else (mean - unit) / (1 - mean)
    growth = np.log1p(gains[..., None] * FRACTIONS)  # (..., n, fractions); fractions < 1 keep it finite
    paths = np.cumsum(growth, axis=-2)
    wealth: Floats = np.logaddexp.reduce(paths, axis=-1) - math.log(FRACTIONS.size)
    return wealth


def _edge(unit: Floats, threshold: float, *, above: bool) -> float:
    """The largest refuted mean from below, or the smallest from above, by bisection: wealth is monotone in m."""
    refuted, kept = (0.0, 1.0) if above else (1.0, 0.0)
    if unit.size == 0:
        return refuted
    for _ in range(_BISECTIONS):
        middle = (refuted + kept) / 2
        if _final(unit, middle, above=above) >= threshold:
            refuted = middle
        else:
            kept = middle
    return refuted


def _final(unit: Floats, mean: float, *, above: bool) -> float:
    gains = (unit - mean) / mean if above else (mean - unit) / (1 - mean)
    totals = np.log1p(gains[:, None] * FRACTIONS).sum(axis=0)
    return float(np.logaddexp.reduce(totals)) - math.log(FRACTIONS.size)


def _to_unit(differences: Floats, bound: float) -> Floats:
    unit: Floats = (differences / bound + 1) / 2
    if unit.size and (float(unit.min()) < 0.0 or float(unit.max()) > 1.0):
        raise ValueError(f"differences beyond ±{bound}: no bet on them is bounded")
    return unit
