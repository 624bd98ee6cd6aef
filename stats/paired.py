"""An arm against its reference, paired item by item.

Estimand: the mean over all questions of the benchmark's kind of (arm minus reference), each arm's mean over
sampling taken first. Both arms answered the same prompts, so the spread of the per-item differences is what
counts; it is smaller than that of either arm (Miller, arXiv 2411.00640).

Items pair where id and prompt hash are the same and both arms have a scored record; all others are counted.
Arms that were planned on different items are not compared at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stats.intervals import Interval, all_equal, clamp, t_interval, wilson
from stats.permutation import sign_flip_test
from stats.reasons import Reason

FEW_DIFFERENCES = 10
"""Below this many items with a difference, a proportion's t interval is too short: it covers 33% of the time
at 40 items of which 1 in 100 changes, 87% at 40 items and 5 in 100, where the interval used instead covers
99% and more; from ten on, both cover 93 to 96% (simulated, tests/stats/test_paired.py)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pairing:
    """Per-item means of the items that pair, and how many planned ones do not."""

    arm_means: Floats
    reference_means: Floats
    n_runs: int
    """Scored seeds of a paired item, at most; the smaller number of the two arms."""
    n_unscored: int
    """Planned items without a scored record in one of the arms, or in both."""
    n_prompt_mismatch: int
    """Items scored in both arms, under different prompts."""

    @property
    def differences(self) -> Floats:
        """Arm minus reference, shape (items,)."""
        return self.arm_means - self.reference_means


@dataclass(frozen=True)
class PairedDifference:
    """Arm minus reference. What is undefined holds its reason instead."""

    difference: float | Reason
    interval: Interval | Reason
    p_value: float | Reason
    test: str | None
    cohens_d: float | Reason
    n_items: int


def pair_items(arm: pl.DataFrame, reference: pl.DataFrame) -> Pairing | Reason:
    """Pair two arms on one benchmark.

    Args:
        arm: rows of `reduce.per_item` of one arm and benchmark: every planned item.
        reference: likewise, of the arm that it is compared with.

    Returns:
        The pairing, or `PLANNED_SETS_DIFFER`.
    """
    if set(arm["item_id"]) != set(reference["item_id"]):
        return Reason.PLANNED_SETS_DIFFER
    both = arm.join(reference, on="item_id", how="inner", suffix="_reference").sort("item_id")
    scored = both.filter(pl.col("mean").is_not_null() & pl.col("mean_reference").is_not_null())
    paired = scored.filter(pl.col("prompt_hash") == pl.col("prompt_hash_reference"))
    runs = [int(paired[column].max() or 0) for column in ("n_runs", "n_runs_reference")]  # type: ignore[arg-type]
    return Pairing(
        arm_means=paired["mean"].to_numpy(),
        reference_means=paired["mean_reference"].to_numpy(),
        n_runs=min(runs),
        n_unscored=both.height - scored.height,
        n_prompt_mismatch=scored.height - paired.height,
    )


def paired_difference(differences: Floats, *, proportion: bool, rng: np.random.Generator) -> PairedDifference:
    """Mean difference with interval, p value and effect size.

    Args:
        differences: arm minus reference, one an item, shape (n,); no NaN.
        proportion: True where scores lie in [0, 1], so that differences lie in [-1, 1].
        rng: for the permutation test of continuous scores.
    """
    n = differences.size
    interval = difference_interval(differences, proportion=proportion)
    if n == 0:
        none = Reason.NO_PAIRED_ITEMS
        return PairedDifference(none, interval, none, None, none, 0)
    permutation = sign_flip_test(differences, rng)
    mean = float(np.mean(differences))
    return PairedDifference(mean, interval, permutation.p_value, permutation.test, cohens_d(differences), n)


def difference_interval(differences: Floats, *, proportion: bool) -> Interval | Reason:
    """95% interval of the mean difference.

    Student's t over items, except for proportions of which fewer than ten items differ: few flips among
    many items, or none, would give an interval that is too short, or has no width at all.

    Args:
        differences: shape (n,).
        proportion: as in `paired_difference`.
    """
    n = differences.size
    if n == 0:
        return Reason.NO_PAIRED_ITEMS
    if proportion:
        if n == 1:
            return Interval(-1.0, 1.0, "score_range")
        if np.count_nonzero(differences) < FEW_DIFFERENCES or all_equal(differences):
            return wilson_of_gains_and_losses(differences)
        return clamp(t_interval(differences), -1.0, 1.0)
    if n == 1:
        return Reason.ONE_ITEM
    return Reason.ZERO_VARIANCE if all_equal(differences) else t_interval(differences)


def wilson_of_gains_and_losses(differences: Floats) -> Interval:
    """Interval of a mean difference out of the Wilson intervals of its two halves.

    The mean difference is gains minus losses, G = mean(max(d, 0)) and L = mean(max(-d, 0)), two shares of one
    multinomial. Their Wilson intervals are put together by squares, with the correlation of such shares
    (Newcombe 1998, Statistics in Medicine 17:2635, the square-and-add method). Where nothing differs it is
    ±z²/(n+z²): 8.8 points at 40 items, about "three in n".

    Args:
        differences: in [-1, 1], shape (n,), n >= 1.
    """
    n = differences.size
    gain = float(np.mean(np.maximum(differences, 0.0)))
    loss = float(np.mean(np.maximum(-differences, 0.0)))
    of_gain, of_loss = wilson(gain, n), wilson(loss, n)
    spread = (1 - gain) * (1 - loss)
    correlation = -math.sqrt(gain * loss / spread) if spread > 0 else 0.0
    below = _joined(gain - of_gain.low, of_loss.high - loss, correlation)
    above = _joined(of_gain.high - gain, loss - of_loss.low, correlation)
    return clamp(Interval(gain - loss - below, gain - loss + above, "wilson_gains_losses"), -1.0, 1.0)


def _joined(a: float, b: float, correlation: float) -> float:
    """Half-width of a difference whose parts have half-widths a and b."""
    return math.sqrt(max(0.0, a * a + b * b - 2 * correlation * a * b))


def cohens_d(differences: Floats) -> float | Reason:
    """d_z = mean(d)/sd(d) over items, times the small-sample factor J = 1 - 3/(4·df - 1), df = n - 1.

    Over items, never over run means, where it grows without bound as the seeds agree.

    Args:
        differences: shape (n,).
    """
    n = differences.size
    if n < 3:  # J is 0 at n = 2: every effect would be called none.
        return Reason.TOO_FEW_ITEMS if n else Reason.NO_PAIRED_ITEMS
    if all_equal(differences):
        return Reason.ZERO_VARIANCE
    factor = 1 - 3 / (4 * (n - 1) - 1)
    return factor * float(np.mean(differences)) / float(np.std(differences, ddof=1))
