"""Where the spread of a benchmark's mean comes from: items, sampling or judge. By ANOVA moments.

y_irj is the score of item i, repeat r, judgement j. Its variance is σ²_item + σ²_sampling + σ²_judge. The mean of n
items has the variance σ²_item/n + σ²_sampling/(nR) + σ²_judge/(nRJ). The shares of these three terms show whether more
items, more repeats or more judgements would help. The components come from the mean squares of the balanced nested
design, and a negative moment counts as 0. They are descriptive. No interval is computed from them: intervals use
per-item means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stats.intervals import Floats, all_equal
from stats.reasons import Reason


@dataclass(frozen=True)
class VarianceShares:
    """Variance components on the scale of the score squared, and the share of each in the variance of the mean."""

    items: float
    sampling: float
    judge: float | None
    """None if each answer was judged once. Judging is then part of sampling."""
    share_items: float
    share_sampling: float
    share_judge: float | None


def variance_shares(scores: Floats) -> VarianceShares | Reason:
    """Split the spread of scores into its components.

    Args:
        scores: shape (items, repeats) or (items, repeats, judgements), NaN if unscored. Only items without NaN count,
            because the moments are those of a balanced design.
    """
    cube = scores if scores.ndim == 3 else scores[:, :, None]
    complete = cube[~np.isnan(cube).any(axis=(1, 2))]
    n_items, n_runs, n_judges = complete.shape
    if n_runs < 2:
        return Reason.ONE_RUN
    if n_items < 2:
        return Reason.ONE_ITEM if n_items else Reason.NO_ITEM_IN_ALL_RUNS
    if all_equal(complete.ravel()):
        return Reason.ZERO_VARIANCE
    judge = float(complete.var(axis=2, ddof=1).mean()) if n_judges > 1 else 0.0
    answers = complete.mean(axis=2)  # (items, repeats)
    between_runs = float(answers.var(axis=1, ddof=1).mean())
    between_items = float(answers.mean(axis=1).var(ddof=1))
    sampling = max(0.0, between_runs - judge / n_judges)
    items = max(0.0, between_items - sampling / n_runs - judge / (n_runs * n_judges))
    parts = np.array([items, sampling / n_runs, judge / (n_runs * n_judges)])
    shares = (parts / parts.sum()).tolist()
    judged = n_judges > 1
    return VarianceShares(
        items, sampling, judge if judged else None, shares[0], shares[1], shares[2] if judged else None
    )
