"""Spread between items and runs: cases by hand, missing data, and the coverage of the plain error bar."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from stats.reasons import Reason
from stats.runs import RunSpread, run_spread, sigma_items

NAN = float("nan")


def test_a_case_worked_by_hand() -> None:
    # Run means 1/2, 1, 3/4: sd (n-1) = 1/4, bar 1.96 * .25 / sqrt(3) = .282902.
    scores = np.array([[0, 1, 1], [1, 1, 0], [0, 1, 1], [1, 1, 1]], dtype=float)
    spread = run_spread(scores)
    assert isinstance(spread, RunSpread)
    assert spread.sigma_runs == pytest.approx(0.25)
    assert spread.error_bar_runs == pytest.approx(0.282902, abs=1e-6)
    assert (spread.n_runs, spread.n_items) == (3, 4)


def test_run_means_use_only_items_scored_in_all_runs() -> None:
    # The second item is hard, and unscored in run 2. Without it both runs are equal.
    spread = run_spread(np.array([[1.0, 1.0], [0.0, NAN]]))
    assert isinstance(spread, RunSpread)
    assert (spread.sigma_runs, spread.n_items) == (0.0, 1)


def test_a_run_without_scores_is_left_out() -> None:
    assert run_spread(np.array([[1.0, NAN], [0.0, NAN]])) is Reason.ONE_RUN
    assert run_spread(np.array([[1.0, NAN], [NAN, 1.0]])) is Reason.NO_ITEM_IN_ALL_RUNS
    assert run_spread(np.full((3, 2), NAN)) is Reason.NO_SCORED_ITEMS
    assert run_spread(np.empty((0, 0))) is Reason.NO_SCORED_ITEMS


def test_sigma_items() -> None:
    assert sigma_items(np.array([2.0, 4.0, 6.0])) == pytest.approx(2.0)
    assert sigma_items(np.array([1.0])) is Reason.ONE_ITEM
    assert sigma_items(np.array([])) is Reason.NO_SCORED_ITEMS


@pytest.mark.parametrize(("runs", "covered"), [(5, 0.878), (3, 0.811)])
def test_the_plain_bar_covers_less_than_95_percent_of_sampling_noise(runs: int, covered: float) -> None:
    assert 2 * scipy_stats.t.cdf(1.96, runs - 1) - 1 == pytest.approx(covered, abs=5e-4)
    means = np.random.default_rng(11).normal(0.5, 0.1, size=(4000, 1, runs))
    spreads = [run_spread(scores) for scores in means]
    bars = np.array([spread.error_bar_runs for spread in spreads if isinstance(spread, RunSpread)])
    assert np.mean(np.abs(means.mean(axis=(1, 2)) - 0.5) <= bars) == pytest.approx(covered, abs=0.02)


@given(arrays(float, st.tuples(st.integers(1, 8), st.integers(2, 5)), elements=st.floats(0, 1)))
def test_the_order_of_runs_and_items_does_not_matter(scores: np.ndarray) -> None:
    one, other = run_spread(scores), run_spread(scores[::-1, ::-1])
    assert isinstance(one, RunSpread)
    assert isinstance(other, RunSpread)
    assert 0.0 <= one.sigma_runs <= 1.0
    assert one.sigma_runs == pytest.approx(other.sigma_runs, abs=1e-12)
