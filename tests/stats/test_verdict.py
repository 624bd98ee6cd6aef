"""Verdicts: the rule case by case, items needed to decide, and simulated arms with no loss or a loss at the margin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stats.intervals import Interval
from stats.multiplicity import holm
from stats.paired import difference_interval, wilson_of_shares
from stats.permutation import sign_flip_tests
from stats.reasons import Reason
from stats.verdict import (
    Ground,
    Judgement,
    Verdict,
    detectable_drop,
    items_to_decide_flips,
    judge,
    judge_overall,
    needed_to_decide,
    standard_error_of,
)

MARGIN = 0.01
bounds = st.floats(-0.2, 0.2)


def _judge(low: float, high: float, p_adjusted: float = 1.0) -> Judgement:
    return judge((low + high) / 2, Interval(low, high, "t"), p_adjusted, MARGIN)


@pytest.mark.parametrize(
    ("low", "high", "p", "verdict", "grounds"),
    [
        (-0.005, 0.02, 1.0, Verdict.NO_WORSE, (Ground.ABOVE_MARGIN,)),
        (-0.008, -0.001, 0.01, Verdict.NO_WORSE, (Ground.ABOVE_MARGIN, Ground.MEASURABLY_WORSE)),
        (0.001, 0.02, 0.01, Verdict.NO_WORSE, (Ground.ABOVE_MARGIN, Ground.MEASURABLY_BETTER)),
        (-0.05, -0.02, 0.001, Verdict.WORSE, (Ground.BELOW_MARGIN, Ground.ADJUSTED_P)),
        (-0.05, -0.02, 0.2, Verdict.WORSE, (Ground.BELOW_MARGIN,)),
        (-0.05, -0.001, 0.04, Verdict.WORSE, (Ground.ADJUSTED_P,)),
        (-0.05, -0.001, 0.06, Verdict.UNDECIDED, (Ground.SPANS_MARGIN,)),
        (-0.02, 0.08, 0.04, Verdict.UNDECIDED, (Ground.SPANS_MARGIN,)),
        (-0.01, 0.02, 1.0, Verdict.UNDECIDED, (Ground.SPANS_MARGIN,)),
    ],
)
def test_the_rule(low: float, high: float, p: float, verdict: Verdict, grounds: tuple[Ground, ...]) -> None:
    assert _judge(low, high, p) == Judgement(verdict, grounds)


def test_without_an_interval_or_a_margin_no_arm_is_no_worse() -> None:
    nothing = judge(Reason.NO_PAIRED_ITEMS, Reason.NO_PAIRED_ITEMS, Reason.NO_P_VALUE, MARGIN)
    assert nothing == Judgement(Verdict.UNDECIDED, (Ground.NO_INTERVAL,))
    wide = judge(0.0, Interval(-0.001, 0.001, "t"), 1.0, None)
    assert wide == Judgement(Verdict.UNDECIDED, (Ground.NO_MARGIN,))
    assert judge(-0.4, Interval(-0.6, -0.2, "t"), 0.01, None).verdict is Verdict.WORSE


@given(bounds, bounds, st.floats(0, 1))
def test_no_worse_and_worse_exclude_each_other(one: float, other: float, p: float) -> None:
    low, high = sorted((one, other))
    found = _judge(low, high, p)
    assert (found.verdict is Verdict.NO_WORSE) == (low > -MARGIN)
    assert found.verdict is not Verdict.WORSE or low + high < 0
    better = _judge(low + 0.01, high + 0.01, p)
    order = [Verdict.WORSE, Verdict.UNDECIDED, Verdict.NO_WORSE]
    assert order.index(better.verdict) >= order.index(found.verdict)


def test_overall_no_worse_means_on_every_benchmark() -> None:
    good, unknown = _judge(-0.005, 0.01), _judge(-0.05, 0.05)
    assert judge_overall([good, good]) == Judgement(Verdict.NO_WORSE, (Ground.ALL_BENCHMARKS,))
    assert judge_overall([good, unknown]) == Judgement(Verdict.UNDECIDED, (Ground.SOME_UNDECIDED,))
    assert judge_overall([]).grounds == (Ground.NOTHING_COMPARED,)


def test_overall_worse_must_survive_the_adjustment() -> None:
    good, shown, hinted = _judge(-0.005, 0.01), _judge(-0.05, -0.02, 0.001), _judge(-0.05, -0.02, 0.2)
    assert judge_overall([good, shown]) == Judgement(Verdict.WORSE, (Ground.SOME_WORSE,))
    assert judge_overall([good, hinted]) == Judgement(Verdict.UNDECIDED, (Ground.WORSE_BEFORE_ADJUSTMENT,))
    assert judge_overall([hinted]).verdict is Verdict.WORSE  # With a single benchmark there is nothing to adjust for.


def test_the_detectable_drop_follows_from_the_standard_error() -> None:
    # n = 1172, 10% discordance: 2.59 points (the table of stats.power), apart from t instead of z and n - 1.
    differences = np.repeat([-1.0, 1.0, 0.0], [59, 58, 1055])
    interval = difference_interval(differences, proportion=True)
    assert isinstance(interval, Interval)
    assert detectable_drop(float(differences.mean()), interval, 1172) == pytest.approx(0.0259, abs=5e-5)
    error = differences.std(ddof=1) / 1172**0.5
    assert standard_error_of(float(differences.mean()), interval, 1172) == pytest.approx(error)


def test_needed_items_and_repeats_follow_from_the_observed_spread() -> None:
    # No loss, variance .1: 7849 items for a margin of .01. With 2 runs half of the variance is sampling.
    found = needed_to_decide(0.0, 0.1, 1000, MARGIN, within_variance=0.05, n_runs=2)
    assert (found.n_items, found.n_runs) == (7849, Reason.MORE_RUNS_DO_NOT_HELP)
    # 5000 items allow a variance of .0637 per item. The items take .05, so sampling may take .0137: .1/.0137 = 7.3.
    runs = needed_to_decide(0.0, 0.1, 5000, MARGIN, within_variance=0.05, n_runs=2)
    assert (runs.n_items, runs.n_runs) == (7849, 8)
    assert needed_to_decide(0.0, 0.1, 5000, MARGIN, within_variance=None, n_runs=1).n_runs is (
        Reason.MORE_RUNS_DO_NOT_HELP
    )


def test_just_above_the_margin_no_number_of_items_decides() -> None:
    found = needed_to_decide(-MARGIN + 1e-9, 0.1, 1000, MARGIN, within_variance=None, n_runs=1)
    assert (found.n_items, found.n_runs) == (Reason.ON_THE_MARGIN, Reason.ON_THE_MARGIN)
    assert items_to_decide_flips(0.1, 0.1 + MARGIN - 1e-7, 100, MARGIN) is Reason.ON_THE_MARGIN


def test_on_the_margin_a_loss_can_still_be_shown_to_be_real() -> None:
    # (2.8016/.01)²·.1 = 7849 items.
    assert needed_to_decide(-MARGIN, 0.1, 1000, MARGIN, within_variance=None, n_runs=1).n_items == 7849


def test_items_without_flips_decide_at_a_little_more_than_four_in_n() -> None:
    # 2.8016/1.96 · z²/(n + z²) < .01 from n = 546 on. The interval itself lies above -.01 from n = 381 on.
    assert items_to_decide_flips(0.0, 0.0, 40, MARGIN) == 546
    assert wilson_of_shares(0.0, 0.0, 381).low > -MARGIN > wilson_of_shares(0.0, 0.0, 380).low


@given(st.floats(0, 0.2), st.floats(0, 0.2), st.integers(10, 500))
def test_the_number_of_items_that_decides_is_the_first_one(gain: float, loss: float, n: int) -> None:
    assume(abs(gain - loss + MARGIN) > 1e-3)
    found = items_to_decide_flips(gain, loss, n, MARGIN)
    assert isinstance(found, int)
    assert found > n
    interval = wilson_of_shares(gain, loss, found)
    assert interval.low > -MARGIN if gain - loss > -MARGIN else interval.high < 0
    assert items_to_decide_flips(gain, loss, found, MARGIN) == found + 1
    if found > n + 1:
        assert items_to_decide_flips(gain, loss, found - 2, MARGIN) == found


def _simulated(rng: np.random.Generator, n_benchmarks: int, loss: float) -> Judgement:
    """Simulate one arm on several benchmarks of 300 items. 5% of answers flip either way, and `loss` more are lost."""
    columns = rng.choice([-1.0, 1.0, 0.0], p=[0.05 + loss, 0.05, 0.9 - loss], size=(300, n_benchmarks))
    adjusted = holm(np.array([test.p_value for test in sign_flip_tests(columns, rng)]))
    return judge_overall(
        [
            judge(float(column.mean()), difference_interval(column, proportion=True), p, MARGIN)
            for column, p in zip(columns.T, adjusted.tolist(), strict=True)
        ]
    )


def test_equal_arms_are_called_worse_in_at_most_5_percent() -> None:
    rng = np.random.default_rng(1)
    verdicts = [_simulated(rng, n_benchmarks=5, loss=0.0).verdict for _ in range(600)]
    assert np.mean([one is Verdict.WORSE for one in verdicts]) <= 0.05


def test_an_arm_on_the_margin_is_called_no_worse_in_at_most_5_percent() -> None:
    rng = np.random.default_rng(2)
    verdicts = [_simulated(rng, n_benchmarks=1, loss=MARGIN).verdict for _ in range(600)]
    assert np.mean([one is Verdict.NO_WORSE for one in verdicts]) <= 0.05


def test_a_large_loss_is_called_worse() -> None:
    rng = np.random.default_rng(3)
    assert all(_simulated(rng, n_benchmarks=2, loss=0.2).verdict is Verdict.WORSE for _ in range(40))
