"""The cluster bootstrap: intervals of statistics that have no formula of their own, and a check on those that have.

Only the top level is resampled: clusters where items share sources, else items, each with all its repeats and
judgements. Resampling repeats inside resampled items would count sampling noise twice (a standard error up to 1.34
times too large at five repeats). One draw resamples the same items for every column, which keeps arms paired.

The standard error is the standard deviation of the resampled statistic itself, never divided by √draws once more.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stats.clusters import Labels, cluster_totals
from stats.intervals import TAIL, Floats, Interval
from stats.reasons import Reason

DRAWS = 10_000
FEWEST_UNITS = 10
"""Below this many items or clusters there are too few different resamples for an interval."""
_CHUNK = 2_000_000
"""Resampled places held in memory at once."""
_MOST_UNDEFINED = 0.01
"""Share of draws without a value up to which an interval is given."""


def resampled_totals(
    columns: Floats, rng: np.random.Generator, *, clusters: Labels | None = None, draws: int = DRAWS
) -> Floats:
    """Column totals of each resample.

    Args:
        columns: shape (items, k). A mean needs two of them: the values (0 where there is none) and a 1 for each value.
        rng: the only source of chance.
        clusters: label of each item's cluster, shape (items,); None: items are resampled.
        draws: resamples.

    Returns:
        Shape (draws, k).
    """
    units = cluster_totals(columns, clusters)  # (units, k)
    totals = np.empty((draws, units.shape[1]))
    done = 0
    for counts in _counts(units.shape[0], rng, draws):
        totals[done : done + counts.shape[0]] = counts @ units
        done += counts.shape[0]
    return totals


def _counts(n_units: int, rng: np.random.Generator, draws: int) -> Iterator[NDArray[np.float64]]:
    """How often each unit was drawn, a row a resample, in chunks."""
    rows = max(1, _CHUNK // n_units)
    for first in range(0, draws, rows):
        count = min(rows, draws - first)
        places = rng.integers(0, n_units, size=(count, n_units), dtype=np.int32)
        places += np.arange(count, dtype=np.int32)[:, None] * n_units
        counts = np.bincount(places.ravel(), minlength=count * n_units)
        yield counts.reshape(count, n_units).astype(np.float64)


def percentile_interval(draws: Floats, n_units: int) -> Interval | Reason:
    """The middle 95% of a statistic's resampled values.

    Args:
        draws: shape (draws,); NaN where a resample gave no value.
        n_units: items or clusters that were resampled and are not all alike: those that differ, of a difference.
    """
    if n_units < FEWEST_UNITS:
        return Reason.TOO_FEW_ITEMS
    known = draws[~np.isnan(draws)]
    if known.size < (1 - _MOST_UNDEFINED) * draws.size:
        return Reason.TOO_FEW_ITEMS
    low, high = np.quantile(known, [1 - TAIL, TAIL])
    return Interval(float(low), float(high), "bootstrap") if low < high else Reason.ZERO_VARIANCE


def effect_size_draws(n: Floats, sums: Floats, squares: Floats) -> Floats:
    """Cohen's d_z with its small-sample factor, out of resampled totals, each shape (draws,).

    A resample in which no item differs has no effect: 0. One whose items all differ by the same has no spread, and no
    value.

    Args:
        n: items in the resample.
        sums: Σd.
        squares: Σd².
    """
    effects = np.full(n.shape, np.nan)
    enough = n >= 3
    size, mean = n[enough], sums[enough] / n[enough]
    variance = np.maximum(squares[enough] / size - mean**2, 0.0) * size / (size - 1)
    # Rounding leaves a spread of about 1e-16 of the squares where there is none.
    spread = variance > 1e-12 * squares[enough] / size
    found = np.where(squares[enough] == 0.0, 0.0, np.nan)
    factor = 1 - 3 / (4 * (size[spread] - 1) - 1)
    found[spread] = factor * mean[spread] / np.sqrt(variance[spread])
    effects[enough] = found
    return effects
