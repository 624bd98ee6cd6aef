"""Spread between items, and spread between runs.

`sigma_items` describes the sample of questions: it is the standard deviation of the per-item means. `sigma_runs`
describes sampling noise alone: it is the standard deviation of the run means, with the questions held fixed. The plain
error bar 1.96·sigma_runs/√runs is known from earlier tools. It says nothing about other questions, and with few runs it
covers less than it claims (87.8% at five runs, 81.1% at three).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stats.reasons import Reason

PLAIN_Z = 1.96
"""Rounded as in the usual formula of the plain error bar."""


@dataclass(frozen=True)
class RunSpread:
    """Sampling noise between runs. Both numbers are on the scale of the score."""

    sigma_runs: float
    """Standard deviation of the run means, n-1 form."""
    error_bar_runs: float
    """1.96·sigma_runs/√runs."""
    n_runs: int
    n_items: int
    """Number of items that were scored in every run. Run means are comparable only over these."""


def sigma_items(item_means: NDArray[np.float64]) -> float | Reason:
    """Return the standard deviation (n-1 form) of per-item means, shape (n,)."""
    if item_means.size < 2:
        return Reason.ONE_ITEM if item_means.size else Reason.NO_SCORED_ITEMS
    return float(np.std(item_means, ddof=1))


def run_spread(scores: NDArray[np.float64]) -> RunSpread | Reason:
    """Return the standard deviation between run means, and the plain error bar.

    Run means are taken over the items that were scored in every run. Otherwise a run in which hard questions stayed
    unscored would look better than the others. Runs without any scored record are left out.

    Args:
        scores: one row per item, one column per run, shape (items, runs). NaN if a record is unscored.
    """
    runs = scores[:, ~np.isnan(scores).all(axis=0)]
    if runs.shape[1] == 0:
        return Reason.NO_SCORED_ITEMS
    if runs.shape[1] == 1:
        return Reason.ONE_RUN
    complete = runs[~np.isnan(runs).any(axis=1)]
    if complete.shape[0] == 0:
        return Reason.NO_ITEM_IN_ALL_RUNS
    sigma = float(np.std(complete.mean(axis=0), ddof=1))
    n_runs = runs.shape[1]
    return RunSpread(sigma, PLAIN_Z * sigma / math.sqrt(n_runs), n_runs, complete.shape[0])
