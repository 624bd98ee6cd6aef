"""Standard errors by source: equal to the usual ones without sources, cases by hand, coverage, bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats.clusters import ClusteredRatio, cluster_totals, clustered_mean_interval, clustered_ratio
from stats.intervals import Interval, t_quantile
from stats.paired import difference_interval
from stats.reasons import Reason

samples = st.lists(st.tuples(st.floats(-5, 5).map(lambda x: round(x, 3)), st.integers(0, 6)), min_size=2, max_size=60)


def _mean(values: np.ndarray, clusters: np.ndarray | None) -> ClusteredRatio:
    found = clustered_ratio(values, np.ones(values.size), clusters)
    assert isinstance(found, ClusteredRatio)
    return found


def test_clusters_of_one_item_give_the_naive_standard_error() -> None:
    values = np.random.default_rng(1).normal(size=40)
    found = _mean(values, np.arange(40))
    assert found.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(40))
    assert isinstance(found.interval, Interval)
    plain = difference_interval(values, proportion=False)
    assert isinstance(plain, Interval)
    assert (found.interval.low, found.interval.high) == pytest.approx((plain.low, plain.high))


def test_a_case_worked_by_hand() -> None:
    # 1, 1 | 0, 0 | 1, 0: mean .5, sums of residuals 1, -1, 0: SE = sqrt(3/2 · 2)/6 = .288675; t(2) = 4.302653.
    found = _mean(np.array([1.0, 1, 0, 0, 1, 0]), np.array(["a", "a", "b", "b", "c", "c"]))
    assert found.standard_error == pytest.approx(0.288675, abs=1e-6)
    assert isinstance(found.interval, Interval)
    assert found.interval.high == pytest.approx(0.5 + 4.302653 * 0.288675, abs=1e-5)
    # Naive: sd = sqrt(.3), SE = .223607.
    assert np.std([1, 1, 0, 0, 1, 0], ddof=1) / math.sqrt(6) == pytest.approx(0.223607, abs=1e-6)


def test_one_source_has_no_interval() -> None:
    found = _mean(np.array([0.2, 0.8]), np.array([7, 7]))
    assert (found.standard_error, found.interval) == (Reason.ONE_CLUSTER, Reason.ONE_CLUSTER)
    assert clustered_mean_interval(np.array([1.0, 0.0]), np.array([7, 7]), proportion=True) == Interval(
        0.0, 1.0, "score_range"
    )
    assert difference_interval(np.full(12, 0.5), proportion=False, clusters=np.zeros(12)) is Reason.ONE_CLUSTER


def test_equal_sources_still_have_a_width() -> None:
    sources = np.repeat(np.arange(5), 4)
    interval = clustered_mean_interval(np.ones(20), sources, proportion=True)
    assert isinstance(interval, Interval)
    assert (interval.method, interval.high) == ("wilson_clustered", 1.0)
    assert interval.low < 0.6  # As certain as five sources allow, not twenty items.
    assert clustered_mean_interval(np.full(20, 3.5), sources, proportion=False) is Reason.ZERO_VARIANCE


def test_weights_make_a_ratio_of_totals() -> None:
    # Two chunks of 100 and 300 tokens with 200 and 900 nats: 1100/400.
    found = clustered_ratio(np.array([200.0, 900.0]), np.array([100.0, 300.0]))
    assert isinstance(found, ClusteredRatio)
    assert found.estimate == pytest.approx(2.75)


@given(samples)
def test_renaming_and_reordering_sources_changes_nothing(sample: list[tuple[float, int]]) -> None:
    values, sources = np.array([one for one, _ in sample]), np.array([source for _, source in sample])
    order = np.random.default_rng(2).permutation(values.size)
    one, other = _mean(values, sources), _mean(values[order], 100 - sources[order])
    assert other.estimate == pytest.approx(one.estimate)
    assert other.n_clusters == one.n_clusters == np.unique(sources).size
    assert isinstance(one.standard_error, Reason) or other.standard_error == pytest.approx(one.standard_error)


@given(samples)
def test_a_proportion_by_source_stays_on_the_scale(sample: list[tuple[float, int]]) -> None:
    values, sources = np.array([float(one > 0) for one, _ in sample]), np.array([source for _, source in sample])
    interval = clustered_mean_interval(values, sources, proportion=True)
    assert isinstance(interval, Interval)
    assert 0.0 <= interval.low < interval.high <= 1.0
    assert interval.low - 1e-9 <= values.mean() <= interval.high + 1e-9


def test_cluster_totals_sum_each_column() -> None:
    columns = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    assert cluster_totals(columns, np.array([1, 0, 1])).tolist() == [[2.0, 20.0], [5.0, 50.0]]
    assert cluster_totals(columns, None) is columns


def test_intervals_by_source_cover_and_naive_ones_do_not() -> None:
    # 120 articles with 1 to 12 questions each. All questions of an article share its effect.
    rng = np.random.default_rng(4)
    sizes = np.tile(np.arange(1, 13), 10)
    sources = np.repeat(np.arange(120), sizes)
    covered, naive = 0, 0
    for _ in range(1000):
        values = rng.normal(size=120)[sources] + rng.normal(size=sources.size)
        found = _mean(values, sources)
        assert isinstance(found.interval, Interval)
        covered += found.interval.low <= 0 <= found.interval.high
        half = t_quantile(values.size - 1) * values.std(ddof=1) / math.sqrt(values.size)
        naive += abs(values.mean()) <= half
    assert 0.93 <= covered / 1000 <= 0.97
    assert naive / 1000 < 0.75


def test_shares_by_source_near_1_take_wilson_at_any_number_of_items() -> None:
    # 100 articles with 10 questions each. The probability of a right answer is Beta(9.8, .2) per article: mean .98.
    rng = np.random.default_rng(6)
    sources = np.repeat(np.arange(100), 10)
    covered, plain = 0, 0
    for chances in rng.beta(9.8, 0.2, size=(1000, 100)):
        values = (rng.random(1000) < chances[sources]).astype(float)
        interval = clustered_mean_interval(values, sources, proportion=True)
        t = _mean(values, sources).interval
        assert isinstance(interval, Interval)
        assert isinstance(t, Interval)
        assert interval.method == "wilson_clustered"
        covered += interval.low <= 0.98 <= interval.high
        plain += t.low <= 0.98 <= t.high
    assert covered / 1000 >= 0.93 > plain / 1000


def test_shares_by_source_cover_at_small_n() -> None:
    # 30 articles with 4 questions each. The probability of a right answer is Beta(8, 2) per article.
    rng = np.random.default_rng(5)
    sources = np.repeat(np.arange(30), 4)
    covered = 0
    for chances in rng.beta(8, 2, size=(1000, 30)):
        interval = clustered_mean_interval((rng.random(120) < chances[sources]).astype(float), sources, proportion=True)
        assert isinstance(interval, Interval)
        covered += interval.low <= 0.8 <= interval.high
    assert 0.93 <= covered / 1000 <= 0.98


def test_one_source_says_nothing_about_a_share_and_many_sources_give_their_own_interval() -> None:
    one = clustered_mean_interval(np.array([0.0, 1.0]), np.array(["a", "a"]), proportion=True)
    assert one == Interval(0.0, 1.0, "score_range")
    # 200 sources of 5 items each, half of them right: SE = sqrt(.25/199), so ±t(199)·.0354 = ±.0699.
    means, sources = np.repeat([0.0, 1.0], 500), np.repeat(np.arange(200), 5)
    found = clustered_mean_interval(means, sources, proportion=True)
    assert isinstance(found, Interval)
    assert (found.low, found.high) == pytest.approx((0.4301, 0.5699), abs=1e-4)
