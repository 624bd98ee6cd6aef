"""What "no worse" needs beside the margin: scores that could have been, a share to keep, a reference that can lose.

**Unscored records** may hide losses: the arm may have failed where the reference was right. In the worst case, each of
the arm's missing scores is the worst of the scale and each of the reference's the best. A record that no arm could have
given (the item does not fit into the context, say) hides nothing.

**The share to keep.** A margin in points of accuracy says little if the reference gets little right: of 1%, half can be
lost within a margin of one point. So the arm must also keep 1 - x of what the reference gets right beyond guessing:

    kept = (a - c) - (1 - x)·(r - c) = d + x·(r - c) > 0

a and r are the accuracies of arm and reference, c is that of guessing. The interval of `kept` combines those of d and
of x·(r - c) by adding squares, with the correlation of the two over items (MOVER: Zou and Donner 2008). Where d has an
interval for few flips, `kept` inherits it: a plain t interval would have almost no width there.

**Floor and ceiling.** If the reference is not shown to lie more than the margin above guessing, an arm that only
guesses would lose less than the margin. If the reference gets less wrong than the margin, the items are too easy to
tell arms apart.

All scores here are oriented: 1 is right. c is 0 for answers that are not chosen from a list.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stats.clusters import Labels, cluster_totals, clustered_mean_interval
from stats.intervals import TAIL, Floats, Interval, Z, all_equal, clamp, mean_interval
from stats.reasons import Reason
from stats.verdict import Ground

METHOD = "square_and_add"


def worst_case(totals: Floats, n_scored: NDArray[np.int64], n_planned: NDArray[np.int64], fill: float) -> Floats:
    """Return per-item means in which each record without a score counts as `fill`.

    Args:
        totals: sum of the scores of an item, shape (items,).
        n_scored: records in its sum, shape (items,).
        n_planned: records planned for it, at least as many, at least 1; shape (items,).
        fill: the worst score of the scale for the arm, the best for the reference.
    """
    means: Floats = (totals + fill * (n_planned - n_scored)) / n_planned
    return means


def kept_values(arm: Floats, reference: Floats, share: float, chance: float) -> Floats:
    """Return `kept` of each item, in [-1, 1]; shape (items,). Its mean is `kept`.

    Args:
        arm: per-item means in [0, 1].
        reference: the same, of the reference.
        share: x, the share that may be lost.
        chance: c.
    """
    values: Floats = arm - reference + share * (reference - chance)
    return values


def kept_interval(
    difference: Interval,
    arm: Floats,
    reference: Floats,
    share: float,
    chance: float,
    clusters: Labels | None = None,
    tail: float = TAIL,
) -> Interval:
    """Return the interval of `kept`: the 95% interval, or with a larger `tail` a wider one.

    Args:
        difference: interval of the mean of arm minus reference.
        arm: per-item means in [0, 1], shape (items,), at least one.
        reference: the same, of the reference.
        share: x, the share that may be lost.
        chance: c.
        clusters: label of each item's cluster, shape (items,). None: each item is its own cluster.
        tail: as in `stats.intervals.t_interval`. `difference` must have the same.
    """
    level = _reference_interval(reference, clusters)
    # The reference's accuracy counts for little here (x is small), so normal quantiles are good enough to widen it.
    share_of_level = share * float(special.ndtri(tail)) / Z
    mean, lost = float(reference.mean()), float((arm - reference).mean())
    correlation = _correlation(arm - reference, reference, clusters)
    estimate = lost + share * (mean - chance)
    below = _combined(lost - difference.low, share_of_level * (mean - level.low), correlation)
    above = _combined(difference.high - lost, share_of_level * (level.high - mean), correlation)
    return clamp(Interval(estimate - below, estimate + above, METHOD), -1.0, 1.0)


def _reference_interval(reference: Floats, clusters: Labels | None) -> Interval:
    if clusters is None:
        found = mean_interval(reference, proportion=True)
    else:
        found = clustered_mean_interval(reference, clusters, proportion=True)
    assert not isinstance(found, Reason)  # a proportion always has an interval
    return found


def _correlation(first: Floats, second: Floats, clusters: Labels | None) -> float:
    """Return the correlation over items, or over sums by cluster; 0 if one of them does not vary."""
    columns = cluster_totals(np.column_stack([first - first.mean(), second - second.mean()]), clusters)
    if all_equal(columns[:, 0]) or all_equal(columns[:, 1]):
        return 0.0
    return float(np.corrcoef(columns[:, 0], columns[:, 1]).item(1))


def _combined(first: float, second: float, correlation: float) -> float:
    """Return the half-width of a sum whose parts have these half-widths."""
    return math.sqrt(max(0.0, first**2 + second**2 + 2 * correlation * first * second))


def level_of(reference: Interval, margin: float, chance: float) -> Ground | None:
    """Return `FLOOR` or `CEILING` if a loss of the margin could not show, else None.

    Args:
        reference: interval of the reference's accuracy.
        margin: δ.
        chance: c.
    """
    if reference.low - chance <= margin:
        return Ground.FLOOR
    return Ground.CEILING if 1 - reference.low <= margin else None
