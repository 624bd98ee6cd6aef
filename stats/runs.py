"""Spread between items, and between runs.

`sigma_items` describes the sample of questions: the standard deviation of the per-item means. `sigma_runs`
describes sampling noise alone: the standard deviation of the run means, the questions held fixed. The plain
error bar 1.96·sigma_runs/√runs is what users of earlier tools know; it says nothing about other questions
and, at few runs, covers less than it seems to (87.8% at five, 81.1% at three).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stats.reasons import Reason

PLAIN_Z = 1.96
"""As users of the plain error bar write it."""


@dataclass(frozen=True)
class RunSpread:
    """Sampling noise seen between runs. Both numbers are on the scale of the score."""

    sigma_runs: float
    """Standard deviation of the run means, n-1 form."""
    error_bar_runs: float
    """1.96·sigma_runs/√runs."""
    n_runs: int
    n_items: int
    """Items scored in every run: only over these are run means comparable."""


def sigma_items(item_means: NDArray[np.float64]) -> float | Reason:
    """Standard deviation (n-1 form) of per-item means, shape (n,)."""
    if item_means.size < 2:
        return Reason.ONE_ITEM if item_means.size else Reason.NO_SCORED_ITEMS
    return float(np.std(item_means, ddof=1))


def run_spread(scores: NDArray[np.float64]) -> RunSpread | Reason:
    """Standard deviation between run means, and the plain error bar.

    Run means are taken over the items that were scored in every run; else a run whose hard questions failed
    to be scored would look better than the others. Runs in which nothing was scored are no runs.

    Args:
        scores: one row an item, one column a run, shape (items, runs); NaN where a record is unscored.
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
