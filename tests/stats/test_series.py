"""Means over chunks in text order: a case by hand, reference values, coverage if neighbours are alike, properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft
from scipy import stats as scipy_stats

from stats.clusters import ClusteredRatio
from stats.intervals import Interval, t_interval
from stats.reasons import Reason
from stats.series import n_cosines, series_ratio


def _mean(values: np.ndarray) -> ClusteredRatio:
    found = series_ratio(values, np.ones(values.size))
    assert isinstance(found, ClusteredRatio)
    return found


def _chunks(correlation: float, n: int, texts: int, rng: np.random.Generator) -> np.ndarray:
    """Return series with mean 0 in which neighbours correlate (AR(1)), shape (texts, n)."""
    values = np.empty((texts, n))
    values[:, 0] = rng.standard_normal(texts)
    for place in range(1, n):
        fresh = rng.standard_normal(texts) * math.sqrt(1 - correlation**2)
        values[:, place] = correlation * values[:, place - 1] + fresh
    return values


def _coverage(texts: np.ndarray) -> float:
    intervals = [_mean(text).interval for text in texts]
    return float(np.mean([isinstance(one, Interval) and one.low <= 0.0 <= one.high for one in intervals]))


def test_a_case_worked_by_hand() -> None:
    # 1, 2, 3, 4: residuals -1.5, -.5, .5, 1.5 and two cosines. Slowest: cos of 22.5, 67.5, 112.5, 157.5 degrees, sum
    # -2(1.5·.923880 + .5·.382683) = -3.154323. Second: cos of 45, 135, 225, 315 degrees, sum 0.
    # Long-run variance 2/4 · (9.949754 + 0)/2 = 2.487439, SE = sqrt(2.487439/4) = .788581, t(2) = 4.302653.
    found = _mean(np.array([1.0, 2.0, 3.0, 4.0]))
    assert n_cosines(4) == 2
    assert found.estimate == 2.5
    assert found.standard_error == pytest.approx(0.788581, abs=1e-6)
    assert isinstance(found.interval, Interval)
    assert found.interval.high == pytest.approx(2.5 + 4.302653 * 0.788581, abs=1e-5)
    assert found.interval.method == "t_series"


def test_the_standard_error_is_that_of_the_cosine_transform() -> None:
    values = np.random.default_rng(1).gamma(2.0, size=60)
    projections = fft.dct(values - values.mean(), type=2, norm="ortho")[1 : n_cosines(60) + 1]
    found = _mean(values)
    assert found.standard_error == pytest.approx(math.sqrt(np.mean(projections**2) / 60))
    assert isinstance(found.interval, Interval)
    half = scipy_stats.t.ppf(0.975, n_cosines(60)) * math.sqrt(np.mean(projections**2) / 60)
    assert found.interval.high - found.estimate == pytest.approx(half)


def test_two_or_three_chunks_have_the_usual_t_interval() -> None:
    # All cosines are used, so nothing of the spread is left out.
    for values in (np.array([1.0, 4.0]), np.array([1.0, 4.0, 2.0])):
        interval, plain = _mean(values).interval, t_interval(values)
        assert isinstance(interval, Interval)
        assert (interval.low, interval.high) == pytest.approx((plain.low, plain.high))


def test_weights_are_numbers_of_tokens() -> None:
    # Every chunk has a mean of 2 per token but one, so the ratio is (2·100 + 2·100 + 5·200)/400.
    found = series_ratio(np.array([200.0, 200.0, 1000.0]), np.array([100.0, 100.0, 200.0]))
    assert isinstance(found, ClusteredRatio)
    assert found.estimate == 3.5
    equal = series_ratio(np.array([200.0, 400.0]), np.array([100.0, 200.0]))
    assert isinstance(equal, ClusteredRatio)
    assert equal.interval is Reason.ZERO_VARIANCE


def test_undefined_intervals_have_reasons() -> None:
    assert series_ratio(np.array([]), np.array([])) is Reason.NO_SCORED_ITEMS
    assert _mean(np.array([3.0])).interval is Reason.ONE_ITEM
    assert _mean(np.full(20, 3.1)).interval is Reason.ZERO_VARIANCE


@pytest.mark.parametrize(("correlation", "n", "plain"), [(0.0, 19, 0.95), (0.3, 19, 0.854), (0.3, 100, 0.853)])
def test_intervals_cover_although_neighbours_are_alike(correlation: float, n: int, plain: float) -> None:
    texts = _chunks(correlation, n, 4000, np.random.default_rng(2))
    half = scipy_stats.t.ppf(0.975, n - 1) * texts.std(axis=1, ddof=1) / math.sqrt(n)
    assert np.mean(np.abs(texts.mean(axis=1)) <= half) == pytest.approx(plain, abs=0.02)  # chunks as independent
    assert 0.92 <= _coverage(texts) <= 0.96


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.2, 0.3])
@pytest.mark.parametrize("n", [19, 40, 100, 300, 600])
def test_intervals_cover_from_19_to_600_chunks(correlation: float, n: int) -> None:
    assert 0.925 <= _coverage(_chunks(correlation, n, 10_000, np.random.default_rng(3))) <= 0.957


@pytest.mark.slow
@pytest.mark.parametrize(("n", "at_least"), [(19, 0.905), (100, 0.92), (600, 0.935)])
def test_intervals_cover_if_the_similarity_falls_off_slowly(n: int, at_least: float) -> None:
    # A third of the variance is shared by a whole article (.7 from chunk to chunk), as on WikiText-2.
    rng = np.random.default_rng(4)
    texts = math.sqrt(0.35) * _chunks(0.7, n, 8000, rng) + math.sqrt(0.65) * rng.standard_normal((8000, n))
    assert at_least <= _coverage(texts) <= 0.957


@given(st.lists(st.floats(-5, 5).map(lambda value: round(value, 3)), min_size=2, max_size=60))
def test_reversed_text_and_other_units_change_nothing(values: list[float]) -> None:
    forward, backward = _mean(np.array(values)), _mean(np.array(values[::-1]))
    scaled = _mean(1 + 10 * np.array(values))
    if isinstance(forward.standard_error, Reason):
        return
    assert forward.standard_error > 0
    assert backward.standard_error == pytest.approx(forward.standard_error)
    assert scaled.standard_error == pytest.approx(10 * forward.standard_error)
