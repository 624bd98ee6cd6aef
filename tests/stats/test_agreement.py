"""Krippendorff's alpha: a case by hand, published and independent values, coverage of the interval, properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stats.agreement import Agreement, agreement, krippendorff_alpha
from stats.intervals import Interval
from stats.reasons import Reason

N = float("nan")
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
).T
"""Twelve units and four observers, the example of Krippendorff's paper "Computing Krippendorff's Alpha-Reliability"
(2011, section D). It gives 0.815 for ordinal and 0.849 for interval data."""


def test_a_case_worked_by_hand() -> None:
    # Two answers, two verdicts each: (1, 2) and (3, 3). Interval level: the variances within are 0.5 and 0, so
    # D_o = (2·0.5 + 2·0)/4 = 0.25. All values: mean 2.25, squares 1.5625 + 0.0625 + 2·0.5625 = 2.75, D_e = 2.75/3.
    values = np.array([[1.0, 2.0], [3.0, 3.0]])
    assert krippendorff_alpha(values, "interval") == pytest.approx(1 - 0.25 * 3 / 2.75)
    # Ordinal level: ranks 1, 2, 3.5, 3.5. D_o = 0.25 again; mean 2.5, squares 2.25 + 0.25 + 2·1 = 4.5, D_e = 1.5.
    assert krippendorff_alpha(values, "ordinal") == pytest.approx(1 - 0.25 / 1.5)


def test_the_published_example() -> None:
    assert krippendorff_alpha(PUBLISHED, "ordinal") == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha(PUBLISHED, "interval") == pytest.approx(0.849, abs=5e-4)


def test_an_independent_implementation_gives_the_same() -> None:
    # krippendorff 0.9.0 from PyPI:
    #   krippendorff.alpha(PUBLISHED.T, level_of_measurement="ordinal") -> 0.8153875037548814, "interval" ->
    #   0.8491071428571428; and for the values below -> -0.594932844932845 and -0.5714285714285714.
    assert krippendorff_alpha(PUBLISHED, "ordinal") == pytest.approx(0.8153875037548814, abs=1e-12)
    assert krippendorff_alpha(PUBLISHED, "interval") == pytest.approx(0.8491071428571428, abs=1e-12)
    values = np.array([[1, 5, N], [2, 2, 4], [N, 3, 1], [5, N, 1], [4, 4, 2], [N, N, 3]])
    assert krippendorff_alpha(values, "ordinal") == pytest.approx(-0.594932844932845, abs=1e-12)
    assert krippendorff_alpha(values, "interval") == pytest.approx(-0.5714285714285714, abs=1e-12)


def test_resamples_have_the_alpha_of_the_repeated_items() -> None:
    # The quick way over counts must agree with alpha of the resample itself, whose ranks are its own.
    from stats import bootstrap
    from stats.agreement import _resampled_alphas

    units, items = PUBLISHED[:11], np.arange(11) // 2
    draws = _resampled_alphas(units, items, np.random.default_rng(1))
    counts = next(bootstrap._counts(6, np.random.default_rng(1), bootstrap.DRAWS))
    for place in range(100):
        chosen = np.repeat(np.arange(6), counts[place].astype(int))
        rows = np.concatenate([units[items == item] for item in chosen])
        expected = krippendorff_alpha(rows, "ordinal")
        assert draws[place] == pytest.approx(expected) if not isinstance(expected, Reason) else np.isnan(draws[place])


def test_undefined_values_have_a_reason() -> None:
    assert krippendorff_alpha(np.array([[1.0, N], [N, 2.0]]), "ordinal") is Reason.NOTHING_REPEATED
    assert krippendorff_alpha(np.empty((0, 2)), "ordinal") is Reason.NOTHING_REPEATED
    assert krippendorff_alpha(np.full((4, 2), 3.0), "ordinal") is Reason.ZERO_VARIANCE
    few = agreement(PUBLISHED, np.arange(12) // 3, np.random.default_rng(0))
    assert isinstance(few, Agreement)
    assert (few.n_units, few.n_items, few.ci95) == (11, 4, Reason.TOO_FEW_ITEMS)


def test_full_agreement_has_no_interval() -> None:
    values = np.tile(np.arange(12.0)[:, None], (1, 2))
    found = agreement(values, np.arange(12), np.random.default_rng(0))
    assert isinstance(found, Agreement)
    assert (found.ordinal, found.ci95) == (1.0, Reason.ZERO_VARIANCE)


def _judged(rng: np.random.Generator, n_items: int, noise: float) -> np.ndarray:
    """Return two verdicts on two answers to each item, shape (2·n_items, 2)."""
    quality = np.repeat(rng.normal(size=n_items), 2) + rng.normal(0, 0.6, size=2 * n_items)
    return np.clip(np.round(3 + 1.2 * quality[:, None] + rng.normal(0, noise, size=(2 * n_items, 2))), 1, 5)


@pytest.mark.slow
@pytest.mark.parametrize(("n_items", "noise"), [(100, 0.4), (100, 1.2), (30, 0.8)])
def test_the_interval_covers_the_alpha_of_all_questions(n_items: int, noise: float) -> None:
    rng = np.random.default_rng(5)
    truth = krippendorff_alpha(_judged(rng, 200_000, noise), "ordinal")
    assert isinstance(truth, float)
    covered, runs = 0, 200
    for _ in range(runs):
        found = agreement(_judged(rng, n_items, noise), np.repeat(np.arange(n_items), 2), rng)
        assert isinstance(found, Agreement)
        assert isinstance(found.ci95, Interval)
        covered += found.ci95.low <= truth <= found.ci95.high
    assert covered / runs >= 0.90


verdicts = arrays(np.float64, (8, 3), elements=st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, N]))


@given(verdicts, st.permutations(range(3)), st.permutations(range(8)))
def test_the_order_of_raters_and_answers_does_not_count(values: np.ndarray, raters: list[int], rows: list[int]) -> None:
    for level in ("ordinal", "interval"):
        found = krippendorff_alpha(values, level)
        again = krippendorff_alpha(values[rows][:, raters], level)
        assert again is found if isinstance(found, Reason) else again == pytest.approx(found)


@given(verdicts)
def test_alpha_is_at_most_one_and_only_the_order_counts_on_an_ordinal_scale(values: np.ndarray) -> None:
    found = krippendorff_alpha(values, "ordinal")
    if isinstance(found, float):
        assert found <= 1.0
        assert krippendorff_alpha(values**3, "ordinal") == pytest.approx(found)
        linear = krippendorff_alpha(values, "interval")
        assert krippendorff_alpha(7 - 2 * values, "interval") == pytest.approx(linear)
