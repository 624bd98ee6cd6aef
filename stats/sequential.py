"""Decide before all items are done: an anytime-valid confidence sequence of the mean paired difference.

Estimand: the mean difference over all questions of the kind (A in `stats.intervals`), for items drawn in a random order
that was fixed beforehand. The sequence covers the estimand with 95% at all numbers of items at once. So one may look
after each item and stop when the verdict is decided. After a stop its interval is the one to report, never the interval
for a fixed number of items.

It is a betting confidence sequence (Waudby-Smith and Ramdas, arXiv 2010.09686). For each candidate mean m, two gamblers
bet on every next item: one that the mean lies above m, one that it lies below. If m is the true mean, the probability
that a gambler's wealth ever exceeds 1/α' is at most α' (Ville's inequality). Each side has half of α. Wealth is a
mixture over fixed fractions of the largest possible stake. So it does not depend on the order of the items so far, it
is monotone in m, and the candidates that are not refuted form an interval. Small fractions suit noisy differences, and
large ones suit answers that hardly ever flip.

The form for draws without replacement from a finite benchmark is not used, on purpose: it covers the result of the full
run, and would decide in cases where the full run itself is undecided.

Interface for the scheduler: after each finished block, call `decide_in_order` with what is known of the planned items,
in the fixed order. It uses only the items before the first one that is still to come in either arm, so items that are
quick to answer do not count earlier. Items that are unscored in either arm are left out. The function is pure and takes
at most a tenth of a second. Once it has decided, it decides the same for any longer prefix.

Margin and level are those of one benchmark, with two additions. A verdict over all benchmarks calls an arm worse only
if its p value survives Holm's adjustment, so stopping before that is too early. Therefore `worse` is decided only once
the p value of a loss beyond the margin (`sequence_p_beyond`) would survive even if those of all other benchmarks
were large. `no_worse` must hold on every benchmark, so it needs no adjustment. But it needs what `stats.guards` asks
for: it must also hold if unscored records count against the arm, the arm must keep its share of what the reference
gets right, and the reference must lie neither at the floor nor at the ceiling. All of these are bets that run beside
the first.

Items that share a source are not independent draws, and unbounded scores (perplexity) have no betting sequence. Such
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
"""Shares of the largest stake that keeps wealth positive.

From 300 to 5000 items the interval is 1.55 to 1.8 times as wide as the one for a fixed number of items, whether none or
40% of the answers flip. Ten other sets of fractions, finer or coarser, made it wider."""
_BISECTIONS = 50


@dataclass(frozen=True)
class EarlyDecision:
    """The decision of the sequence."""

    verdict: Verdict
    """`undecided` if the sequence has not left the margin on either side."""
    n_items: int
    """Number of items after which it was decided. All given items if it is undecided."""
    interval: Interval
    """The sequence's interval after these items, with method `betting`."""
    saved_items: int
    """Number of planned items that need not be run."""


@dataclass(frozen=True)
class Guards:
    """What "no worse" needs beside the margin: see `stats.guards`. One value per item, in the fixed order."""

    worst: Floats
    """Differences if unscored records count against the arm, shape (planned,). NaN if no arm was asked the item."""
    kept: Floats
    """What is kept beyond the share to keep, shape (planned,); NaN where the differences are."""
    worst_kept: Floats
    """`kept` if unscored records count against the arm, shape (planned,); NaN where `worst` is."""
    reference: Floats
    """Scores of the reference, 1 is right, shape (planned,); NaN where the differences are."""
    chance: float
    """Share of right answers that guessing gives."""

    def hold(self, n: int, margin: float, threshold: float) -> NDArray[np.bool_]:
        """Return after which of the first n items all of them hold, shape (n,)."""

        def above(values: Floats, mean: float) -> NDArray[np.bool_]:
            won: NDArray[np.bool_] = log_wealth(_without_gaps(values[:n], mean), mean, above=True) >= threshold
            return won

        floor = self.chance + margin
        if floor >= 1:
            return np.zeros(n, dtype=np.bool_)
        found = above((self.worst + 1) / 2, (1 - margin) / 2) & above((self.kept + 1) / 2, 0.5)
        found &= above((self.worst_kept + 1) / 2, 0.5)
        return found & above(self.reference, floor) & ~above(self.reference, 1 - margin)


