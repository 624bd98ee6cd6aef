"""Means and ratios over items that share sources, with standard errors by cluster.

Items about one document or article rise and fall together, so the sample consists of clusters, not of items. The
estimand is still the mean over all items (or the ratio of two totals). Only its uncertainty grows, up to about three
times (Miller, arXiv 2411.00640). Clusters are shared sources: documents or articles. Subjects and categories are never
clusters, because they are fixed strata.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stats.intervals import SMALL_N, TAIL, Floats, Interval, Z, all_equal, clamp, near_an_end, t_quantile, wilson
from stats.reasons import Reason

FEW_CLUSTERS = 10
"""With fewer clusters, intervals by cluster are too short, and there are too few sign assignments for a reliable
test."""

Labels = NDArray[Any]


@dataclass(frozen=True)
class ClusteredRatio:
    """Σ totals / Σ weights with its interval by cluster. With weights of 1 it is the plain mean."""

    estimate: float
    standard_error: float | Reason
    interval: Interval | Reason
    n_clusters: int


def cluster_totals(columns: Floats, clusters: Labels | None) -> Floats:
    """Sum the rows of each cluster: (items, k) -> (clusters, k), clusters in sorted order.

    If `clusters` is None, each row is its own cluster.
    """
    if clusters is None:
        return columns
    _, places = np.unique(clusters, return_inverse=True)
    totals = np.zeros((int(places.max(initial=-1)) + 1, columns.shape[1]))
    np.add.at(totals, places, columns)
    return totals


def clustered_ratio(
    totals: Floats, weights: Floats, clusters: Labels | None = None, tail: float = TAIL
) -> ClusteredRatio | Reason:
    """Return the ratio of two totals with its standard error by cluster.

    The standard error is linearised, and the interval is a t interval with C-1 degrees of freedom.

    SE = √(C/(C-1) · Σ_c (Σ_{i∈c} totals_i - ratio·weights_i)²) / Σ weights. With weights of 1 this is Miller's
    clustered standard error with the factor C/(C-1). If each cluster also has only one item, it is the usual standard
    error (n-1).

    Args:
        totals: shape (items,): scores, or sums over the tokens of a chunk.
        weights: shape (items,): 1, or numbers of tokens. Their sum is positive.
        clusters: label of each item's cluster, shape (items,). None: each item is its own cluster.
        tail: the quantile of the interval's ends (`stats.intervals.t_interval`).
    """
    if totals.size == 0:
        return Reason.NO_SCORED_ITEMS
    weight = float(weights.sum())
    ratio = float(totals.sum()) / weight
    residuals = cluster_totals((totals - ratio * weights)[:, None], clusters)[:, 0]
    n_clusters = residuals.size
    if n_clusters < 2:
        reason = Reason.ONE_ITEM if totals.size == 1 else Reason.ONE_CLUSTER
        return ClusteredRatio(ratio, reason, reason, n_clusters)
    spread = float(np.sum(residuals**2)) * n_clusters / (n_clusters - 1)
    standard_error = math.sqrt(spread) / weight
    if all_equal(np.append(residuals, 0.0)):
        return ClusteredRatio(ratio, Reason.ZERO_VARIANCE, Reason.ZERO_VARIANCE, n_clusters)
    half = t_quantile(n_clusters - 1, tail) * standard_error
    return ClusteredRatio(ratio, standard_error, Interval(ratio - half, ratio + half, "t_clustered"), n_clusters)


def clustered_mean_interval(item_means: Floats, clusters: Labels, *, proportion: bool) -> Interval | Reason:
    """Return the interval of estimand A (`stats.intervals`) for items that share sources.

    For a proportion with few items, close to 0 or 1, or without any spread, the result is Wilson's interval. Its number
    of items is then the effective number that corresponds to the clustered standard error, reduced by the t factor
    (Korn and Graubard 1998, Survey Methodology 24:193). If nothing varies, it is the number of clusters. Close to 0 or
    1 means that few clusters are not all wrong, or not all right.

    Args:
        item_means: shape (items,), no NaN.
        clusters: label of each item's cluster, shape (items,).
        proportion: True if each score lies in [0, 1].
    """
    found = clustered_ratio(item_means, np.ones(item_means.size), clusters)
    if isinstance(found, Reason):
        return found
    if not proportion:
        return found.interval
    if found.n_clusters < 2:
        return Interval(0.0, 1.0, "score_range")
    mean = min(1.0, max(0.0, found.estimate))
    if isinstance(found.standard_error, Reason):
        return _as_clustered(wilson(mean, found.n_clusters))
    sizes = cluster_totals(np.ones((item_means.size, 1)), clusters)[:, 0]
    if item_means.size >= SMALL_N and not near_an_end(cluster_totals(item_means[:, None], clusters)[:, 0] / sizes):
        assert isinstance(found.interval, Interval)
        return clamp(found.interval, 0.0, 1.0)
    effective = min(float(item_means.size), mean * (1 - mean) / found.standard_error**2)
    effective *= (Z / t_quantile(found.n_clusters - 1)) ** 2
    return _as_clustered(wilson(mean, effective)) if effective > 0 else Interval(0.0, 1.0, "score_range")


def _as_clustered(interval: Interval) -> Interval:
    return Interval(interval.low, interval.high, "wilson_clustered")
