"""Looks: critical values against published tables, hand-worked cases, and rates of false claims by simulation."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from stats.looks import (
    SIDE,
    PlannedLook,
    boundaries,
    critical_values,
    crossing_probabilities,
    repeated_p_value,
    share_spent,
)
from stats.paired import difference_interval
from tests.stats.looks_simulation import MARGIN, SCHEDULES, bounds, plain, simulate, table

FIFTHS = [0.2, 0.4, 0.6, 0.8, 1.0]


def _spent(shares: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise([0.0, *shares])]


# Jennison and Turnbull (2000), tables 2.1 and 2.3: two-sided level .05, equally spaced looks.
@pytest.mark.parametrize(
    ("looks", "pocock", "obrien_fleming"),
    [(2, 2.178, 1.977), (3, 2.289, 2.004), (4, 2.361, 2.024), (5, 2.413, 2.040), (10, 2.555, 2.087)],
)
def test_the_constants_of_pocock_and_of_obrien_and_fleming_give_their_level(
    looks: int, pocock: float, obrien_fleming: float
) -> None:
    information = [(number + 1) / looks for number in range(looks)]
    assert 2 * sum(crossing_probabilities(information, [pocock] * looks)) == pytest.approx(0.05, abs=1e-4)
    bounds_of = [obrien_fleming / math.sqrt(share) for share in information]
    assert 2 * sum(crossing_probabilities(information, bounds_of)) == pytest.approx(0.05, abs=1e-4)


# Five equal looks, 2.5% on each side; the values of the R package ldbounds (ldBounds(t, iuse = c(1, 1)) and c(2, 2)),
# also printed by Reboussin, DeMets, Kim and Lan (2000), Controlled Clinical Trials 21:190.
def test_boundaries_of_both_spending_functions_of_lan_and_demets() -> None:
    obrien_fleming = [float(2 * special.ndtr(special.ndtri(SIDE / 2) / math.sqrt(share))) for share in FIFTHS]
    found = boundaries(FIFTHS, _spent(obrien_fleming))
    assert found == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)
    found = critical_values([PlannedLook(share) for share in FIFTHS])
    assert found == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=2e-4)


def test_two_looks_by_hand() -> None:
    # spent(1/3) = .025·ln(1 + 1.71828/3) = .025·.45283 = .011321, so c_1 = 2.2794; then .025 - .011321 = .013679 is
    # left for P(Z_1 <= c_1, Z_2 > c_2), with a correlation of √(1/3).
    first, second = critical_values([PlannedLook(1 / 3), PlannedLook(1.0)])
    assert share_spent(1 / 3) == pytest.approx(0.45283, abs=1e-5)
    assert first == pytest.approx(2.2794, abs=1e-4)
    both = stats.multivariate_normal([0, 0], [[1, math.sqrt(1 / 3)], [math.sqrt(1 / 3), 1]])
    missed = float(special.ndtr(first)) - float(both.cdf([first, second]))
    assert missed == pytest.approx(0.025 - 0.025 * share_spent(1 / 3), abs=1e-5)


def test_a_single_look_at_all_items_is_the_usual_one() -> None:
    assert critical_values([PlannedLook(1.0)]) == pytest.approx([1.959964], abs=1e-6)
    assert repeated_p_value(0.03, [PlannedLook(1.0)]) == pytest.approx(0.03, abs=1e-6)


def test_nothing_is_left_for_looks_that_add_no_planned_items() -> None:
    looks = [PlannedLook(1.0), PlannedLook(0.5), PlannedLook(1.0, continues=False), PlannedLook(2.0)]
    assert critical_values(looks)[1:] == (math.inf, math.inf, math.inf)


def test_raising_the_plan_gives_nothing_back() -> None:
    # At 40 of 40 planned items everything is spent. A plan of 400 afterwards leaves nothing; planned before, it does.
    assert critical_values([PlannedLook(0.1, planned=0.1), PlannedLook(1.0)])[1] == math.inf
    # At 40 of 80, then 200 of 400: both spend share_spent(1/2) at most. At 400 of 400 the rest is left.
    looks = [PlannedLook(0.1, planned=0.2), PlannedLook(0.5), PlannedLook(1.0)]
    first, second, third = critical_values(looks)
    assert first == pytest.approx(float(-special.ndtri(0.025 * share_spent(0.5))))
    assert second == math.inf and third < 3


def test_looks_with_other_seeds_count_as_unrelated() -> None:
    # Each then has the quantile of what it spends: (1 - share_spent(1/3))·.025 = .013679.
    found = critical_values([PlannedLook(1 / 3), PlannedLook(1.0, continues=False)])
    assert found[1] == pytest.approx(float(-special.ndtri(0.025 * (1 - share_spent(1 / 3)))), abs=1e-9)
    assert found[1] > critical_values([PlannedLook(1 / 3), PlannedLook(1.0)])[1]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=6, unique=True), st.floats(0.0001, 0.9))
def test_properties_of_critical_values(shares: list[float], p_value: float) -> None:
    looks = [PlannedLook(share) for share in sorted(shares)]
    values = critical_values(looks)
    usual = float(-special.ndtri(SIDE))
    assert values[0] >= usual - 1e-9
    repeated = repeated_p_value(p_value, looks)
    assert p_value - 1e-6 <= repeated <= 1.0
    # The p value is below .05 exactly if the statistic lies beyond the critical value.
    statistic = float(-special.ndtri(p_value / 2))
    if abs(statistic - values[-1]) > 1e-4:
        assert (repeated < 2 * SIDE) == (statistic > values[-1])


def test_close_looks_lose_little() -> None:
    # A last look that adds 19 items to 1,300 still finds a critical value near its neighbours'.
    looks = [PlannedLook(n / 1319) for n in (*range(100, 1301, 100), 1319)]
    values = critical_values(looks)
    assert values[-2] <= values[-1] < 2.75


# --- rates of false claims ------------------------------------------------------------------------


def test_the_simulated_intervals_are_those_of_the_project() -> None:
    rng, n = np.random.default_rng(3), 400
    for gained, lost in ((0, 0), (1, 0), (3, 5), (9, 1), (12, 30), (0, 40)):
        tail = float(rng.uniform(0.975, 0.9999))
        differences = np.repeat([1.0, -1.0, 0.0], [gained, lost, n - gained - lost])
        expected = difference_interval(differences, proportion=True, tail=tail)
        counts = (np.array([value]) for value in (gained, lost, n))
        low, high = bounds(*counts, np.array([tail]))
        assert (low[0], high[0]) == pytest.approx((expected.low, expected.high))  # type: ignore[union-attr]


@pytest.mark.parametrize("number", range(5))
def test_false_claims_stay_within_their_rates_however_often_somebody_looks(number: int) -> None:
    paths = 4000
    tolerance = 3 * math.sqrt(0.025 * 0.975 / paths)
    for flips in (0.05, 0.17):
        at_margin = simulate(SCHEDULES[number], flips, MARGIN, paths, np.random.default_rng([number, 1]))
        nothing = simulate(SCHEDULES[number], flips, 0.0, paths, np.random.default_rng([number, 2]))
        assert at_margin.no_worse < 0.025 + tolerance
        assert nothing.beyond < 0.025 + tolerance
        assert nothing.lost < 0.05 + tolerance


def test_plain_intervals_do_not_keep_the_rate() -> None:
    rng = np.random.default_rng(5)
    assert simulate(SCHEDULES[2], 0.10, MARGIN, 4000, rng, plain).no_worse > 0.06


@pytest.mark.slow
def test_false_claims_when_somebody_follows_the_advice() -> None:
    for flips in (0.05, 0.10, 0.17):
        at_margin = simulate(SCHEDULES[5], flips, MARGIN, 1500, np.random.default_rng(8))
        nothing = simulate(SCHEDULES[5], flips, 0.0, 1500, np.random.default_rng(9))
        assert at_margin.no_worse < 0.025 + 0.013
        assert nothing.beyond < 0.025 + 0.013
        assert nothing.lost < 0.05 + 0.017


@pytest.mark.slow
def test_the_table_of_the_methodology(capsys: pytest.CaptureFixture[str]) -> None:
    """Print the table; `-s` shows it. The full one has 20,000 paths."""
    print(table(2000, np.random.default_rng(1), SCHEDULES[:5]))
    assert len(capsys.readouterr().out.splitlines()) == 16
