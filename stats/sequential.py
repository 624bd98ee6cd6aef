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

Interface for the scheduler: after each finished block call `decide_in_order` with what is known of the planned items,
in the fixed order. It looks at those that come before the first one that is still to come in either arm, so what is
quick to answer does not count sooner; items that are unscored in either arm are left out. It is a pure function of
them, costs a tenth of a second at most, and once it has decided it decides the same for any longer prefix.

Margin and level are those of one benchmark, with one addition: a verdict over all benchmarks calls an arm worse only
where its p value survives Holm's adjustment, and who stops before it does stops too early. So `worse` is decided once
the sequence lies beyond the margin and the loss has a p value (`sequence_p_value`) that would survive even if every
other benchmark's were large. `no_worse` must hold on every benchmark, and nothing is adjusted for that.

Items that share a source are no independent draws, and unbounded scores (perplexity) have no betting sequence: those
benchmarks run to their end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stats.intervals import CONFIDENCE, Floats, Interval
from stats.verdict import Verdict

FRACTIONS = np.array([1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 0.9])
"""Shares of the largest stake that keeps wealth positive. The interval after 300 to 5000 items is 1.55 to 1.8 times as
wide as the fixed-n one, whether none or 40% of the answers flip; ten finer or coarser ones made it wider."""
_BISECTIONS = 50
_MOST_ITEMS = 10**9
"""More than this many items are as good as never."""


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


@dataclass(frozen=True)
class InOrder:
    """A decision, and how far into the fixed order it looked."""

    decision: EarlyDecision
    n_places: int
    """Planned items up to the deciding one, those that are unscored counted in; undecided: all before the first that is
    still to come."""


def decide_in_order(
    differences: Floats, ended: NDArray[np.bool_], *, margin: float, n_tests: int = 1, bound: float = 1.0
) -> InOrder:
    """Decide from what is known so far of the planned items.

    An item that is given up for good (its block failed) has ended without a difference, and is left out like one that
    is unscored. As with a fixed number of items, a failure is taken to say nothing about the score that it hides.

    Args:
        differences: arm minus reference in the fixed random order, positive is better; shape (planned,), NaN where
            unscored in either arm.
        ended: whether nothing of the item is still to come, in either arm and under any seed; shape (planned,).
        margin: δ, 0 < δ < bound.
        n_tests: benchmarks that the arm is compared on.
        bound: as in `decide_early`.
    """
    n_known = differences.size if ended.all() else int(np.argmin(ended))
    places = np.flatnonzero(~np.isnan(differences[:n_known]))
    decision = decide_early(
        differences[places], margin=margin, n_planned=differences.size, n_tests=n_tests, bound=bound
    )
    if decision.verdict is Verdict.UNDECIDED:
        return InOrder(decision, n_known)
    n_places = int(places[decision.n_items - 1]) + 1
    return InOrder(replace(decision, saved_items=differences.size - n_places), n_places)


def decide_early(
    differences: Floats,
    *,
    margin: float,
    n_planned: int,
    n_tests: int = 1,
    bound: float = 1.0,
    confidence: float = CONFIDENCE,
) -> EarlyDecision:
    """Find the first number of items at which the verdict is in.

    Args:
        differences: arm minus reference of the items so far, in their fixed random order, positive is better; shape
            (n,), each in [-bound, bound], no NaN.
        margin: δ, 0 < δ < bound.
        n_planned: items of the benchmark.
        n_tests: benchmarks among which Holm's method adjusts the p values of losses.
        bound: the largest difference that the scale allows: 1 for shares of right answers, 4 for scores from 1 to 5.
        confidence: of the two-sided sequence; the verdict's 0.95.
    """
    unit = _to_unit(differences, bound)
    threshold = math.log(2 / (1 - confidence))
    edge = (1 - margin / bound) / 2  # where a difference of -δ lies on [0, 1]
    above = log_wealth(unit, edge, above=True) >= threshold
    below = log_wealth(unit, edge, above=False) >= threshold
    below &= log_wealth(unit, 0.5, above=False) >= threshold + math.log(n_tests)
    found = np.flatnonzero(above | below)
    if found.size == 0:
        n, verdict = differences.size, Verdict.UNDECIDED
    else:
        n = int(found[0]) + 1
        verdict = Verdict.NO_WORSE if above[n - 1] else Verdict.WORSE
    interval = confidence_sequence(differences[:n], bound=bound, confidence=confidence)
    saved = n_planned - n if verdict is not Verdict.UNDECIDED else 0
    return EarlyDecision(verdict, n, interval, saved)


def sequence_p_value(differences: Floats, *, bound: float = 1.0) -> float:
    """Two-sided p value of "the mean difference is 0", valid whenever one stops: 2 / the larger wealth against 0.

    In truth no wealth at the moment of stopping has an expectation above 1 (optional stopping), so p ≤ x has a chance
    of x at most (Markov). It is below 1 - confidence just where the sequence's interval excludes 0.

    Args: as in `decide_early`.
    """
    unit = _to_unit(differences, bound)
    if unit.size == 0:
        return 1.0
    return min(1.0, 2 * math.exp(-max(_final(unit, 0.5, above=side) for side in (True, False))))


def mean_sequence(means: Floats) -> Interval:
    """The sequence of a mean of scores on [0, 1] after the given items: what to report of an arm by itself.

    Args:
        means: one an item, shape (n,), no NaN.
    """
    found = confidence_sequence(2 * means - 1)
    return Interval((found.low + 1) / 2, (found.high + 1) / 2, found.method)


def items_to_decide(differences: Floats, *, margin: float, n_tests: int = 1) -> int | None:
    """Items after which the sequence would decide if the differences went on in the shares that were seen; None: never.

    No chance of 80% stands behind it, as behind the fixed-n number: about as many runs would take longer as less long.

    Args: as in `decide_early`, on a scale of 1; undecided so far.
    """
    if differences.size == 0:
        return None
    unit, threshold, edge = _to_unit(differences, 1.0), math.log(2 / (1 - CONFIDENCE)), (1 - margin) / 2
    no_worse = _totals(unit, edge, above=True)
    beyond, shown = _totals(unit, edge, above=False), _totals(unit, 0.5, above=False)

    def decides(n: int) -> bool:
        times = n / differences.size
        worse = _joined(beyond * times) >= threshold and _joined(shown * times) >= threshold + math.log(n_tests)
        return worse or _joined(no_worse * times) >= threshold

    low, high = differences.size, differences.size + 1
    while not decides(high):
        low, high = high, high * 2
        if high > _MOST_ITEMS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


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
    return _joined(_totals(unit, mean, above=above))


def _totals(unit: Floats, mean: float, *, above: bool) -> Floats:
    """Logarithm of each fraction's wealth after all items; shape (fractions,)."""
    gains = (unit - mean) / mean if above else (mean - unit) / (1 - mean)
    totals: Floats = np.log1p(gains[:, None] * FRACTIONS).sum(axis=0)
    return totals


def _joined(totals: Floats) -> float:
    return float(np.logaddexp.reduce(totals)) - math.log(FRACTIONS.size)


def _to_unit(differences: Floats, bound: float) -> Floats:
    unit: Floats = (differences / bound + 1) / 2
    if unit.size and (float(unit.min()) < 0.0 or float(unit.max()) > 1.0):
        raise ValueError(f"differences beyond ±{bound}: no bet on them is bounded")
    return unit
