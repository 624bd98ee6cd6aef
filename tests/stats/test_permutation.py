"""The sign-flip test: reference values of McNemar's test, small cases by hand, comparison of both forms, A/A data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats.clusters import cluster_totals
from stats.permutation import PermutationTest, sign_flip_tests

differences = st.integers(1, 5).flatmap(
    lambda runs: st.lists(st.integers(-runs, runs).map(lambda steps: steps / runs), min_size=1, max_size=60)
)


def sign_flip_test(differences: np.ndarray, rng: np.random.Generator) -> PermutationTest:
    return sign_flip_tests(differences[:, None], rng)[0]


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _flips(losses: int, gains: int, same: int) -> np.ndarray:
    return np.repeat([-1.0, 1.0, 0.0], [losses, gains, same])


@pytest.mark.parametrize(
    ("losses", "gains", "p_value"), [(15, 5, 0.041389), (40, 25, 0.081682), (8, 8, 1.0), (0, 0, 1.0)]
)
def test_right_and_wrong_under_one_run_give_mcnemars_exact_test(losses: int, gains: int, p_value: float) -> None:
    result = sign_flip_test(_flips(losses, gains, 200), _rng())
    assert result.p_value == pytest.approx(p_value, abs=5e-7)
    assert result.test == "sign_flip_exact"


def test_a_case_worked_by_hand() -> None:
    # 1/3, 1/3, 2/3 with the same sign: the sum 4/3 is reached by 2 of the 8 sign assignments.
    assert sign_flip_test(np.array([1, 1, 2]) / 3, _rng()).p_value == pytest.approx(2 / 8)
    # 2/3 against 1/3: |sum| >= 1/3 always.
    assert sign_flip_test(np.array([2, -1]) / 3, _rng()).p_value == 1.0


def test_continuous_differences_use_random_signs_and_p_is_never_zero() -> None:
    result = sign_flip_test(np.random.default_rng(3).normal(5.0, 1.0, 50), _rng())
    assert result.test == "sign_flip_monte_carlo"
    assert result.p_value == pytest.approx(1 / 10_001)


def test_both_forms_agree() -> None:
    steps = np.random.default_rng(4).integers(-3, 4, size=80) / 3 + 0.0
    exact = sign_flip_test(steps, _rng())
    drawn = sign_flip_test(steps * np.pi, _rng())
    assert (exact.test, drawn.test) == ("sign_flip_exact", "sign_flip_monte_carlo")
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.02)


def test_the_same_generator_gives_the_same_p() -> None:
    values = np.random.default_rng(5).normal(0.1, 1.0, 40)
    assert sign_flip_test(values, _rng()) == sign_flip_test(values, _rng())


@given(differences)
def test_p_is_a_probability_and_swapping_the_arms_keeps_it(values: list[float]) -> None:
    one, other = sign_flip_test(np.array(values), _rng()), sign_flip_test(-np.array(values), _rng())
    assert 0.0 < one.p_value <= 1.0
    assert one.p_value == pytest.approx(other.p_value)


def test_equal_arms_differ_significantly_in_at_most_5_percent() -> None:
    rng = np.random.default_rng(6)
    chances = rng.beta(0.8, 0.4, size=(800, 100))
    arm, reference = rng.binomial(3, chances) / 3, rng.binomial(3, chances) / 3
    alarms = [sign_flip_test(row, _rng()).p_value < 0.05 for row in arm - reference]
    assert 0.02 <= np.mean(alarms) <= 0.065  # Standard error .008.


def test_arms_share_the_random_signs_and_each_gets_the_same_p_as_alone() -> None:
    columns = np.random.default_rng(14).normal(0.1, 1.0, size=(60, 3))
    together = sign_flip_tests(columns, _rng())
    assert together == [sign_flip_test(column, _rng()) for column in columns.T]


def test_items_of_one_source_flip_together() -> None:
    # Sums by source 1, 1, 1, 1: equal signs in 2 of 16 assignments. Twelve single items would give 2 of 4096.
    values, sources = np.full(12, 1 / 3), np.repeat(np.arange(4), 3)
    (test,) = sign_flip_tests(cluster_totals(values[:, None], sources), _rng())
    assert test.p_value == pytest.approx(2 / 16)


def test_a_sum_that_is_zero_but_for_rounding_has_no_sign() -> None:
    # .1 + .2 - .3 is 5.6e-17. So two of the three sources differ, both with the same sign.
    values, sources = np.array([0.1, 0.2, -0.3, 0.5, 0.5]), np.array([0, 0, 0, 1, 2])
    (test,) = sign_flip_tests(cluster_totals(values[:, None], sources), _rng())
    assert test == PermutationTest(2 / 4, "sign_flip_exact")
