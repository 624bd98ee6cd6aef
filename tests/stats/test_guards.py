"""Worst cases, the share to keep, floor and ceiling: cases by hand, and error rates where they bind."""

from __future__ import annotations

import numpy as np
import pytest

from stats.guards import kept_interval, kept_values, level_of, worst_case
from stats.intervals import Interval, wilson
from stats.paired import difference_interval
from stats.verdict import Ground

SHARE, MARGIN = 0.05, 0.01


def test_missing_records_count_as_the_given_score() -> None:
    # Three of five seeds scored, two of them right: 2/5 if the others count as wrong, 4/5 if they count as right.
    totals, scored, planned = np.array([2.0, 0.0]), np.array([3, 0]), np.array([5, 5])
    assert worst_case(totals, scored, planned, 0.0).tolist() == pytest.approx([0.4, 0.0])
    assert worst_case(totals, scored, planned, 1.0).tolist() == pytest.approx([0.8, 1.0])


def test_a_case_by_hand() -> None:
    # Reference right on 4 of 5, arm on 3 of 5: .6 - .8 + .05·(.8 - .25) = -.1725.
    reference, arm = np.array([1.0, 1, 1, 1, 0]), np.array([1.0, 1, 1, 0, 0])
    assert kept_values(arm, reference, SHARE, 0.25).mean() == pytest.approx(-0.1725)


def test_with_many_flips_it_is_close_to_the_t_interval_of_the_kept_values() -> None:
    rng = np.random.default_rng(1)
    reference = (rng.random(4000) < 0.4).astype(float)
    arm = np.where(rng.random(4000) < 0.1, 1 - reference, reference)
    found = _kept(arm, reference)
    values = kept_values(arm, reference, SHARE, 0.0)
    half = 1.9605 * values.std(ddof=1) / 4000**0.5
    assert found.low == pytest.approx(values.mean() - half, abs=0.01 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.01 * half)


def _kept(arm: np.ndarray, reference: np.ndarray) -> Interval:
    difference = difference_interval(arm - reference, proportion=True)
    assert isinstance(difference, Interval)
    return kept_interval(difference, arm, reference, SHARE, 0.0)


@pytest.mark.parametrize(
    ("right", "n", "chance", "level"),
    [
        (0.0, 1319, 0.0, Ground.FLOOR),
        (0.01, 1319, 0.0, Ground.FLOOR),
        (0.05, 1319, 0.0, None),
        (0.255, 1172, 0.25, Ground.FLOOR),
        (0.35, 1172, 0.25, None),
        (1.0, 380, 0.0, None),  # z²/(n + z²) is still above .01
        (1.0, 381, 0.0, Ground.CEILING),
        (0.98, 1319, 0.0, None),
    ],
)
def test_floor_and_ceiling(right: float, n: int, chance: float, level: Ground | None) -> None:
    assert level_of(wilson(right, n), MARGIN, chance) is level


def test_an_arm_that_loses_half_of_one_percent_is_not_called_no_worse() -> None:
    """The reference gets 1 to 5% right, the arm half of that: within the margin of one point, for the first."""
    rng = np.random.default_rng(2)
    for right in (0.01, 0.02, 0.05):
        passed = 0
        for _ in range(100):
            reference = (rng.random(1319) < right).astype(float)
            arm = np.where(rng.random(1319) < 0.5, 0.0, reference)
            passed += _kept(arm, reference).low > 0
        assert passed <= 5


@pytest.mark.parametrize(("right", "loss", "n"), [(0.2, 0.01, 5000), (0.1, 0.005, 8000), (0.05, 0.0025, 8000)])
def test_an_arm_that_loses_exactly_the_share_passes_in_about_2_5_percent(right: float, loss: float, n: int) -> None:
    rng = np.random.default_rng(3)
    passed = 0
    for _ in range(300):
        reference = (rng.random(n) < right).astype(float)
        lost, gained = (0.01 + loss) / right, 0.01 / (1 - right)
        arm = np.where(reference == 1, rng.random(n) >= lost, rng.random(n) < gained).astype(float)
        passed += _kept(arm, reference).low > 0
    assert passed / 300 <= 0.025 + 0.018  # two standard errors
