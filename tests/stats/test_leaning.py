"""The line of score differences on length differences: a case by hand, R's values, coverage, properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stats.intervals import Floats
from stats.leaning import FEWEST_ITEMS, Leaning, leaning
from stats.reasons import Reason


def _line(scores: Floats, lengths: Floats) -> Leaning:
    found = leaning(scores, lengths)
    assert isinstance(found, Leaning)
    return found


def test_a_case_worked_by_hand() -> None:
    # Lengths -1 and 1, five items each; scores 0 and 1 on average: slope 1/2, and 1/2 halfway.
    lengths = np.array([-1.0] * 5 + [1.0] * 5)
    scores = np.array([-1.0, 0, 0, 0, 1, 0, 1, 1, 1, 2])
    found = _line(scores, lengths)
    assert (found.slope, found.adjusted, found.n_items) == (pytest.approx(0.5), pytest.approx(0.5), 10)
    # Without one item the mean of its group of five moves by ∓e/4, so slope and value at 0 move by e/8 each, with e its
    # residual. Σe² = 4, so V = 9/10·4/64 for both; t(8) = 2.306004.
    half = 2.306004135204166 * np.sqrt(0.9 * 4 / 64)
    assert (found.slope_interval.low, found.slope_interval.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert (found.adjusted_interval.low, found.adjusted_interval.high) == pytest.approx((0.5 - half, 0.5 + half))


def test_the_jackknife_agrees_with_fits_without_each_item() -> None:
    rng = np.random.default_rng(3)
    lengths, scores = rng.standard_t(3, 25), rng.normal(size=25)
    fits = np.array([np.polyfit(np.delete(lengths, i), np.delete(scores, i), 1) for i in range(25)])
    errors = np.sqrt(24 / 25 * ((fits - fits.mean(axis=0)) ** 2).sum(axis=0))
    found = _line(scores, lengths)
    halves = 2.0686576104190477 * errors  # t(23)
    assert (found.slope, found.adjusted) == pytest.approx(tuple(np.polyfit(lengths, scores, 1)))
    widths = [one.high - one.low for one in (found.slope_interval, found.adjusted_interval)]
    assert widths == pytest.approx((2 * halves).tolist())


@pytest.mark.parametrize("kind", ["even", "heavy", "wider"])
@pytest.mark.parametrize("n", [FEWEST_ITEMS, 30, 100])
def test_the_intervals_cover(n: int, kind: str) -> None:
    rng, runs = np.random.default_rng(n), 500
    covered = np.zeros(2)
    for _ in range(runs):
        lengths = rng.standard_t(3, n) if kind == "heavy" else rng.normal(-0.2, 0.8, n)
        scatter = 0.2 + np.abs(lengths) if kind == "wider" else 0.7  # longer answers scatter more
        found = _line(-0.2 + 0.3 * lengths + scatter * rng.normal(size=n), lengths)
        covered += [
            found.slope_interval.low <= 0.3 <= found.slope_interval.high,
            found.adjusted_interval.low <= -0.2 <= found.adjusted_interval.high,
        ]
    assert (covered / runs >= 0.90).all()


def test_no_line_has_a_reason() -> None:
    lengths = np.arange(20.0)
    assert leaning(lengths[:9], lengths[:9]) is Reason.TOO_FEW_ITEMS
    assert leaning(np.zeros(20), lengths) is Reason.ZERO_VARIANCE
    assert leaning(lengths, np.full(20, 3.0)) is Reason.NO_LENGTHS
    assert leaning(lengths, np.array([5.0] + [0.0] * 19)) is Reason.NO_LENGTHS  # one item decides the slope


values = arrays(np.float64, 15, elements=st.integers(-40, 40).map(lambda n: n / 10))


@given(values, values)
def test_units_and_order_do_not_count(scores: Floats, lengths: Floats) -> None:
    found = leaning(scores, lengths)
    if isinstance(found, Reason):
        return
    scaled = _line(scores, 100 * lengths)
    assert scaled.slope == pytest.approx(found.slope / 100, abs=1e-9)
    assert scaled.adjusted == pytest.approx(found.adjusted, abs=1e-9)
    assert found.adjusted_interval.low <= found.adjusted <= found.adjusted_interval.high
    reverse = _line(-scores[::-1], -lengths[::-1])  # arm and reference exchanged
    assert (reverse.slope, reverse.adjusted) == pytest.approx((found.slope, -found.adjusted), abs=1e-9)
