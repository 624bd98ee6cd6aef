"""Intervals of one arm: cases by hand, reference values, coverage, properties, degenerate data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from stats.intervals import (
    Interval,
    all_equal,
    fixed_benchmark_interval,
    mean_interval,
    t_interval,
    t_quantile,
    wilson,
)
from stats.reasons import Reason

shares = st.integers(1, 6).flatmap(lambda runs: st.integers(0, runs).map(lambda right: right / runs))


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(95, 100, 0.88825, 0.97846), (0, 20, 0.0, 0.16113), (1200, 1319, 0.89311, 0.92407)],
)
def test_wilson_gives_the_reference_values(right: int, n: int, low: float, high: float) -> None:
    interval = wilson(right / n, n)
    assert interval.low == pytest.approx(low, abs=6e-6)
    assert interval.high == pytest.approx(high, abs=6e-6)


def test_wilson_agrees_with_scipy() -> None:
    ours = wilson(33 / 40, 40)
    theirs = scipy_stats.binomtest(33, 40).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


def test_wilson_ends_exactly_at_0_or_1_if_all_answers_are_wrong_or_right() -> None:
    assert wilson(0.0, 20).low == 0.0
    assert wilson(1.0, 20).high == 1.0


def test_t_quantiles_of_few_runs() -> None:
    assert t_quantile(4) == pytest.approx(2.776, abs=5e-4)
    assert t_quantile(2) == pytest.approx(4.303, abs=5e-4)


def test_the_t_interval_of_a_case_worked_by_hand() -> None:
    # 2, 4, 6: mean 4, sd 2, standard error 2/sqrt(3) = 1.154701, t(2) = 4.302653, half-width 4.968275.
    interval = t_interval(np.array([2.0, 4.0, 6.0]))
    assert (interval.low, interval.high) == pytest.approx((4 - 4.968275, 4 + 4.968275), abs=1e-5)


def test_proportions_take_wilson_below_200_items_and_t_from_200_on() -> None:
    means = np.tile([0.0, 1.0], 100)
    assert mean_interval(means[:-1], proportion=True).method == "wilson"  # type: ignore[union-attr]
    assert mean_interval(means, proportion=True).method == "t"  # type: ignore[union-attr]
    assert mean_interval(np.ones(500), proportion=True).method == "wilson"  # type: ignore[union-attr]


def test_proportions_near_0_and_1_take_wilson_at_any_number_of_items() -> None:
    # 49 of 10,000 items are not wrong under all of five seeds: Wilson. 50: t. The same near 1.
    for share in (0.2, 1.0):
        few, enough = (np.repeat([share, 0.0], [n, 10_000 - n]) for n in (49, 50))
        for near, apart in ((few, enough), (1 - few, 1 - enough)):
            assert mean_interval(near, proportion=True) == wilson(float(near.mean()), 10_000)
            assert mean_interval(apart, proportion=True).method == "t"  # type: ignore[union-attr]


def test_many_small_shares_do_not_hide_that_few_large_ones_decide() -> None:
    # Sums 2 + 3 and squares 40·.0025 + 3: 25/3.1 = 8.1 shares, although 43 items lie above 0; with 80 small ones 15.3.
    for small in (40, 80):
        means = np.repeat([0.05, 1.0, 0.0], [small, 3, 2000])
        assert mean_interval(means, proportion=True).method == "wilson"  # type: ignore[union-attr]


@pytest.mark.parametrize("n", [50, 200, 500, 1319, 5000])
def test_one_run_covers_near_0_at_any_number_of_items(n: int) -> None:
    # Exact, for 2 to 100 expected right answers. The t interval alone covers 87% to 93% up to 10 of them.
    counts = np.arange(n + 1)
    values = [np.repeat([1.0, 0.0], [count, n - count]) for count in counts[:300]]
    intervals = [mean_interval(one, proportion=True) for one in values]
    for expected in (2, 5, 10, 25, 60, 100):
        p = expected / n
        if p < 0.5:
            holds = [isinstance(one, Interval) and one.low <= p <= one.high for one in intervals]
            chances = scipy_stats.binom.pmf(counts[: len(intervals)], n, p)
            assert 0.925 <= chances[holds].sum() <= 0.985


@pytest.mark.parametrize("alike", [0.05, 0.5, 0.95])
@pytest.mark.parametrize(("n", "p"), [(200, 0.01), (500, 0.98), (1319, 0.01), (1319, 0.95), (5000, 0.002)])
def test_five_runs_cover_near_0_and_1(n: int, p: float, alike: float) -> None:
    # `alike`: correlation of two answers to the same question.
    rng = np.random.default_rng(16)
    scale = (1 - alike) / alike
    chances = rng.beta(p * scale, (1 - p) * scale, size=(1500, n))
    intervals = [mean_interval(row, proportion=True) for row in rng.binomial(5, chances) / 5]
    assert np.mean([isinstance(one, Interval) and one.low <= p <= one.high for one in intervals]) >= 0.925


def test_wilson_counts_items_not_repeats() -> None:
    # 10 items with 5 equal repeats each: as certain as ten questions allow, not fifty.
    assert mean_interval(np.full(10, 0.4), proportion=True) == wilson(0.4, 10)


def test_too_little_data_is_not_certain() -> None:
    for few in (np.array([]), np.array([1.0])):
        assert mean_interval(few, proportion=True) == Interval(0.0, 1.0, "score_range")
    assert mean_interval(np.array([]), proportion=False) is Reason.NO_SCORED_ITEMS
    assert mean_interval(np.array([2.5]), proportion=False) is Reason.ONE_ITEM
    assert mean_interval(np.full(9, 2.5), proportion=False) is Reason.ZERO_VARIANCE


@given(st.lists(shares, max_size=300), st.randoms(use_true_random=False))
def test_an_interval_contains_its_mean_stays_on_the_scale_and_ignores_the_order(means: list[float], order) -> None:  # type: ignore[no-untyped-def]
    interval = mean_interval(np.array(means), proportion=True)
    assert isinstance(interval, Interval)
    assert 0.0 <= interval.low < interval.high <= 1.0
    if means:
        assert interval.low - 1e-12 <= np.mean(means) <= interval.high + 1e-12
    order.shuffle(means)
    again = mean_interval(np.array(means), proportion=True)
    assert (again.low, again.high) == pytest.approx((interval.low, interval.high))  # type: ignore[union-attr]


@given(st.floats(0, 1), st.integers(1, 5000))
def test_wilson_is_symmetric_in_right_and_wrong_and_narrows_with_items(mean: float, n: int) -> None:
    interval, mirrored, more = wilson(mean, n), wilson(1 - mean, n), wilson(mean, n + 1)
    assert (interval.low, interval.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-9)
    assert more.high - more.low <= interval.high - interval.low + 1e-12


def test_t_over_item_means_covers_the_accuracy_over_all_questions() -> None:
    # The probability of a right answer is drawn anew for each item: p ~ Beta(.9, .1), mean .9; 1319 items, 5 repeats.
    rng = np.random.default_rng(1)
    means = rng.binomial(5, rng.beta(0.9, 0.1, size=(1500, 1319))) / 5
    half = t_quantile(1318) * means.std(axis=1, ddof=1) / np.sqrt(1319)
    first = mean_interval(means[0], proportion=True)
    assert isinstance(first, Interval)  # The vectorised formula equals the function.
    assert first.high - first.low == pytest.approx(2 * half[0])
    assert 0.93 <= np.mean(np.abs(means.mean(axis=1) - 0.9) <= half) <= 0.97


def test_below_200_items_wilson_covers_the_accuracy_over_all_questions() -> None:
    # 100 items, p ~ Beta(.8, .2), 5 repeats: t over item means covers 94.7%, Wilson on (mean, items) more.
    rng = np.random.default_rng(13)
    means = rng.binomial(5, rng.beta(0.8, 0.2, size=(4000, 100))) / 5
    half = t_quantile(99) * means.std(axis=1, ddof=1) / 10
    assert np.mean(np.abs(means.mean(axis=1) - 0.8) <= half) == pytest.approx(0.947, abs=0.01)
    intervals = [mean_interval(row, proportion=True) for row in means]
    assert np.mean([isinstance(i, Interval) and i.low <= 0.8 <= i.high for i in intervals]) >= 0.93


@pytest.mark.parametrize("n", [40, 100, 199])
@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.8, 0.93])
def test_wilson_covers_about_95_percent(n: int, p: float) -> None:
    # Exact coverage: the sum of the probabilities of all counts whose interval contains p.
    counts = np.arange(n + 1)
    holds = [interval.low <= p <= interval.high for interval in (wilson(count / n, n) for count in counts)]
    assert 0.925 <= scipy_stats.binom.pmf(counts, n, p)[holds].sum() <= 0.985


def test_the_fixed_benchmark_interval_of_a_case_worked_by_hand() -> None:
    # Items (0, 1) and (1, 1): variances .5 and 0, SE = sqrt(.5/2 + 0)/2 = .25, df 2, mean .75.
    interval = fixed_benchmark_interval(np.array([0.5, 1.0]), np.array([0.5, 0.0]), np.array([2, 2]), proportion=False)
    assert isinstance(interval, Interval)
    assert (interval.low, interval.high) == pytest.approx((0.75 - 4.302653 * 0.25, 0.75 + 4.302653 * 0.25), abs=1e-6)


def test_the_fixed_benchmark_interval_covers_the_mean_of_exactly_these_items() -> None:
    rng = np.random.default_rng(2)
    chances = rng.beta(0.8, 0.2, size=100)
    covered = 0
    for _ in range(1000):
        scores = (rng.random((100, 5)) < chances[:, None]).astype(float)
        interval = fixed_benchmark_interval(
            scores.mean(axis=1), scores.var(axis=1, ddof=1), np.full(100, 5), proportion=True
        )
        assert isinstance(interval, Interval)
        covered += interval.low <= chances.mean() <= interval.high
    assert 0.93 <= covered / 1000 <= 0.97


def test_the_fixed_benchmark_interval_needs_repeats_that_differ() -> None:
    one = fixed_benchmark_interval(np.array([0.5]), np.array([np.nan]), np.array([1]), proportion=True)
    none = fixed_benchmark_interval(np.array([]), np.array([]), np.array([], dtype=int), proportion=True)
    same = fixed_benchmark_interval(np.ones(4), np.zeros(4), np.full(4, 3), proportion=True)
    assert (one, none, same) == (Reason.ONE_RUN, Reason.NO_SCORED_ITEMS, Reason.ZERO_VARIANCE)


def test_an_item_with_one_repeat_takes_the_variance_of_the_others() -> None:
    interval = fixed_benchmark_interval(
        np.array([0.5, 0.5, 1.0]), np.array([0.5, 0.5, np.nan]), np.array([2, 2, 1]), proportion=False
    )
    # SE = sqrt(.25 + .25 + .5)/3 = 1/3, df 2.
    assert isinstance(interval, Interval)
    assert interval.high - interval.low == pytest.approx(2 * 4.302653 / 3, abs=1e-5)


def test_values_without_spread_are_equal_and_so_are_none_at_all() -> None:
    assert all_equal(np.array([])) and all_equal(np.array([0.1 + 0.2, 0.3]))
    assert not all_equal(np.array([0.3, 0.3001]))
