"""Early stopping: false alarms at any time, its cost, consistency, properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats.paired import difference_interval
from stats.sequential import (
    FRACTIONS,
    EarlyDecision,
    Guards,
    confidence_sequence,
    decide_early,
    decide_in_order,
    log_wealth,
    mean_sequence,
    sequence_p_beyond,
    sequence_p_value,
)
from stats.verdict import Verdict

MARGIN = 0.01
N = 1319
thirds = st.lists(st.integers(-3, 3).map(lambda steps: steps / 3), min_size=1, max_size=60)


def _flips(rng: np.random.Generator, n_runs: int, n: int, lost: float, gained: float) -> np.ndarray:
    """Return differences, shape (runs, items): -1, 0 or 1 with the given probabilities."""
    return rng.choice([-1.0, 1.0, 0.0], p=[lost, gained, 1 - lost - gained], size=(n_runs, n))


def _ever(differences: np.ndarray, mean: float, *, above: bool) -> float:
    """Return the share of rows in which the gambler against a mean of `mean` ever wins, at one side's α/2."""
    threshold = math.log(2 / 0.05)
    won = 0
    for rows in np.array_split(differences, max(1, len(differences) // 100)):
        won += int((log_wealth((rows + 1) / 2, (mean + 1) / 2, above=above).max(axis=1) >= threshold).sum())
    return won / len(differences)


@pytest.mark.parametrize("changed", [0.01, 0.05, 0.3])
def test_equal_arms_ever_differ_in_at_most_5_percent_of_runs(changed: float) -> None:
    differences = _flips(np.random.default_rng(1), 600, N, changed / 2, changed / 2)
    assert _ever(differences, 0.0, above=True) + _ever(differences, 0.0, above=False) <= 0.05


@pytest.mark.parametrize("changed", [0.02, 0.1])
def test_an_arm_on_the_margin_is_ever_decided_either_way_in_at_most_2_5_percent_of_runs(changed: float) -> None:
    # Standard error of the count: .006 at .025.
    differences = _flips(np.random.default_rng(2), 600, N, (changed + MARGIN) / 2, (changed - MARGIN) / 2)
    assert _ever(differences, -MARGIN, above=True) <= 0.025 + 0.012
    assert _ever(differences, -MARGIN, above=False) <= 0.025 + 0.012


def test_sampled_answers_of_equal_arms_also_stay_below_alpha() -> None:
    rng = np.random.default_rng(3)
    chances = rng.beta(0.8, 0.4, size=(500, 800))
    differences = (rng.binomial(5, chances) - rng.binomial(5, chances)) / 5
    assert _ever(differences, 0.0, above=True) + _ever(differences, 0.0, above=False) <= 0.05


def test_the_sequence_covers_the_mean_at_every_number_of_items() -> None:
    rng = np.random.default_rng(4)
    missed = 0
    for row in _flips(rng, 150, 400, 0.12, 0.06):
        intervals = [confidence_sequence(row[:n]) for n in (10, 20, 40, 80, 120, 200, 300, 400)]
        missed += any(not one.low <= -0.06 <= one.high for one in intervals)
    assert missed / 150 <= 0.05


def test_a_clear_loss_is_decided_early_and_saves_the_rest() -> None:
    row = _flips(np.random.default_rng(5), 1, N, 0.25, 0.05)[0]
    found = decide_early(row, margin=MARGIN, n_planned=N)
    assert found.verdict is Verdict.WORSE
    assert found.n_items < 250
    assert found.saved_items == N - found.n_items
    assert found.interval.high < -MARGIN


def test_answers_that_never_flip_are_no_worse_after_some_600_items() -> None:
    found = decide_early(np.zeros(N), margin=MARGIN, n_planned=N)
    assert found.verdict is Verdict.NO_WORSE
    assert 381 < found.n_items < 760  # The interval for a fixed number of items decides at 381.
    assert found.interval.low > -MARGIN


def test_an_undecided_comparison_runs_to_the_end() -> None:
    row = _flips(np.random.default_rng(6), 1, 300, 0.1, 0.1)[0]
    found = decide_early(row, margin=MARGIN, n_planned=300)
    assert (found.verdict, found.n_items, found.saved_items) == (Verdict.UNDECIDED, 300, 0)
    assert found.interval == confidence_sequence(row)


@pytest.mark.parametrize(("lost", "gained"), [(0.1, 0.1), (0.02, 0.02), (0.2, 0.1)])
def test_the_sequence_is_less_than_twice_as_wide_as_the_fixed_interval(lost: float, gained: float) -> None:
    row = _flips(np.random.default_rng(7), 1, N, lost, gained)[0]
    anytime, fixed = confidence_sequence(row), difference_interval(row, proportion=True)
    ratio = (anytime.high - anytime.low) / (fixed.high - fixed.low)  # type: ignore[union-attr]
    assert 1.2 < ratio < 2.0


def test_without_items_the_interval_is_the_whole_scale() -> None:
    assert confidence_sequence(np.array([])).low == -1.0
    found = decide_early(np.array([]), margin=MARGIN, n_planned=40)
    assert (found.verdict, found.interval.low, found.interval.high) == (Verdict.UNDECIDED, -1.0, 1.0)


def test_a_case_worked_by_hand() -> None:
    # One item, x = 1 against m = .5 from below: gain (1 - .5)/.5 = 1, wealth the mean of 1 + f.
    wealth = log_wealth(np.array([1.0]), 0.5, above=True)
    assert wealth[0] == pytest.approx(math.log(np.mean(1 + FRACTIONS)))


def test_scores_on_another_scale_need_their_bound() -> None:
    judged = np.random.default_rng(8).normal(-1.0, 0.8, size=200).clip(-4, 4)
    found = decide_early(judged, margin=0.1, n_planned=1000, bound=4.0)
    assert found.verdict is Verdict.WORSE
    with pytest.raises(ValueError, match="must lie within"):
        decide_early(judged, margin=0.1, n_planned=1000)


@given(thirds, st.integers(1, 60))
def test_more_items_never_change_a_decision(values: list[float], n: int) -> None:
    def decide(some: list[float]) -> EarlyDecision:
        return decide_early(np.array(some), margin=0.3, n_planned=100)

    first = decide(values[:n])
    if first.verdict is not Verdict.UNDECIDED:
        assert decide(values) == first


@given(thirds)
def test_the_sequence_contains_the_mean_ignores_the_order_and_is_symmetric(values: list[float]) -> None:
    here = confidence_sequence(np.array(values))
    assert -1.0 <= here.low <= np.mean(values) <= here.high <= 1.0
    reverse, mirrored = confidence_sequence(np.array(values[::-1])), confidence_sequence(-np.array(values))
    assert (reverse.low, reverse.high) == pytest.approx((here.low, here.high), abs=1e-9)
    assert (mirrored.low, mirrored.high) == pytest.approx((-here.high, -here.low), abs=1e-9)


# --- decisions while blocks come in ---------------------------------------------------------------

ENDED = np.ones(N, dtype=bool)


@pytest.mark.parametrize("changed", [0.02, 0.2])
def test_equal_arms_are_worse_in_at_most_2_5_percent_with_gaps_and_unscored_items(changed: float) -> None:
    # A decision at any look stays decided, so one look at all items counts the false alarms of every look.
    rng = np.random.default_rng(9)
    wrong = 0
    for row in _flips(rng, 400, 600, changed / 2, changed / 2):
        row[rng.random(600) < 0.05] = np.nan
        row[32 * rng.integers(18) :][:32] = np.nan  # a block that was given up
        wrong += decide_in_order(row, ENDED[:600], margin=MARGIN).decision.verdict is Verdict.WORSE
    assert wrong / 400 <= 0.025


def test_only_items_before_the_first_one_still_to_come_are_used() -> None:
    row = _flips(np.random.default_rng(10), 1, N, 0.5, 0.0)[0]
    ended = ENDED.copy()
    ended[10] = False
    found = decide_in_order(row, ended, margin=MARGIN)
    assert (found.decision.verdict, found.n_places, found.decision.saved_items) == (Verdict.UNDECIDED, 10, 0)
    found = decide_in_order(row, ENDED, margin=MARGIN)
    assert found.decision == decide_early(row, margin=MARGIN, n_planned=N)
    assert found.n_places == found.decision.n_items


def test_unscored_items_are_skipped_but_count_as_places() -> None:
    row = _flips(np.random.default_rng(11), 1, N, 0.5, 0.0)[0]
    gaps = np.insert(row, 5, [np.nan] * 7)[:N]
    found, plain = (decide_in_order(one, ENDED, margin=MARGIN) for one in (gaps, row))
    assert found.decision.n_items == plain.decision.n_items
    assert found.n_places == plain.n_places + 7
    assert found.decision.saved_items == N - found.n_places


def test_worse_is_decided_only_if_the_loss_survives_holm_for_any_other_benchmarks() -> None:
    row = _flips(np.random.default_rng(12), 1, N, 0.2, 0.02)[0]
    alone, among = (decide_early(row, margin=MARGIN, n_planned=N, n_tests=n) for n in (1, 10))
    assert (alone.verdict, among.verdict) == (Verdict.WORSE, Verdict.WORSE)
    assert alone.n_items < among.n_items
    p_alone, p_among = (sequence_p_beyond(row[: one.n_items], MARGIN) for one in (alone, among))
    assert 10 * p_among < 0.025 < 10 * p_alone < 0.25
    zeros = np.zeros(N)  # "No worse" needs no adjustment.
    assert decide_early(zeros, margin=MARGIN, n_planned=N, n_tests=10) == decide_early(
        zeros, margin=MARGIN, n_planned=N
    )


@given(thirds, st.integers(1, 12))
def test_the_decision_agrees_with_the_interval(values: list[float], n_tests: int) -> None:
    differences = np.array(values)
    found = decide_early(differences, margin=0.1, n_planned=100, n_tests=n_tests)
    if found.verdict is Verdict.NO_WORSE:
        assert found.interval.low > -0.1 - 1e-9
    if found.verdict is Verdict.WORSE:
        assert found.interval.high < -0.1 + 1e-9
        assert n_tests * sequence_p_beyond(differences[: found.n_items], 0.1) <= 0.025 + 1e-9


@given(thirds)
def test_p_is_small_exactly_if_the_interval_excludes_0(values: list[float]) -> None:
    differences = np.array(values)
    interval, p_value = confidence_sequence(differences), sequence_p_value(differences)
    if abs(p_value - 0.05) > 1e-9:
        assert (p_value < 0.05) == (not interval.low <= 0.0 <= interval.high)
    assert sequence_p_value(-differences) == pytest.approx(p_value)


def test_no_items_are_no_evidence() -> None:
    assert sequence_p_value(np.array([])) == 1.0
    assert sequence_p_beyond(np.array([]), MARGIN) == 1.0


def test_p_of_equal_arms_is_valid_for_any_stopping_rule() -> None:
    rng = np.random.default_rng(13)
    least = []
    for row in _flips(rng, 300, 300, 0.1, 0.1):
        least.append(min(sequence_p_value(row[:n]) for n in (25, 50, 100, 150, 200, 300)))
    assert np.mean(np.array(least) < 0.05) <= 0.05


def _guards(reference: np.ndarray, arm: np.ndarray, missing: int = 0) -> Guards:
    """Return the guards of an arm whose first `missing` items are unscored."""
    gone = np.arange(reference.size) < missing
    worst = np.where(gone, 0.0, arm)
    kept = arm - reference + 0.05 * reference
    return Guards(
        worst=np.where(gone, -1.0, arm - reference),
        kept=np.where(gone, np.nan, kept),
        worst_kept=worst - np.where(gone, 1.0, reference) + 0.05 * np.where(gone, 1.0, reference),
        reference=np.where(gone, np.nan, reference),
        chance=0.0,
    )


@pytest.mark.parametrize(
    ("right", "missing", "verdict"),
    [
        (0.7, 0, Verdict.NO_WORSE),
        (0.7, 40, Verdict.UNDECIDED),  # 40 of 1,319 items may have lost three times the margin
        (0.0, 0, Verdict.UNDECIDED),  # floor
        (1.0, 0, Verdict.UNDECIDED),  # ceiling
    ],
)
def test_no_worse_needs_the_guards(right: float, missing: int, verdict: Verdict) -> None:
    reference = (np.random.default_rng(14).random(N) < right).astype(float)
    differences = np.where(np.arange(N) < missing, np.nan, 0.0)
    guards = _guards(reference, reference, missing)
    found = decide_in_order(differences, ENDED, margin=MARGIN, guards=guards).decision
    assert found.verdict is verdict
    assert decide_in_order(differences, ENDED, margin=MARGIN).decision.verdict is Verdict.NO_WORSE


def test_the_sequence_of_a_mean_stays_on_its_scale() -> None:
    found = mean_sequence(np.array([1.0] * 30 + [0.0] * 10))
    assert 0.0 <= found.low < 0.75 < found.high <= 1.0
    assert mean_sequence(np.ones(50)).high == 1.0


def test_no_loss_shows_where_guessing_leaves_no_room_for_it() -> None:
    ones = np.ones(50)
    assert not Guards(ones, ones, ones, ones, chance=0.5).hold(50, 0.5, 0.0).any()
