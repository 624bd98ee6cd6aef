"""Verdicts: the rule case by case, and simulated arms with no loss, half of the margin, the margin and more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from stats.intervals import Interval
from stats.multiplicity import holm
from stats.paired import difference_interval
from stats.permutation import sign_flip_tests
from stats.reasons import Reason
from stats.verdict import (
    Evidence,
    Ground,
    Judgement,
    Verdict,
    detectable_drop,
    judge,
    judge_overall,
    p_beyond,
    standard_error_of,
    with_sign_flips,
)

MARGIN = 0.01
bounds = st.floats(-0.2, 0.2)


def _evidence(low: float, high: float, p_loss: float = 1.0, p_adjusted: float | None = None) -> Evidence:
    """Return the evidence of an interval whose p value agrees with it."""
    own = 0.001 if high < -MARGIN else 0.5
    adjusted = own if p_adjusted is None else p_adjusted
    return Evidence((low + high) / 2, Interval(low, high, "t"), MARGIN, p_loss, own, adjusted)


def _judge(low: float, high: float, p_loss: float = 1.0, p_adjusted: float | None = None) -> Judgement:
    return judge(_evidence(low, high, p_loss, p_adjusted))


@pytest.mark.parametrize(
    ("low", "high", "p", "verdict", "grounds"),
    [
        (-0.005, 0.02, 1.0, Verdict.NO_WORSE, (Ground.ABOVE_MARGIN,)),
        (-0.008, -0.001, 0.01, Verdict.NO_WORSE, (Ground.ABOVE_MARGIN, Ground.MEASURABLY_WORSE)),
        (0.001, 0.02, 0.01, Verdict.NO_WORSE, (Ground.ABOVE_MARGIN, Ground.MEASURABLY_BETTER)),
        (-0.05, -0.02, 0.001, Verdict.WORSE, (Ground.BELOW_MARGIN, Ground.ADJUSTED_P)),
        (-0.05, -0.001, 0.04, Verdict.UNDECIDED, (Ground.LOSS_SHOWN, Ground.SPANS_MARGIN)),
        (-0.05, -0.001, 0.06, Verdict.UNDECIDED, (Ground.SPANS_MARGIN,)),
        (-0.05, 0.001, 0.01, Verdict.UNDECIDED, (Ground.SPANS_MARGIN,)),
        (-0.02, 0.08, 0.04, Verdict.UNDECIDED, (Ground.SPANS_MARGIN,)),
        (-0.01, 0.02, 1.0, Verdict.UNDECIDED, (Ground.SPANS_MARGIN,)),
    ],
)
def test_the_rule(low: float, high: float, p: float, verdict: Verdict, grounds: tuple[Ground, ...]) -> None:
    assert _judge(low, high, p) == Judgement(verdict, grounds)


def test_unscored_records_a_share_to_keep_and_the_level_of_the_reference_can_each_refuse_no_worse() -> None:
    good, inside, outside = _evidence(-0.005, 0.02), Interval(0.001, 0.02, "t"), Interval(-0.03, 0.02, "t")
    fine = replace(good, kept=inside, missing=True, worst=Interval(-0.009, 0.01, "t"), worst_kept=inside)
    assert judge(fine).verdict is Verdict.NO_WORSE
    refused = {
        Ground.UNSCORED: [
            replace(fine, worst=outside),
            replace(fine, worst_kept=outside),
            replace(good, missing=True),  # no worst score exists
        ],
        Ground.SPANS_SHARE: [replace(fine, kept=outside)],
        Ground.FLOOR: [replace(fine, level=Ground.FLOOR)],
        Ground.CEILING: [replace(fine, level=Ground.CEILING)],
    }
    for ground, cases in refused.items():
        assert [judge(one) for one in cases] == [Judgement(Verdict.UNDECIDED, (ground,))] * len(cases)


def test_without_an_interval_or_a_margin_there_is_no_final_verdict() -> None:
    no = Reason.NO_PAIRED_ITEMS
    assert judge(Evidence(no, no, MARGIN, no, no, no)) == Judgement(Verdict.UNDECIDED, (Ground.NO_INTERVAL,))
    lost = Evidence(-0.4, Interval(-0.6, -0.2, "t"), None, 0.01, Reason.NO_MARGIN, Reason.NO_MARGIN)
    assert judge(lost) == Judgement(Verdict.UNDECIDED, (Ground.LOSS_SHOWN, Ground.NO_MARGIN))


@given(bounds, bounds, st.floats(0, 1))
def test_no_worse_and_worse_exclude_each_other(one: float, other: float, p: float) -> None:
    low, high = sorted((one, other))
    found = _judge(low, high, p)
    assert (found.verdict is Verdict.NO_WORSE) == (low > -MARGIN)
    assert (found.verdict is Verdict.WORSE) == (high < -MARGIN)


def test_overall_no_worse_means_on_every_benchmark() -> None:
    good, unknown = _judge(-0.005, 0.01), _judge(-0.05, 0.05)
    assert judge_overall([good, good]) == Judgement(Verdict.NO_WORSE, (Ground.ALL_BENCHMARKS,))
    assert judge_overall([good, unknown]) == Judgement(Verdict.UNDECIDED, (Ground.SOME_UNDECIDED,))
    lost = _judge(-0.05, -0.001, 0.04)
    assert judge_overall([good, lost]).grounds == (Ground.SOME_UNDECIDED, Ground.LOSS_SHOWN)
    assert judge_overall([]).grounds == (Ground.NOTHING_COMPARED,)


def test_overall_worse_must_survive_the_adjustment() -> None:
    good, shown, hinted = _judge(-0.005, 0.01), _judge(-0.05, -0.02, 0.001), _judge(-0.05, -0.02, 0.2, 0.03)
    assert judge_overall([good, shown]) == Judgement(Verdict.WORSE, (Ground.SOME_WORSE,))
    assert hinted.verdict is Verdict.WORSE
    assert judge_overall([good, hinted]) == Judgement(Verdict.UNDECIDED, (Ground.WORSE_BEFORE_ADJUSTMENT,))


def test_the_p_value_of_a_loss_beyond_the_margin_is_close_to_that_of_a_one_sided_t_test() -> None:
    differences = np.repeat([-1.0, 1.0, 0.0], [40, 12, 348])
    interval = difference_interval(differences, proportion=True)
    assert isinstance(interval, Interval)
    usual = scipy_stats.ttest_1samp(differences, -MARGIN, alternative="less").pvalue
    assert p_beyond(float(differences.mean()), interval, -MARGIN, 400) == pytest.approx(usual, rel=0.15)
    # Two lost items of two: their interval lies far below the margin, one of four sign assignments says so.
    lost = difference_interval(np.array([-1.0, -1.0]), proportion=True)
    assert isinstance(lost, Interval)
    assert lost.high < -MARGIN
    assert with_sign_flips(p_beyond(-1.0, lost, -MARGIN, 2), 0.5, -1.0) == 0.25


def test_the_detectable_drop_follows_from_the_standard_error() -> None:
    # n = 1172, 10% discordance: 2.59 points (the table of stats.power); Wilson's intervals are 1% wider.
    differences = np.repeat([-1.0, 1.0, 0.0], [59, 58, 1055])
    interval = difference_interval(differences, proportion=True)
    assert isinstance(interval, Interval)
    assert detectable_drop(float(differences.mean()), interval, 1172) == pytest.approx(0.0262, abs=5e-5)
    error = differences.std(ddof=1) / 1172**0.5
    assert standard_error_of(float(differences.mean()), interval, 1172) == pytest.approx(error, rel=0.02)
    student = difference_interval(differences, proportion=False)
    assert isinstance(student, Interval)
    assert standard_error_of(float(differences.mean()), student, 1172) == pytest.approx(error)


def _simulated(rng: np.random.Generator, n_benchmarks: int, loss: float, n: int = 300) -> Judgement:
    """Simulate one arm on several benchmarks. 5% of answers flip either way, and `loss` more are lost."""
    columns = rng.choice([-1.0, 1.0, 0.0], p=[0.05 + loss, 0.05, 0.9 - loss], size=(n, n_benchmarks))
    p_values = [test.p_value for test in sign_flip_tests(columns, rng)]
    means = [float(mean) for mean in columns.mean(axis=0)]
    found = [difference_interval(column, proportion=True) for column in columns.T]
    beyond = [
        with_sign_flips(p_beyond(mean, one, -MARGIN, n), p, mean)
        for mean, one, p in zip(means, found, p_values, strict=True)
        if isinstance(one, Interval)
    ]
    adjusted = zip(holm(np.array(p_values)).tolist(), beyond, holm(np.array(beyond)).tolist(), strict=True)
    return judge_overall(
        [judge(Evidence(mean, one, MARGIN, *p)) for mean, one, p in zip(means, found, adjusted, strict=True)]
    )


@pytest.mark.parametrize(("loss", "n_benchmarks"), [(0.0, 4), (MARGIN / 2, 1), (MARGIN, 1), (MARGIN, 4)])
def test_an_arm_within_the_margin_is_called_worse_in_at_most_2_5_percent(loss: float, n_benchmarks: int) -> None:
    rng = np.random.default_rng(1)
    verdicts = [_simulated(rng, n_benchmarks, loss, 1000).verdict for _ in range(400)]
    assert np.mean([one is Verdict.WORSE for one in verdicts]) <= 0.025 + 0.016  # two standard errors


def test_a_shown_loss_of_half_the_margin_stays_undecided_or_becomes_no_worse() -> None:
    rng = np.random.default_rng(4)
    found = [_simulated(rng, 1, MARGIN / 2, 12_000) for _ in range(60)]
    assert {one.verdict for one in found} <= {Verdict.UNDECIDED, Verdict.NO_WORSE}


def test_an_arm_on_the_margin_is_called_no_worse_in_at_most_5_percent() -> None:
    rng = np.random.default_rng(2)
    verdicts = [_simulated(rng, n_benchmarks=1, loss=MARGIN).verdict for _ in range(600)]
    assert np.mean([one is Verdict.NO_WORSE for one in verdicts]) <= 0.05


def test_a_large_loss_is_called_worse() -> None:
    rng = np.random.default_rng(3)
    assert all(_simulated(rng, n_benchmarks=2, loss=0.2).verdict is Verdict.WORSE for _ in range(40))