@dataclass(frozen=True)
class InOrder:
    """A decision, and how far into the fixed order it looked."""

    decision: EarlyDecision
    n_places: int
    """Number of planned items up to the deciding one, unscored items included. If undecided: all before the first one
    that is still to come."""


def decide_in_order(
    differences: Floats,
    ended: NDArray[np.bool_],
    *,
    margin: float,
    n_tests: int = 1,
    bound: float = 1.0,
    guards: Guards | None = None,
) -> InOrder:
    """Decide from what is known so far of the planned items.

    An item that was given up (its block failed) counts as ended without a difference, and is left out like an unscored
    one. The guards count it against the arm.

    Args:
        differences: arm minus reference in the fixed random order, positive is better; shape (planned,), NaN if
            unscored in either arm.
        ended: True if nothing of the item is still to come, in either arm and under any seed; shape (planned,).
        margin: δ, 0 < δ < bound.
        n_tests: number of benchmarks on which the arm is compared.
        bound: as in `decide_early`.
        guards: what "no worse" needs beside the margin. None: nothing.
    """
    n_known = differences.size if ended.all() else int(np.argmin(ended))
    places = np.flatnonzero(~np.isnan(differences[:n_known]))
    allowed = None
    if guards is not None:
        allowed = guards.hold(n_known, margin, math.log(2 / (1 - CONFIDENCE)))[places]
    decision = decide_early(
        differences[places], margin=margin, n_planned=differences.size, n_tests=n_tests, bound=bound, allowed=allowed
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
    allowed: NDArray[np.bool_] | None = None,
) -> EarlyDecision:
    """Find the smallest number of items at which the verdict is decided.

    Args:
        differences: arm minus reference for the items so far, in their fixed random order, positive is better; shape
            (n,), each in [-bound, bound], no NaN.
        margin: δ, 0 < δ < bound.
        n_planned: number of items of the benchmark.
        n_tests: number of benchmarks among which Holm's method adjusts the p values of losses.
        bound: the largest difference that the scale allows: 1 for shares of right answers, 4 for scores from 1 to 5.
        confidence: confidence of the two-sided sequence. The verdict uses 0.95.
        allowed: after which items the arm may be called no worse, shape (n,). None: after all of them.
    """
    unit = _to_unit(differences, bound)
    threshold = math.log(2 / (1 - confidence))
    edge = (1 - margin / bound) / 2  # the position of a difference of -δ on [0, 1]
    above = log_wealth(unit, edge, above=True) >= threshold
    above &= True if allowed is None else allowed
    below = log_wealth(unit, edge, above=False) >= threshold + math.log(n_tests)
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
    """Return the two-sided p value of "the mean difference is 0": 2 / the larger wealth against 0.

    It is valid for any rule of stopping. If the mean is 0, the expected wealth at the moment of stopping is at most 1
    (optional stopping), so P(p ≤ x) is at most x (Markov's inequality). The p value is below 1 - confidence exactly if
    the sequence's interval excludes 0.

    Args: as in `decide_early`.
    """
    unit = _to_unit(differences, bound)
    if unit.size == 0:
        return 1.0
    return min(1.0, 2 * math.exp(-max(_final_log_wealth(unit, 0.5, above=side) for side in (True, False))))


