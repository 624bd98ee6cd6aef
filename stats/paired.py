"""An arm against its reference, paired item by item.

Estimand: the mean of (arm minus reference) over all questions of the benchmark's kind, where each arm's value on a
question is its mean over sampling. Both arms answered the same prompts, so the spread of the per-item differences is
what counts. It is smaller than the spread of either arm (Miller, arXiv 2411.00640).

Two items pair if they have the same id and the same prompt hash and both arms have a scored record. All other items are
counted. Arms that were planned on different items are not compared at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from stats.clusters import Labels, cluster_totals, clustered_ratio
from stats.intervals import TAIL, Floats, Interval, Z, all_equal, clamp, score_interval, t_interval, t_quantile
from stats.reasons import Reason

FEW_DIFFERENCES = 10
"""If fewer items differ, nobody knows from them how much repeats of an item vary, or whether sources are alike.

The interval for a proportion then takes the safe side in both: as if each item (with shared sources: each source) were
right or wrong as a whole."""


@dataclass(frozen=True, eq=False)
class Pairing:
    """Per-item means of all planned items, ordered by item id, and the number of items that do not pair."""

    item_ids: pl.Series
    arm_means: Floats
    """Shape (planned,). NaN if the item does not pair."""
    reference_means: Floats
    """Shape (planned,). NaN at the same positions as `arm_means`."""
    clusters: Labels | None
    """Label of each planned item's cluster, shape (planned,). None: each item is its own cluster."""
    n_runs: int
    """Largest number of scored seeds of a paired item, in the arm that has fewer."""
    n_unscored: int
    """Planned items without a scored record in at least one of the arms."""
    n_prompt_mismatch: int
    """Items that are scored in both arms but under different prompts."""

    @property
    def paired(self) -> NDArray[np.bool_]:
        """True for each planned item that pairs, shape (planned,)."""
        mask: NDArray[np.bool_] = ~np.isnan(self.arm_means)
        return mask

    @property
    def differences(self) -> Floats:
        """Arm minus reference, shape (paired items,)."""
        difference: Floats = (self.arm_means - self.reference_means)[self.paired]
        return difference

    @property
    def paired_clusters(self) -> Labels | None:
        """Clusters of the paired items."""
        return None if self.clusters is None else self.clusters[self.paired]


@dataclass(frozen=True)
class PairedDifference:
    """Arm minus reference. An undefined number holds its reason instead."""

    difference: float | Reason
    interval: Interval | Reason
    cohens_d: float | Reason
    n_items: int
    n_units: int
    """Number of units that the interval takes as independent: clusters, or items if each is its own cluster."""


def pair_items(arm: pl.DataFrame, reference: pl.DataFrame) -> Pairing | Reason:
    """Pair two arms on one benchmark.

    Args:
        arm: rows of `reduce.per_item` for one arm and one benchmark, with every planned item.
        reference: the same rows of the arm that it is compared with. Clusters are taken from here.

    Returns:
        The pairing, or `PLANNED_SETS_DIFFER`.
    """
    arm, reference = arm.sort("item_id"), reference.sort("item_id")
    if not arm["item_id"].equals(reference["item_id"]):
        return Reason.PLANNED_SETS_DIFFER
    scored = arm["mean"].is_not_null() & reference["mean"].is_not_null()
    paired = (scored & (arm["prompt_hash"] == reference["prompt_hash"])).fill_null(False)
    runs = [int(one["n_runs"].filter(paired).max() or 0) for one in (arm, reference)]  # type: ignore[arg-type]
    means = [np.where(paired, one["mean"], np.nan) for one in (arm, reference)]
    n_scored = int(scored.sum())
    return Pairing(
        item_ids=arm["item_id"],
        arm_means=means[0],
        reference_means=means[1],
        clusters=shared_sources(reference["cluster"]),
        n_runs=min(runs),
        n_unscored=arm.height - n_scored,
        n_prompt_mismatch=n_scored - int(paired.sum()),
    )


def shared_sources(clusters: pl.Series) -> Labels | None:
    """Return the labels of the clusters as numbers, shape (items,). None if no two items share a cluster."""
    if clusters.n_unique() == clusters.len():
        return None
    return clusters.rank("dense").to_numpy()


