"""The cluster bootstrap: intervals for statistics that have no formula, and a check of those that have one.

Only the top level is resampled: clusters if items share sources, otherwise items. Each item keeps all of its repeats
and judgements. Resampling repeats within resampled items would count sampling noise twice: the standard error would
be up to 1.34 times too large at five repeats. One draw resamples the same items for every column, so arms stay paired.

The standard error is the standard deviation of the resampled statistic itself. It is not divided by √draws.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stats.clusters import Labels, cluster_totals
from stats.grouped import LARGE, grouped_rows
from stats.intervals import TAIL, Floats, Interval
from stats.reasons import Reason

DRAWS = 10_000
FEWEST_UNITS = 10
"""With fewer items or clusters there are too few different resamples for an interval."""
_CHUNK = 2_000_000
"""Largest number of resampled positions in memory at once."""
_MOST_UNDEFINED = 0.01
"""Largest share of draws without a value for which an interval is still given."""


def resampled_totals(
    columns: Floats, rng: np.random.Generator, *, clusters: Labels | None = None, draws: int = DRAWS
) -> Floats:
    """Return the column totals of each resample.

    Args:
        columns: shape (items, k). A mean needs two columns: the values (0 if missing), and 1 for each value that
            exists.
        rng: the only source of randomness.
        clusters: label of each item's cluster, shape (items,). None: items are resampled.
        draws: number of resamples.

    Returns:
        Shape (draws, k).
    """
    units = cluster_totals(columns, clusters)  # (units, k)
    if units.shape[0] > LARGE:
        return _grouped_totals(units, rng, draws)
    totals = np.empty((draws, units.shape[1]))
    done = 0
    for counts in _counts(units.shape[0], rng, draws):
        totals[done : done + counts.shape[0]] = counts @ units
        done += counts.shape[0]
    return totals


def _grouped_totals(units: Floats, rng: np.random.Generator, draws: int) -> Floats:
    """Return the totals by drawing how often each distinct row occurs. All columns are those of one arm."""
    rows, sizes = grouped_rows(units)
    totals = np.empty((draws, units.shape[1]))
    step = max(1, _CHUNK // sizes.size)
    for first in range(0, draws, step):
        part = totals[first : first + step]
        part[:] = rng.multinomial(units.shape[0], sizes / units.shape[0], size=part.shape[0]) @ rows
    return totals


def _counts(n_units: int, rng: np.random.Generator, draws: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each unit was drawn, one row per resample, in chunks."""
    rows = max(1, _CHUNK // n_units)
    for first in range(0, draws, rows):
        count = min(rows, draws - first)
        places = rng.integers(0, n_units, size=(count, n_units), dtype=np.int32)
        places += np.arange(count, dtype=np.int32)[:, None] * n_units
        counts = np.bincount(places.ravel(), minlength=count * n_units)
        yield counts.reshape(count, n_units).astype(np.float64)


def percentile_interval(draws: Floats, n_units: int) -> Interval | Reason:
    """Return the middle 95% of a statistic's resampled values.

    Args:
        draws: shape (draws,); NaN for a resample without a value.
        n_units: number of resampled items or clusters that carry information. For a difference these are the units
            whose difference is not zero.
    """
    if n_units < FEWEST_UNITS:
        return Reason.TOO_FEW_ITEMS
    known = draws[~np.isnan(draws)]
    if known.size < (1 - _MOST_UNDEFINED) * draws.size:
        return Reason.TOO_FEW_ITEMS
    low, high = np.quantile(known, [1 - TAIL, TAIL])
    return Interval(float(low), float(high), "bootstrap") if low < high else Reason.ZERO_VARIANCE


def effect_size_draws(n: Floats, sums: Floats, squares: Floats) -> Floats:
    """Return Cohen's d_z with its small-sample factor for each resample, from resampled totals of shape (draws,).

    A resample in which no item differs has no effect: 0. A resample in which all items differ by the same amount has no
    spread, and so no value: NaN.

    Args:
        n: items in the resample.
        sums: Σd.
        squares: Σd².
    """
    effects = np.full(n.shape, np.nan)
    enough = n >= 3
    size, mean = n[enough], sums[enough] / n[enough]
    variance = np.maximum(squares[enough] / size - mean**2, 0.0) * size / (size - 1)
    # Without any spread, rounding still leaves about 1e-16 of the squares.
    spread = variance > 1e-12 * squares[enough] / size
    found = np.where(squares[enough] == 0.0, 0.0, np.nan)
    factor = 1 - 3 / (4 * (size[spread] - 1) - 1)
    found[spread] = factor * mean[spread] / np.sqrt(variance[spread])
    effects[enough] = found
    return effects
