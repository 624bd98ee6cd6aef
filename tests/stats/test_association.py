"""Rank correlations: a case by hand, comparison with scipy, and coverage of the intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from stats.association import Association, rank_correlation, shift_against_length
from stats.reasons import Reason


def found(first: list[float] | np.ndarray, second: list[float] | np.ndarray) -> Association:
    value = rank_correlation(np.asarray(first, dtype=float), np.asarray(second, dtype=float))
    assert isinstance(value, Association)
    return value


def test_a_case_worked_by_hand() -> None:
    """Ten items, two neighbours swapped: sum d² = 2, rho = 1 - 6*2/(10*99) = 0.987879.

    atanh rho = 2.549933; half = 1.959964 sqrt((1 + 0.975904/2) / 7) = 0.903636; tanh(1.646297) = 0.928348,
    tanh(3.453569) = 0.998001.
    """
    one = found(range(10), [1, 0, *range(2, 10)])  # type: ignore[arg-type]
    assert one.rho == pytest.approx(0.987879, abs=1e-6)
    assert one.interval.low == pytest.approx(0.928348, abs=1e-6)
    assert one.interval.high == pytest.approx(0.998001, abs=1e-6)


def test_ties_are_treated_as_in_scipy() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.integers(0, 5, 60), generator.integers(0, 5, 60)
    assert found(first, second).rho == pytest.approx(spearmanr(first, second).statistic)


def test_a_perfect_order_is_not_certain() -> None:
    one = found(range(12), range(12))  # type: ignore[arg-type]
    assert one.rho == pytest.approx(1.0)
    assert one.interval.low < 0.999


def test_few_or_equal_values_have_no_correlation() -> None:
    assert rank_correlation(np.arange(4.0), np.arange(4.0)) is Reason.TOO_FEW_ITEMS
    assert rank_correlation(np.zeros(20), np.arange(20.0)) is Reason.ZERO_VARIANCE


def test_intervals_cover_the_true_correlation() -> None:
    """Normal pairs with Pearson 0.5 have Spearman (6/pi) asin(0.25) = 0.4826. 93 to 97% of 2000 intervals cover it."""
    generator = np.random.default_rng(5)
    truth = 6 / math.pi * math.asin(0.25)
    covered = 0
    for _ in range(2000):
        first = generator.standard_normal(100)
        second = 0.5 * first + math.sqrt(0.75) * generator.standard_normal(100)
        interval = found(first, second).interval
        covered += interval.low <= truth <= interval.high
    assert 0.93 <= covered / 2000 <= 0.97


@pytest.mark.parametrize("n", [5, 9])
@pytest.mark.parametrize("pearson", [0.0, 0.9])
def test_intervals_of_few_items_cover_it_too(n: int, pearson: float) -> None:
    """Nine models give nine points. Simulated coverage: 95 to 99%."""
    generator = np.random.default_rng(11)
    truth = 6 / math.pi * math.asin(pearson / 2)
    covered = 0
    for _ in range(1000):
        first = generator.standard_normal(n)
        second = pearson * first + math.sqrt(1 - pearson**2) * generator.standard_normal(n)
        interval = found(first, second).interval
        covered += interval.low <= truth <= interval.high
    assert covered / 1000 >= 0.93


def test_noise_alone_gives_no_correlation_with_length() -> None:
    """Both arms measure the same lengths with noise. The length before alone would always show a correlation."""
    generator = np.random.default_rng(7)
    seen = naive = 0
    for _ in range(400):
        true = generator.normal(100, 10, 80)
        before, after = true + generator.normal(0, 10, 80), true + generator.normal(0, 10, 80)
        one = shift_against_length(before, after)
        assert isinstance(one, Association)
        seen += not one.interval.low <= 0 <= one.interval.high
        plain = found(after - before, before).interval
        naive += not plain.low <= 0 <= plain.high
    assert seen / 400 <= 0.08
    assert naive / 400 >= 0.95