def paired_difference(differences: Floats, *, proportion: bool, clusters: Labels | None = None) -> PairedDifference:
    """Return the mean difference with its interval and effect size. Its p value comes from `stats.permutation`.

    Args:
        differences: arm minus reference, one per item, shape (n,), no NaN.
        proportion: True if scores lie in [0, 1], so that differences lie in [-1, 1].
        clusters: label of each item's cluster, shape (n,). None: each item is its own cluster.
    """
    n = differences.size
    interval = difference_interval(differences, proportion=proportion, clusters=clusters)
    mean = float(np.mean(differences)) if n else Reason.NO_PAIRED_ITEMS
    n_units = n if clusters is None else np.unique(clusters).size
    return PairedDifference(mean, interval, cohens_d(differences), n, n_units)


def difference_interval(
    differences: Floats, *, proportion: bool, clusters: Labels | None = None, tail: float = TAIL
) -> Interval | Reason:
    """Return the interval of the mean difference: the 95% interval, or with a larger `tail` a wider one.

    The interval is Student's t over items, or over clusters of items. A proportion takes Wilson's intervals of its
    gains and its losses instead (`gains_and_losses_interval`). A t interval is too short on one side if most items
    that differ are losses: if 1% of 3000 items are lost and none is gained, it lies above -1 point in 5.4% of
    runs, and in 3% if 2% of 1000 to 5000 items differ (tests/stats/test_paired.py). Where more than half of the items
    differ by parts of a point, as probabilities do, no few losses decide, and Student's t is kept.

    Args: as in `paired_difference`; `tail` as in `stats.intervals.t_interval`.
    """
    n = differences.size
    if n == 0:
        return Reason.NO_PAIRED_ITEMS
    if n == 1:
        return Interval(-1.0, 1.0, "score_range") if proportion else Reason.ONE_ITEM
    if proportion and (2 * np.count_nonzero(differences) <= n or _whole(differences) or all_equal(differences)):
        return gains_and_losses_interval(differences, clusters, tail)
    if clusters is not None:
        ratio = clustered_ratio(differences, np.ones(n), clusters, tail)
        assert not isinstance(ratio, Reason)
        found = ratio.interval
    else:
        found = Reason.ZERO_VARIANCE if all_equal(differences) else t_interval(differences, tail)
    if not proportion:
        return found
    return clamp(found, -1.0, 1.0) if isinstance(found, Interval) else Interval(-1.0, 1.0, "score_range")


def _whole(differences: Floats) -> bool:
    """Return whether each item is gained, lost or neither, as with one run of right and wrong answers."""
    return bool(np.isin(differences, (-1.0, 0.0, 1.0)).all())


def gains_and_losses_interval(differences: Floats, clusters: Labels | None = None, tail: float = TAIL) -> Interval:
    """Return the interval of the mean of differences in [-1, 1], from Wilson's intervals of its two parts.

    The parts are G = mean(max(d, 0)) and L = mean(max(-d, 0)). With one run, and without shared sources, each is a
    share of the items (`wilson_of_shares`). Otherwise each has an effective number of items, n / D: D is the variance
    of the part over that of a share of its size. It is below 1 for means of repeats, and above 1 if sources are alike.
    D is estimated as if the data held one more difference, as large as the largest and of a source of mean size, and
    the quantile is Student's.

    Args: as in `difference_interval`; at least two items.
    """
    n_units = differences.size if clusters is None else int(np.unique(clusters).size)
    sizes = np.abs(differences)
    whole = clusters is None and _whole(differences)
    if whole or np.count_nonzero(differences) < FEW_DIFFERENCES or all_equal(differences):
        return wilson_of_gains_and_losses(differences, None if clusters is None else n_units, tail)
    if n_units < 2:
        return Interval(-1.0, 1.0, "score_range")
    parts = np.column_stack([np.maximum(differences, 0.0), np.maximum(-differences, 0.0)])
    means = parts.mean(axis=0)
    residuals = cluster_totals(parts - means, clusters)
    squares = residuals.T @ residuals * n_units / (n_units - 1)
    one_more = float(sizes.max()) * differences.size / n_units
    shares = [
        Share(mean, _effective_items(mean, square, differences.size, one_more, float(sizes.max())))
        for mean, square in zip(means.tolist(), np.diag(squares).tolist(), strict=True)
    ]
    spread = math.sqrt(float(squares[0, 0] * squares[1, 1]))
    correlation = float(squares[0, 1]) / spread if spread > 0 else 0.0
    return gains_minus_losses(shares[0], shares[1], correlation, t_quantile(n_units - 1, tail))


