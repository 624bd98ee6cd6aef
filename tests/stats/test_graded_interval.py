"""Intervals of mean scores on a scale such as 1 to 5."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from stats.intervals import Interval, graded_interval, scaled_mean_interval, t_interval, wilson

ENDS = (1.0, 5.0)


def test_a_case_worked_by_hand() -> None:
    # Shares 0.25, 0.5, 0.75 with mean 0.5: their squared residuals sum to 20 * 0.0625 = 1.25, and a share of 0.5 has
    # variance 0.25. D = (1.25 + 4 * 0.25) / (43 * 0.25) = 0.209302, n / D = 191.111, t(39) = 2.022691.
    # Half width 2.022691 * sqrt(0.25 / 191.111 + 2.022691**2 / (4 * 191.111**2)) / (1 + 2.022691**2 / 191.111) = 0.0724
    scores = np.repeat([2.0, 3.0, 4.0], [10, 20, 10])
    found = scaled_mean_interval(scores, ENDS)
    assert isinstance(found, Interval) and found.method == "wilson_effective"
    assert (found.low, found.high) == pytest.approx((2.7104, 3.2896), abs=1e-4)
    by_t = t_interval(scores)
    assert by_t.high - by_t.low < found.high - found.low < 4 * (wilson(0.5, 40).high - wilson(0.5, 40).low)


def test_right_and_wrong_on_another_scale_take_nearly_the_interval_of_a_proportion() -> None:
    shares = np.repeat([0.0, 1.0], [30, 70])
    found, plain = graded_interval(shares), wilson(0.7, 100)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.003)


def test_where_few_scores_lie_apart_from_an_end_it_is_that_of_a_proportion() -> None:
    few = np.repeat([5.0, 4.0, 1.0], [94, 4, 2])
    found = scaled_mean_interval(few, ENDS)
    assert isinstance(found, Interval) and found.method == "wilson"
    equal = scaled_mean_interval(np.full(50, 4.0), ENDS)
    assert isinstance(equal, Interval) and equal.method == "wilson" and equal.low < 4.0 < equal.high


@pytest.mark.parametrize(("scale", "method"), [((0.0, 1.0), "wilson"), ((0.0, 100.0), "wilson_effective")])
def test_scores_from_0_to_1_keep_the_interval_of_a_proportion(scale: tuple[float, float], method: str) -> None:
    found = scaled_mean_interval(np.tile([0.2, 0.4, 0.6, 0.8], 20) * scale[1], scale)
    assert isinstance(found, Interval) and found.method == method


def test_many_items_take_student_s_t() -> None:
    found = scaled_mean_interval(np.tile([2.0, 3.0, 4.0, 5.0], 50), ENDS)
    assert isinstance(found, Interval) and found.method == "t"


@given(st.lists(st.integers(1, 5), min_size=2, max_size=199))
def test_it_lies_on_the_scale_around_the_mean_and_is_symmetric(scores: list[int]) -> None:
    values = np.array(scores, dtype=float)
    found, mirrored = scaled_mean_interval(values, ENDS), scaled_mean_interval(6.0 - values, ENDS)
    assert isinstance(found, Interval) and isinstance(mirrored, Interval)
    assert 1.0 <= found.low <= values.mean() <= found.high <= 5.0 and found.low < found.high
    assert (6.0 - mirrored.high, 6.0 - mirrored.low) == pytest.approx((found.low, found.high))


@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize(
    "chances",
    [
        pytest.param([0.2, 0.2, 0.2, 0.2, 0.2], id="even"),
        pytest.param([0.05, 0.15, 0.4, 0.3, 0.1], id="middle"),
        pytest.param([0.02, 0.03, 0.1, 0.25, 0.6], id="high"),
        pytest.param([0.9, 0.06, 0.02, 0.01, 0.01], id="nearly all lowest"),
        pytest.param([0.02, 0.0, 0.0, 0.08, 0.9], id="nearly all highest, rarely lowest"),
        pytest.param([0.01, 0.0, 0.0, 0.09, 0.9], id="a rare lowest score"),
        pytest.param([0.5, 0.0, 0.0, 0.0, 0.5], id="two heaps"),
    ],
)
def test_it_covers_the_true_mean(chances: list[float], n: int) -> None:
    rng, n_draws = np.random.default_rng([n, len(chances)]), 2000
    truth, hits = float(np.dot(chances, np.arange(5))) / 4, 0
    for shares in rng.choice(5, size=(n_draws, n), p=chances) / 4:
        found = graded_interval(shares)
        hits += found.low - 1e-12 <= truth <= found.high + 1e-12
    # 94% hold, less what 2,000 draws may miss by chance.
    assert hits >= scipy_stats.binom.ppf(0.001, n_draws, 0.94)