def sequence_p_beyond(differences: Floats, margin: float, *, bound: float = 1.0) -> float:
    """Return the one-sided p value of "the mean difference is at least -margin": 1 / the wealth against it.

    It is valid for any rule of stopping, and at most 2.5% exactly if the sequence's interval lies below the margin.

    Args: as in `decide_early`.
    """
    unit = _to_unit(differences, bound)
    if unit.size == 0:
        return 1.0
    return min(1.0, math.exp(-_final_log_wealth(unit, (1 - margin / bound) / 2, above=False)))


def mean_sequence(means: Floats) -> Interval:
    """Return the sequence's interval of a mean of scores on [0, 1]: the one to report for an arm by itself.

    Args:
        means: one per item, shape (n,), no NaN.
    """
    found = confidence_sequence(2 * means - 1)
    return Interval((found.low + 1) / 2, (found.high + 1) / 2, found.method)


def confidence_sequence(differences: Floats, *, bound: float = 1.0, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of the confidence sequence after the given items: all means that neither bet has refuted.

    Args: as in `decide_early`. Without items the interval is the whole scale.
    """
    unit = _to_unit(differences, bound)
    threshold = math.log(2 / (1 - confidence))
    low = _boundary(unit, threshold, above=True)
    high = _boundary(unit, threshold, above=False)
    return Interval((2 * low - 1) * bound, (2 * high - 1) * bound, "betting")


def log_wealth(unit: Floats, mean: float, *, above: bool) -> Floats:
    """Return the log wealth after each item of the gambler who bets that the mean lies above (or below) `mean`.

    Wealth is the average over fractions f of Π_i (1 + f·(x_i - m)/m), or with (m - x_i)/(1 - m) for the other side.

    Args:
        unit: items on [0, 1], shape (..., n).
        mean: candidate m, 0 < m < 1.
        above: True for the gambler who bets that the mean lies above m.

    Returns:
        Shape (..., n).
    """
    gains = (unit - mean) / mean if above else (mean - unit) / (1 - mean)
    growth = np.log1p(gains[..., None] * FRACTIONS)  # (..., n, fractions); fractions < 1 keep it finite
    paths = np.cumsum(growth, axis=-2)
    wealth: Floats = np.logaddexp.reduce(paths, axis=-1) - math.log(FRACTIONS.size)
    return wealth


def _boundary(unit: Floats, threshold: float, *, above: bool) -> float:
    """Return the largest mean that is refuted from below, or the smallest from above.

    It is found by bisection, because wealth is monotone in m.
    """
    refuted, kept = (0.0, 1.0) if above else (1.0, 0.0)
    if unit.size == 0:
        return refuted
    for _ in range(_BISECTIONS):
        middle = (refuted + kept) / 2
        if _final_log_wealth(unit, middle, above=above) >= threshold:
            refuted = middle
        else:
            kept = middle
    return refuted


def _final_log_wealth(unit: Floats, mean: float, *, above: bool) -> float:
    return _log_mean(_log_wealth_by_fraction(unit, mean, above=above))


def _log_wealth_by_fraction(unit: Floats, mean: float, *, above: bool) -> Floats:
    """Return the log wealth of each fraction after all items; shape (fractions,)."""
    gains = (unit - mean) / mean if above else (mean - unit) / (1 - mean)
    totals: Floats = np.log1p(gains[:, None] * FRACTIONS).sum(axis=0)
    return totals


def _log_mean(totals: Floats) -> float:
    return float(np.logaddexp.reduce(totals)) - math.log(FRACTIONS.size)


def _without_gaps(values: Floats, mean: float) -> Floats:
    """Replace NaN by the candidate mean, on which no bet gains or loses."""
    filled: Floats = np.where(np.isnan(values), mean, values)
    return filled


def _to_unit(differences: Floats, bound: float) -> Floats:
    unit: Floats = (differences / bound + 1) / 2
    if unit.size and (float(unit.min()) < 0.0 or float(unit.max()) > 1.0):
        raise ValueError(f"differences must lie within ±{bound}: otherwise no bet on them is bounded")
    return unit