def _effective_items(mean: float, square: float, n: int, one_more: float, largest: float) -> float:
    """Return n / D for one part of the differences.

    Args:
        mean: of the part.
        square: sum of its squared residuals, n·variance.
        n: number of items.
        one_more: D if all differences were the largest one, and of sources of mean size.
        largest: the largest difference.
    """
    total = mean * n
    of_data = square / (1 - mean) if mean < 1 else 0.0  # total·D
    return n * (total + largest) / (of_data + largest * one_more)


def wilson_of_gains_and_losses(differences: Floats, n_units: int | None = None, tail: float = TAIL) -> Interval:
    """Return `wilson_of_shares` for the gains and losses among differences.

    Args:
        differences: in [-1, 1], shape (n,), n >= 1.
        n_units: number of clusters if items share sources. None: n.
        tail: as in `stats.intervals.t_interval`.
    """
    gain = float(np.mean(np.maximum(differences, 0.0)))
    loss = float(np.mean(np.maximum(-differences, 0.0)))
    return wilson_of_shares(gain, loss, differences.size if n_units is None else n_units, tail)


def wilson_of_shares(gain: float, loss: float, n: float, tail: float = TAIL) -> Interval:
    """Return the interval of a mean difference from the Wilson intervals of its gains and its losses.

    The mean difference is gains minus losses, with G = mean(max(d, 0)) and L = mean(max(-d, 0)), two shares of one
    multinomial. Their Wilson intervals are combined by adding squares, with the correlation that such shares have (the
    square-and-add method: Newcombe 1998, Statistics in Medicine 17:2635). If nothing differs, the interval is
    ±z²/(n+z²): 8.8 points at 40 items, about "three in n".

    Args:
        gain: G, in [0, 1].
        loss: L, in [0, 1].
        n: number of items.
        tail: as in `stats.intervals.t_interval`.
    """
    spread = (1 - gain) * (1 - loss)
    correlation = -math.sqrt(gain * loss / spread) if spread > 0 else 0.0
    z = Z if tail == TAIL else float(special.ndtri(tail))
    return gains_minus_losses(Share(gain, n), Share(loss, n), correlation, z)


class Share(NamedTuple):
    """A share of items, gained or lost, and the number of items that it is worth."""

    mean: float
    n: float


def gains_minus_losses(gain: Share, loss: Share, correlation: float, quantile: float) -> Interval:
    """Return the interval of the difference of two shares, from Wilson's intervals of both with this quantile."""
    of_gain, of_loss = (score_interval(one.mean, one.n, quantile) for one in (gain, loss))
    below = _combined_half_width(gain.mean - of_gain.low, of_loss.high - loss.mean, correlation)
    above = _combined_half_width(of_gain.high - gain.mean, loss.mean - of_loss.low, correlation)
    mean = gain.mean - loss.mean
    return clamp(Interval(mean - below, mean + above, "wilson_gains_losses"), -1.0, 1.0)


def _combined_half_width(a: float, b: float, correlation: float) -> float:
    """Return the half-width of a difference whose parts have half-widths a and b."""
    return math.sqrt(max(0.0, a * a + b * b - 2 * correlation * a * b))


def cohens_d(differences: Floats) -> float | Reason:
    """Return d_z = mean(d)/sd(d) over items, times the small-sample factor J = 1 - 3/(4·df - 1), df = n - 1.

    It is computed over items, never over run means, where it would grow without bound as the seeds agree more.

    Args:
        differences: shape (n,).
    """
    n = differences.size
    if n < 3:  # J is 0 at n = 2, so every effect would come out as 0.
        return Reason.TOO_FEW_ITEMS if n else Reason.NO_PAIRED_ITEMS
    if all_equal(differences):
        return Reason.ZERO_VARIANCE
    factor = 1 - 3 / (4 * (n - 1) - 1)
    return factor * float(np.mean(differences)) / float(np.std(differences, ddof=1))
