"""The bootstrap: comparison with formulas, coverage, pairing, sources, degenerate data."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stats.bootstrap import DRAWS, effect_size_draws, percentile_interval, resampled_totals
from stats.clusters import ClusteredRatio, clustered_ratio
from stats.intervals import Interval
from stats.paired import cohens_d
from stats.reasons import Reason


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _means(values: np.ndarray, clusters: np.ndarray | None = None, draws: int = DRAWS) -> np.ndarray:
    totals = resampled_totals(np.column_stack([values, np.ones(values.size)]), _rng(), clusters=clusters, draws=draws)
    means: np.ndarray = totals[:, 0] / totals[:, 1]
    return means


def test_the_standard_error_matches_the_formula() -> None:
    values = np.random.default_rng(1).normal(size=400)
    assert _means(values).std() == pytest.approx(values.std() / math.sqrt(400), rel=0.03)


def test_the_standard_error_by_source_matches_the_formula() -> None:
    rng = np.random.default_rng(2)
    sources = np.repeat(np.arange(150), rng.integers(1, 6, size=150))
    values = rng.normal(size=150)[sources] + rng.normal(size=sources.size)
    found = clustered_ratio(values, np.ones(values.size), sources)
    assert isinstance(found, ClusteredRatio)
    assert _means(values, sources).std() == pytest.approx(found.standard_error, rel=0.03)


def test_repeats_stay_with_their_items() -> None:
    # Five repeats per item, and all spread is between repeats. Item means are resampled, so sampling noise counts once.
    scores = np.random.default_rng(3).random((200, 5))
    items = scores.mean(axis=1)
    assert _means(items).std() == pytest.approx(items.std() / math.sqrt(200), rel=0.03)


def test_columns_share_the_resamples() -> None:
    values = np.random.default_rng(4).normal(size=50)
    totals = resampled_totals(np.column_stack([values, values + 1.0, np.ones(50)]), _rng(), draws=500)
    assert totals[:, 1] - totals[:, 0] == pytest.approx(totals[:, 2])
    assert totals[:, 2] == pytest.approx(np.full(500, 50.0))


def test_the_same_generator_gives_the_same_resamples() -> None:
    values = np.arange(20.0)
    assert np.array_equal(_means(values, draws=100), _means(values, draws=100))


def test_percentile_intervals_cover_the_mean() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(600):
        interval = percentile_interval(_means(rng.beta(0.9, 0.3, size=150), draws=1000), 150)
        assert isinstance(interval, Interval)
        covered += interval.low <= 0.75 <= interval.high
    assert 0.93 <= covered / 600 <= 0.97


def test_effect_sizes_of_resamples_match_the_formula() -> None:
    values = np.array([0.0, 1.0, 1.0, 0.0, 1.0, -1.0])
    one = np.array([float(values.size)]), np.array([values.sum()]), np.array([(values**2).sum()])
    assert effect_size_draws(*one)[0] == pytest.approx(cohens_d(values))


def test_the_interval_of_the_effect_size_covers_it() -> None:
    # d = .3 + noise of sd 1: the effect is .3.
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(600):
        values = rng.normal(0.3, 1.0, size=120)
        totals = resampled_totals(np.column_stack([np.ones(120), values, values**2]), _rng(), draws=1000)
        interval = percentile_interval(effect_size_draws(*totals.T), 120)
        assert isinstance(interval, Interval)
        covered += interval.low <= 0.3 <= interval.high
    assert 0.93 <= covered / 600 <= 0.97


def test_few_or_equal_values_have_no_interval() -> None:
    assert percentile_interval(_means(np.arange(9.0), draws=100), 9) is Reason.TOO_FEW_ITEMS
    assert percentile_interval(_means(np.full(30, 2.0), draws=100), 30) is Reason.ZERO_VARIANCE
    assert percentile_interval(np.full(100, np.nan), 30) is Reason.TOO_FEW_ITEMS


def test_the_effect_is_0_without_differences_and_undefined_without_spread() -> None:
    n = np.array([30.0, 30.0, 2.0])
    found = effect_size_draws(n, np.array([0.0, 15.0, 1.0]), np.array([0.0, 7.5, 1.0]))
    assert found[0] == 0.0
    assert np.isnan(found[1:]).all()
