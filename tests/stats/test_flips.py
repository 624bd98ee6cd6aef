"""Flipped answers: reference values of McNemar's test, pairs of seeds by hand, the noise floor, odds, bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from stats.flips import ItemFlips, Rate, flips, is_binary, mcnemar, odds_ratio, rate
from stats.intervals import Interval
from stats.reasons import Reason

NAN = float("nan")
answers = st.lists(st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=3, max_size=3), min_size=1, max_size=30)
counts = st.tuples(st.integers(0, 200), st.integers(0, 200))


@pytest.mark.parametrize(
    ("lost", "gained", "two_sided", "worse", "mid"),
    [(15, 5, 0.041389, 0.020695, 0.026604), (40, 25, 0.081682, 0.040841, 0.064018)],
)
def test_mcnemar_gives_the_reference_values(lost: int, gained: int, two_sided: float, worse: float, mid: float) -> None:
    found = mcnemar(lost, gained, 1319)
    assert (found.p_value, found.p_value_worse, found.p_value_mid) == pytest.approx((two_sided, worse, mid), abs=6e-7)


def test_equal_gains_and_losses_are_no_evidence() -> None:
    assert mcnemar(8, 8, 100).p_value == 1.0  # Twice the tail probability would be 1.196.
    assert mcnemar(8, 8, 100).p_value_mid == pytest.approx(1.0)
    assert (mcnemar(0, 0, 10).p_value, mcnemar(0, 0, 10).p_value_worse) == (1.0, 1.0)


def test_the_interval_of_mcnemar_gives_the_reference_values() -> None:
    interval = mcnemar(40, 25, 1319).interval
    assert (interval.low, interval.high) == pytest.approx((-0.023393, 0.000683), abs=6e-7)


@given(counts)
def test_mcnemar_equals_scipys_binomial_test(of: tuple[int, int]) -> None:
    lost, gained = of
    found = mcnemar(lost, gained, lost + gained + 10)
    if lost + gained:
        assert found.p_value == pytest.approx(scipy_stats.binomtest(lost, lost + gained).pvalue)
        one_sided = scipy_stats.binomtest(lost, lost + gained, alternative="greater").pvalue
        assert found.p_value_worse == pytest.approx(one_sided)
    assert 0.0 < found.p_value_mid <= found.p_value + 1e-12
    swapped = mcnemar(gained, lost, lost + gained + 10)
    assert (found.p_value, found.interval.low) == pytest.approx((swapped.p_value, -swapped.interval.high))


def test_pairs_of_seeds_worked_by_hand() -> None:
    # Reference right under seeds 0 and 1, arm under seed 0 only. Different seeds: (0, 1) lost, (1, 0) kept: 1/2.
    arm, reference = np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])
    found = flips(arm, reference, different_seeds=True)
    assert (found.lost.tolist(), found.gained.tolist()) == ([0.5], [0.0])
    same = flips(arm, reference, different_seeds=False)
    assert same.lost.tolist() == [0.5]  # Seed 0 kept, seed 1 lost.
    # Seed 1 of the arm is unscored, so only the pair (1, 0) of different seeds is left.
    missing = flips(np.array([[1.0, NAN]]), reference, different_seeds=True)
    assert missing.lost.tolist() == [0.0]


def test_an_item_without_a_pair_is_unknown() -> None:
    found = flips(np.array([[1.0, NAN]]), np.array([[1.0, NAN]]), different_seeds=True)
    assert np.isnan(found.both).all()


def test_every_pair_is_counted_once() -> None:
    rng = np.random.default_rng(1)
    arm, reference = (rng.integers(0, 2, size=(20, 4)).astype(float) for _ in range(2))
    arm[3, 1] = reference[5, 2] = NAN
    found = flips(arm, reference, different_seeds=True)
    for item in range(20):
        pairs = [
            (reference[item, s], arm[item, r])
            for s in range(4)
            for r in range(4)
            if s != r and not np.isnan(reference[item, s]) and not np.isnan(arm[item, r])
        ]
        assert found.lost[item] == pytest.approx(np.mean([one == 1 and other == 0 for one, other in pairs]))
        assert found.gained[item] == pytest.approx(np.mean([one == 0 and other == 1 for one, other in pairs]))


def test_an_arm_that_differs_only_by_sampling_flips_as_much_as_the_noise_floor() -> None:
    rng = np.random.default_rng(2)
    chances = rng.beta(0.8, 0.4, size=(4000, 1))
    reference, arm = ((rng.random((4000, 5)) < chances).astype(float) for _ in range(2))
    floor = flips(reference, reference, different_seeds=True)
    found = flips(arm, reference, different_seeds=True)
    assert floor.lost == pytest.approx(floor.gained)
    assert found.both.mean() == pytest.approx(floor.both.mean(), abs=0.015)
    # 2·E[p(1-p)] for Beta(.8, .4): 2·.8·.4/(1.2·2.2).
    assert floor.both.mean() == pytest.approx(2 * 0.8 * 0.4 / (1.2 * 2.2), abs=0.015)


@given(answers, answers)
def test_flips_are_shares_and_swapping_the_arms_swaps_them(one: list[list[float]], other: list[list[float]]) -> None:
    size = min(len(one), len(other))
    arm, reference = np.array(one[:size]), np.array(other[:size])
    for different in (False, True):
        found = flips(arm, reference, different_seeds=different)
        swapped = flips(reference, arm, different_seeds=different)
        known = found.both[~np.isnan(found.both)]
        assert np.all((known >= 0) & (known <= 1 + 1e-12))
        np.testing.assert_allclose(found.lost, swapped.gained)


def test_each_rate_gets_the_interval_that_fits_it() -> None:
    one_run = rate(np.repeat([1.0, 0.0], [3, 997]))
    few = rate(np.repeat([0.2, 0.0], [49, 951]))
    many = rate(np.repeat([0.2, 0.0], [50, 950]))
    methods = [one.interval.method for one in (one_run, few, many)]  # type: ignore[union-attr]
    assert methods == ["clopper_pearson", "wilson", "t"]
    assert rate(np.array([])) is Reason.NO_PAIRED_ITEMS


@pytest.mark.parametrize("chance", [0.002, 0.01, 0.05])
def test_rates_over_pairs_of_seeds_cover_even_if_flips_are_rare(chance: float) -> None:
    # Shares of 20 pairs. Items differ: their probabilities are Beta with the given mean.
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        shares = rng.binomial(20, rng.beta(0.5, 0.5 / chance - 0.5, size=500)) / 20
        found = rate(shares)
        assert isinstance(found, Rate)
        assert isinstance(found.interval, Interval)
        covered += found.interval.low <= chance <= found.interval.high
    assert covered / 400 >= 0.92  # Standard error .011 at .95.


def test_the_odds_ratio_of_one_run_is_mcnemars() -> None:
    lost, gained = np.repeat([1.0, 0.0], [40, 1279]), np.repeat([0.0, 1.0, 0.0], [40, 25, 1254])
    found = odds_ratio(lost, gained)
    assert isinstance(found, Rate)
    assert found.value == pytest.approx(40 / 25)
    exact = scipy_stats.beta.ppf([0.025, 0.975], 41, 26)
    assert isinstance(found.interval, Interval)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(exact / (1 - exact)))


def test_the_odds_ratio_of_many_runs_covers_the_true_one() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(400):
        shaky = rng.beta(0.5, 2.0, size=400)
        lost, gained = rng.binomial(20, 0.3 * shaky) / 20, rng.binomial(20, 0.2 * shaky) / 20
        found = odds_ratio(lost, gained)
        assert isinstance(found, Rate)
        assert isinstance(found.interval, Interval)
        covered += found.interval.low <= 1.5 <= found.interval.high
    assert 0.92 <= covered / 400 <= 0.98


def test_without_flips_there_are_no_odds() -> None:
    none, some = np.zeros(10), np.array([0.5] + [0.0] * 9)
    assert odds_ratio(none, none) is Reason.NO_FLIPS
    assert odds_ratio(some, none) is Reason.NO_FLIPS
    assert odds_ratio(np.ones(3), np.zeros(3)) is Reason.NO_FLIPS


def test_one_flip_each_way_gives_a_wide_interval_of_the_odds() -> None:
    found = odds_ratio(np.array([0.5, 0.0]), np.array([0.0, 0.5]))
    assert isinstance(found, Rate)
    assert isinstance(found.interval, Interval)
    assert found.value == 1.0
    assert found.interval.low < 0.1
    assert found.interval.high > 10


def test_few_items_that_lose_more_than_they_gain_do_not_make_the_odds_certain() -> None:
    # Forty unstable items flip equally both ways, three of them lose once more. The delta method gives [1.00, 1.10].
    lost, gained = np.full(40, 2 / 6), np.full(40, 2 / 6)
    lost[:3] += 1 / 6
    found = odds_ratio(lost, gained)
    assert isinstance(found, Rate)
    assert isinstance(found.interval, Interval)
    assert found.interval.low < 0.7
    assert found.interval.high > 1.4


@pytest.mark.parametrize(("n", "worse"), [(40, 1.0), (64, 2.0), (300, 1.5)])
def test_the_odds_of_sampled_answers_cover_the_true_ones(n: int, worse: float) -> None:
    # A third of the items are unstable: right half of the time under the reference, less often under the arm.
    rng = np.random.default_rng(7)
    chance = 1 / (1 + worse)
    truth = (0.5 * (1 - chance)) / (0.5 * chance)
    covered, known = 0, 0
    for _ in range(400):
        shaky = rng.random((n, 1)) < 0.33
        reference = np.where(shaky, rng.random((n, 3)) < 0.5, 1.0)
        arm = np.where(shaky, rng.random((n, 3)) < chance, 1.0)
        found = flips(arm, reference, different_seeds=True)
        ratio = odds_ratio(found.lost, found.gained)
        if isinstance(ratio, Rate) and isinstance(ratio.interval, Interval):
            known += 1
            covered += ratio.interval.low <= truth <= ratio.interval.high
    assert known > 350
    assert covered / known >= 0.92


def test_judged_scores_do_not_flip() -> None:
    assert is_binary(np.array([0.0, 1.0, NAN]))
    assert not is_binary(np.array([0.0, 0.5]))
    assert isinstance(ItemFlips(np.zeros(1), np.zeros(1)).both, np.ndarray)
