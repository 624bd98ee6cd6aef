"""Equal values drawn together: the same distributions as one draw per item, exact p values, merged neighbours."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import stats as scipy_stats

from stats import bootstrap, grouped, permutation
from stats.grouped import grouped_rows


def test_equal_rows_are_counted_together() -> None:
    rows = np.array([[1.0, 0.0], [1.0, -1.0], [1.0, 0.0], [0.0, 0.0], [1.0, -1.0], [1.0, 0.0]])
    found, counts = grouped_rows(rows)
    together = sorted(zip(found.tolist(), counts.tolist(), strict=True))
    assert together == [([0.0, 0.0], 1), ([1.0, -1.0], 2), ([1.0, 0.0], 3)]


def test_merged_neighbours_keep_totals_and_nearly_all_of_the_spread() -> None:
    values = np.random.default_rng(1).normal(size=50_000)
    found, counts = grouped_rows(np.column_stack([np.ones(50_000), values, values**2]))
    assert (found.shape, counts.sum()) == ((grouped.MOST_GROUPS, 3), 50_000)
    assert counts @ found == pytest.approx([50_000, values.sum(), np.sum(values**2)])
    assert counts @ found[:, 1] ** 2 == pytest.approx(np.sum(values**2), rel=1e-3)


def test_resamples_of_many_items_spread_as_the_formula_says() -> None:
    # 30,000 items of which 2% lose and 1% gain: sd of a resample's total = sqrt(n·var).
    moved = np.repeat([-1.0, 1.0, 0.0], [600, 300, 29_100])
    for values in (moved, np.random.default_rng(2).normal(size=30_000)):
        totals = bootstrap.resampled_totals(values[:, None], np.random.default_rng(3), draws=4000)[:, 0]
        assert totals.std() == pytest.approx(np.sqrt(30_000) * values.std(), rel=0.04)
        assert totals.mean() == pytest.approx(values.sum(), abs=4 * totals.std() / np.sqrt(4000))


def test_the_exact_p_value_of_many_flips_is_binomial() -> None:
    differences = np.repeat([-1.0, 1.0, 0.0], [50_700, 50_000, 899_300])
    (test,) = permutation.sign_flip_tests(differences[:, None], np.random.default_rng(0))
    assert test.test == "sign_flip_exact"
    assert test.p_value == pytest.approx(scipy_stats.binomtest(50_700, 100_700).pvalue, rel=1e-6)


def test_random_signs_of_many_items_agree_with_the_normal_limit() -> None:
    # Σd is 1.5 standard deviations from 0: p = .134.
    rng = np.random.default_rng(4)
    values = rng.normal(size=30_000)
    values += 1.5 * np.sqrt(np.sum(values**2)) / 30_000 - values.mean()
    fifths = rng.choice([-0.4, 0.2, -0.2, 0.4, 0.0], size=600_000)  # too many steps for the exact form
    for differences in (values, fifths):
        (test,) = permutation.sign_flip_tests(differences[:, None], np.random.default_rng(5))
        z = abs(differences.sum()) / np.sqrt(np.sum(differences**2))
        assert test.test == "sign_flip_monte_carlo"
        assert test.p_value == pytest.approx(2 * scipy_stats.norm.sf(z), abs=0.015)


def test_memory_grows_with_the_items_and_not_with_the_draws() -> None:
    peaks = []
    for n in (100_000, 200_000):
        values = np.random.default_rng(6).choice([-1.0, 0.0, 1.0], p=[0.03, 0.95, 0.02], size=n)
        tracemalloc.start()
        bootstrap.resampled_totals(np.column_stack([np.ones(n), values, values**2]), np.random.default_rng(7))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2.2 * peaks[0]
    assert peaks[1] < 200_000 * 300  # bytes per item, for three columns
