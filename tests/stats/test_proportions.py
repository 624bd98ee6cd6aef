"""Shares from counts: reference values, comparison with scipy, exact coverage, bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from stats.intervals import wilson
from stats.proportions import clopper_pearson, uniform_posterior

counts = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_the_exact_interval_gives_the_reference_values() -> None:
    interval = clopper_pearson(95, 100)
    assert (interval.low, interval.high) == pytest.approx((0.88717, 0.98357), abs=6e-6)


def test_the_posterior_gives_the_reference_values() -> None:
    interval = uniform_posterior(95, 100)
    assert (interval.low, interval.high) == pytest.approx((0.88824, 0.97789), abs=6e-6)


def test_the_exact_interval_agrees_with_scipy() -> None:
    ours, theirs = clopper_pearson(3, 40), scipy_stats.binomtest(3, 40).proportion_ci(method="exact")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)


def test_no_events_still_give_a_width() -> None:
    # 0 of 20: 1 - .025^(1/20) = .168433. Without items: the middle 95% of the uniform prior.
    assert (clopper_pearson(0, 20).low, clopper_pearson(20, 20).high) == (0.0, 1.0)
    assert clopper_pearson(0, 20).high == pytest.approx(0.168433, abs=1e-6)
    assert (uniform_posterior(0, 0).low, uniform_posterior(0, 0).high) == pytest.approx((0.025, 0.975))


@pytest.mark.parametrize("n", [20, 100, 400])
@pytest.mark.parametrize("p", [0.002, 0.02, 0.1, 0.5])
def test_the_exact_interval_covers_at_least_95_percent(n: int, p: float) -> None:
    seen = np.arange(n + 1)
    holds = [interval.low <= p <= interval.high for interval in (clopper_pearson(int(count), n) for count in seen)]
    assert scipy_stats.binom.pmf(seen, n, p)[holds].sum() >= 0.95


@given(counts)
def test_the_exact_interval_is_the_widest_and_symmetric(of: tuple[int, int]) -> None:
    count, n = of
    exact, mirrored, posterior = clopper_pearson(count, n), clopper_pearson(n - count, n), uniform_posterior(count, n)
    assert (exact.low, exact.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-9)
    assert 0.0 <= exact.low <= count / n <= exact.high <= 1.0
    assert 0.0 < posterior.low < posterior.high < 1.0
    assert exact.high - exact.low >= posterior.high - posterior.low - 1e-12
    assert exact.low <= wilson(count / n, n).high
