"""Smallest detectable differences and items needed: the reference table, and the power of simulated runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats.paired import difference_interval
from stats.power import detectable_difference, discordance_bounds, items_needed, normal_sum

TABLE = [
    (1319, (1.09, 1.72, 2.44, 3.45)),
    (500, (1.77, 2.80, 3.96, 5.60)),
    (1172, (1.16, 1.83, 2.59, 3.66)),
    (5000, (0.56, 0.89, 1.25, 1.77)),
    (100, (3.96, 6.26, 8.86, 12.5)),
]
"""Items -> smallest detectable difference in percentage points at a discordance of 2, 5, 10 and 20%."""


@pytest.mark.parametrize(("n", "points"), TABLE)
def test_the_table_of_detectable_differences(n: int, points: tuple[float, ...]) -> None:
    for discordance, point in zip((0.02, 0.05, 0.1, 0.2), points, strict=True):
        assert 100 * detectable_difference(discordance, n) == pytest.approx(point, abs=0.05 if point > 10 else 0.0051)


@pytest.mark.parametrize(("n", "points"), [(1319, 4.36), (500, 7.09), (1172, 4.63)])
def test_unpaired_arms_at_80_percent_right_detect_less(n: int, points: float) -> None:
    assert 100 * detectable_difference(2 * 0.8 * 0.2, n) == pytest.approx(points, abs=0.0051)


def test_judged_scores_of_a_hundred_questions() -> None:
    found = [detectable_difference(sd**2, 100) for sd in (0.8, 1.0, 1.2)]
    assert found == pytest.approx([0.22, 0.28, 0.34], abs=0.005)


def test_items_for_one_percentage_point() -> None:
    assert [items_needed(q, 0.01) for q in (0.02, 0.05, 0.1)] == [1570, 3925, 7849]
    # One-sided at 5%, as usual for non-inferiority in the literature. Our verdict uses 2.5%.
    assert [items_needed(q, 0.01, confidence=0.9) for q in (0.02, 0.05, 0.1)] == [1237, 3092, 6183]


def test_repeats_reduce_all_of_the_variance_at_best_and_none_at_worst() -> None:
    assert discordance_bounds(0.1, 5) == pytest.approx((0.02, 0.1))
    assert discordance_bounds(0.1, 1) == (0.1, 0.1)


def test_the_stated_power_is_reached() -> None:
    # 1172 items, 10% of the answers flip: 2.59 points are found in 80% of runs.
    drop = detectable_difference(0.1, 1172)
    rng = np.random.default_rng(3)
    flips = rng.multinomial(1172, [(0.1 + drop) / 2, (0.1 - drop) / 2, 0.9], size=1500)
    found = [
        difference_interval(np.repeat([-1.0, 1.0, 0.0], row), proportion=True).high < 0  # type: ignore[union-attr]
        for row in flips
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.035)


@given(st.floats(1e-6, 4.0), st.integers(1, 10**6))
def test_the_detectable_difference_needs_exactly_the_given_items(variance: float, n: int) -> None:
    assert items_needed(variance, detectable_difference(variance, n)) in (n, n + 1)
    assert normal_sum() == pytest.approx(2.8016, abs=1e-4)
