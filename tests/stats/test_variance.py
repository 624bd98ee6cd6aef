"""Variance shares: simulated designs with known components, cases by hand, degenerate data."""

from __future__ import annotations

import numpy as np
import pytest

from stats.reasons import Reason
from stats.variance import VarianceShares, variance_shares


def _shares(scores: np.ndarray) -> VarianceShares:
    found = variance_shares(scores)
    assert isinstance(found, VarianceShares)
    return found


def test_a_case_worked_by_hand() -> None:
    # Items (0, 2) and (4, 6): within 2, between means 1 and 5: 8. Sampling 2, items 8 - 2/2 = 7; shares 7/8 and 1/8.
    found = _shares(np.array([[0.0, 2.0], [4.0, 6.0]]))
    assert (found.items, found.sampling, found.judge) == (7.0, 2.0, None)
    assert (found.share_items, found.share_sampling, found.share_judge) == (0.875, 0.125, None)


def test_the_components_of_a_large_design_are_found() -> None:
    rng = np.random.default_rng(1)
    item = rng.normal(0, 2.0, size=(3000, 1, 1))
    sampling = rng.normal(0, 1.0, size=(3000, 5, 1))
    judge = rng.normal(0, 0.5, size=(3000, 5, 3))
    found = _shares(3.0 + item + sampling + judge)
    assert (found.items, found.sampling, found.judge) == pytest.approx((4.0, 1.0, 0.25), rel=0.1)
    assert found.share_items + found.share_sampling + (found.share_judge or 0.0) == pytest.approx(1.0)
    # Variance of the mean: 4 + 1/5 + .25/15, all divided by the number of items.
    assert found.share_items == pytest.approx(4.0 / (4.0 + 0.2 + 0.25 / 15), rel=0.02)


def test_with_pure_sampling_noise_the_items_have_no_share() -> None:
    scores = np.random.default_rng(2).normal(size=(4000, 5))
    assert _shares(scores).share_items < 0.15


def test_items_with_missing_scores_are_left_out() -> None:
    scores = np.array([[0.0, 2.0], [4.0, 6.0], [9.0, np.nan]])
    assert _shares(scores) == _shares(scores[:2])


def test_scores_that_cannot_be_split_have_a_reason() -> None:
    assert variance_shares(np.zeros((5, 1))) is Reason.ONE_RUN
    assert variance_shares(np.zeros((1, 3))) is Reason.ONE_ITEM
    assert variance_shares(np.zeros((5, 3))) is Reason.ZERO_VARIANCE
    assert variance_shares(np.full((5, 3), np.nan)) is Reason.NO_ITEM_IN_ALL_RUNS
    assert variance_shares(np.empty((0, 0))) is Reason.ONE_RUN
