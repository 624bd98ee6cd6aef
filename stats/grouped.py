"""Equal values together: what makes resamples and sign flips of very many items quick.

A resample of n items is fixed by how often each distinct value was drawn, and right/wrong scores have few distinct
values. So a resample needs one multinomial draw over the values instead of n draws of an item, and its distribution is
the same. Values that all differ are merged with their neighbours first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stats.intervals import Floats

LARGE = 20_000
"""With more items or clusters than this, equal ones are drawn together."""
MOST_GROUPS = 4096
"""If there are more distinct rows, neighbours are merged into groups of equal size. Each takes its group's mean. What
differs within a group is then no longer resampled: below 0.1% of the variance of normal values."""


def grouped_rows(rows: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return the distinct rows and how many there are of each; if there are too many, the means of their groups.

    Args:
        rows: shape (n, k). Neighbours are alike in the first columns.
    """
    rows = rows[np.lexsort(rows.T[::-1])]
    new = np.ones(rows.shape[0], dtype=np.bool_)
    new[1:] = np.any(rows[1:] != rows[:-1], axis=1)
    starts = np.flatnonzero(new)
    if starts.size > MOST_GROUPS:
        starts = np.linspace(0, rows.shape[0], MOST_GROUPS, endpoint=False).astype(np.int64)
    counts = np.diff(np.append(starts, rows.shape[0]))
    return np.add.reduceat(rows, starts, axis=0) / counts[:, None], counts
