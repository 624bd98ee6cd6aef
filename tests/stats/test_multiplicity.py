"""Adjusted p values: reference values, families by hand, order and bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from stats.multiplicity import benjamini_hochberg, holm

VECTOR = np.array([0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205])
families = st.lists(st.floats(0, 1), max_size=30).map(np.array)


def test_holm_gives_the_reference_values() -> None:
    assert holm(VECTOR) == pytest.approx([0.008, 0.056, *[0.234] * 6])


def test_benjamini_hochberg_gives_the_reference_values() -> None:
    expected = [0.008, 0.032, 0.0672, 0.0672, 0.0672, 0.08, 0.0846, 0.205]
    assert benjamini_hochberg(VECTOR) == pytest.approx(expected, abs=5e-5)


def test_the_order_of_the_family_does_not_matter() -> None:
    shuffled = np.random.default_rng(1).permutation(VECTOR.size)
    for adjust in (holm, benjamini_hochberg):
        assert adjust(VECTOR[shuffled]) == pytest.approx(adjust(VECTOR)[shuffled])


def test_false_discovery_rates_agree_with_scipy() -> None:
    assert benjamini_hochberg(VECTOR) == pytest.approx(scipy_stats.false_discovery_control(VECTOR))


def test_a_family_of_one_or_none_is_unchanged() -> None:
    for adjust in (holm, benjamini_hochberg):
        assert adjust(np.array([0.03])).tolist() == [0.03]
        assert adjust(np.array([])).size == 0


@given(families)
def test_adjusting_never_lowers_p_and_keeps_its_order_and_holm_is_stricter(p_values: np.ndarray) -> None:
    strict, loose = holm(p_values), benjamini_hochberg(p_values)
    assert np.all(strict >= loose - 1e-12)
    assert np.all(loose >= p_values - 1e-12)
    assert np.all(strict <= 1.0)
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(strict[order]) >= 0)
    assert np.all(np.diff(loose[order]) >= 0)
