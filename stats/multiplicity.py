"""P values adjusted for their number.

Holm's method is for decisions: with 95% there is no false alarm at all. Benjamini and Hochberg's method is for
exploration: on average at most 5% of the flagged results are false. The caller decides which p values form a family.
"""

from __future__ import annotations

import numpy as np

from stats.intervals import Floats


def holm(p_values: Floats) -> Floats:
    """Return p values adjusted by Holm's step-down method (Holm 1979).

    p̃_(i) = max_{j≤i} min(1, (m-j+1)·p_(j)).

    Args:
        p_values: shape (m,), no NaN.
    """
    m = p_values.size
    order = np.argsort(p_values, kind="stable")
    stepped = np.minimum(1.0, (m - np.arange(m)) * p_values[order])
    adjusted = np.empty(m)
    adjusted[order] = np.maximum.accumulate(stepped)
    return adjusted


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Return p values adjusted by Benjamini and Hochberg's step-up method (1995) for the false discovery rate.

    p̃_(i) = min_{j≥i} min(1, m·p_(j)/j).

    Args:
        p_values: shape (m,), no NaN.
    """
    m = p_values.size
    order = np.argsort(p_values, kind="stable")
    stepped = np.minimum(1.0, m * p_values[order] / np.arange(1, m + 1))
    adjusted = np.empty(m)
    adjusted[order] = np.minimum.accumulate(stepped[::-1])[::-1]
    return adjusted
