"""Krippendorff's alpha: how far several verdicts on the same answers agree.

Estimand: the agreement on answers to questions of the benchmark's kind, beyond what chance gives. 1 means that all
verdicts on an answer are equal. 0 means that they differ as much as verdicts on different answers do.

    alpha = 1 - D_o / D_e

    D_o = Σ_u m_u·s_u² / N    (disagreement within units)
    D_e = s²                  (disagreement of all values, whatever their unit)

A unit u is an answer with m_u >= 2 values, s_u² is their variance and s² that of all N values of such units (both with
the count minus 1). This is the usual definition with squared differences (interval scale), because the mean squared
difference of two values is twice their variance. On an ordinal scale only the order of scores counts: each value is
replaced by its mid-rank among the N values. The distance of two ranks is then the number of values in between, and
half of those equal to either, as Krippendorff defines it (Computing Krippendorff's Alpha-Reliability, 2011).

A missing value leaves its unit smaller; a unit with one value says nothing about agreement and is left out.

The interval resamples items (`stats.bootstrap`), so the answers to one question stay together. Krippendorff's own
bootstrap resamples single disagreements, as if they were independent.

The package `krippendorff` computes the same values, but its licence (GPL) does not fit ours. The tests compare with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stats.bootstrap import percentile_interval, resampled_totals
from stats.clusters import Labels
from stats.intervals import Floats, Interval, all_equal
from stats.reasons import Reason

Level = Literal["ordinal", "interval"]


@dataclass(frozen=True)
class Agreement:
    """Alpha on both levels of measurement, and what it is computed from."""

    ordinal: float
    interval_level: float
    """Alpha with squared differences of the scores themselves, as a check."""
    ci95: Interval | Reason
    """Interval of `ordinal`."""
    n_units: int
    """Answers with at least two values."""
    n_items: int


def agreement(values: Floats, items: Labels, rng: np.random.Generator) -> Agreement | Reason:
    """Return alpha with its interval.

    Args:
        values: shape (units, raters), NaN where a rater gave no value.
        items: the item of each unit, shape (units,). Items are what is resampled.
        rng: the only source of randomness.

    Returns:
        Alpha, or the reason why it is undefined: no unit has two values, or all values are equal.
    """
    ordinal = krippendorff_alpha(values, "ordinal")
    if isinstance(ordinal, Reason):
        return ordinal
    interval_level = krippendorff_alpha(values, "interval")
    assert not isinstance(interval_level, Reason)
    compared = np.count_nonzero(~np.isnan(values), axis=1) >= 2
    _, of_item = np.unique(items[compared], return_inverse=True)
    draws = _resampled_alphas(values[compared], of_item, rng)
    n_items = int(of_item.max()) + 1
    ci95 = percentile_interval(draws, n_items)
    return Agreement(ordinal, interval_level, ci95, int(compared.sum()), n_items)


def krippendorff_alpha(values: Floats, level: Level) -> float | Reason:
    """Return alpha.

    Args:
        values: shape (units, raters), NaN where a rater gave no value.
        level: `ordinal`: only the order of scores counts. `interval`: squared differences count.
    """
    known = ~np.isnan(values)
    compared = np.count_nonzero(known, axis=1) >= 2
    if not compared.any():
        return Reason.NOTHING_REPEATED
    known, values = known[compared], values[compared]
    pooled = values[known]
    if all_equal(pooled):
        return Reason.ZERO_VARIANCE
    if level == "ordinal":
        values = np.full(values.shape, np.nan)
        values[known] = _mean_ranks(pooled)
    sizes = np.count_nonzero(known, axis=1)
    within = float(sizes @ np.nanvar(values, axis=1, ddof=1)) / pooled.size
    of_all = float(np.var(values[known], ddof=1))
    alpha: float = 1.0 - within / of_all
    return alpha


def _mean_ranks(values: Floats) -> Floats:
    """Return the rank of each value from 1; equal values share the mean of their ranks."""
    # scipy.stats has this, too, but takes a second to import, in every process.
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _resampled_alphas(values: Floats, items: NDArray[np.intp], rng: np.random.Generator) -> Floats:
    """Return the ordinal alpha of each resample of items, shape (draws,); NaN if all its values are equal.

    Ranks depend on the resample. So each item is described by how often it has each score, and by how often two scores
    meet in a unit (as 1/(m_u - 1) per ordered pair); alpha follows from the totals of both.
    """
    known = ~np.isnan(values)
    scores, codes = np.unique(values[known], return_inverse=True)
    n_items, n_scores = int(items.max()) + 1, scores.size
    coded = np.full(values.shape, -1)
    coded[known] = codes
    counts = np.zeros((n_items, n_scores))
    np.add.at(counts, (np.broadcast_to(items[:, None], values.shape)[known], codes), 1.0)
    meetings = np.zeros((n_items, n_scores * n_scores))
    weights = 1.0 / (np.count_nonzero(known, axis=1) - 1)
    for first in range(values.shape[1]):
        for second in range(first + 1, values.shape[1]):
            both = known[:, first] & known[:, second]
            low = np.minimum(coded[both, first], coded[both, second])
            high = np.maximum(coded[both, first], coded[both, second])
            np.add.at(meetings, (items[both], low * n_scores + high), weights[both])
    pairs = np.flatnonzero(meetings.any(axis=0))
    totals = resampled_totals(np.hstack([counts, meetings[:, pairs]]), rng)
    n_each, n_meetings = totals[:, :n_scores], totals[:, n_scores:]
    ranks = np.cumsum(n_each, axis=1) - n_each / 2
    n = n_each.sum(axis=1)
    apart = (ranks[:, pairs // n_scores] - ranks[:, pairs % n_scores]) ** 2
    within = np.einsum("dp,dp->d", n_meetings, apart) / n
    centred = ranks - np.einsum("ds,ds->d", n_each, ranks)[:, None] / n[:, None]
    spread = np.einsum("ds,ds->d", n_each, centred**2) / (n - 1)
    alphas = np.full(n.size, np.nan)
    np.divide(within, spread, out=alphas, where=spread > 0)
    alphas = 1 - alphas
    return alphas
