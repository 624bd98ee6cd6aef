"""P values adjusted for how many there are.

Holm's for decisions (no false alarm at all with 95%), Benjamini and Hochberg's for exploration (at most 5% of what
is flagged is false, on average). Which p values form a family is for the caller to say.
"""

from __future__ import annotations

import numpy as np

from stats.intervals import Floats


def holm(p_values: Floats) -> Floats:
    """Holm's step-down adjustment: p̃_(i) = max_{j≤i} min(1, (m-j+1)·p_(j)) (Holm 1979).

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
    """The step-up adjustment for the false discovery rate: p̃_(i) = min_{j≥i} min(1, m·p_(j)/j) (1995).

    Args:
        p_values: shape (m,), no NaN.
    """
    m = p_values.size
    order = np.argsort(p_values, kind="stable")
    stepped = np.minimum(1.0, m * p_values[order] / np.arange(1, m + 1))
    adjusted = np.empty(m)
    adjusted[order] = np.minimum.accumulate(stepped[::-1])[::-1]
    return adjusted
