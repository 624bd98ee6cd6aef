"""Paired differences: pairing rules, cases by hand, coverage if few items differ, properties, degenerate data."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from stats.intervals import TAIL, Interval, t_interval, t_quantile
from stats.paired import (
    PairedDifference,
    Pairing,
    cohens_d,
    difference_interval,
    pair_items,
    paired_difference,
    wilson_of_gains_and_losses,
)
from stats.permutation import sign_flip_tests
from stats.reasons import Reason
from tests.stats.looks_simulation import MARGIN, bounds

thirds = st.lists(st.integers(-3, 3).map(lambda steps: steps / 3), min_size=2, max_size=80)


def _compare(differences: list[float] | np.ndarray, *, proportion: bool = True) -> PairedDifference:
    return paired_difference(np.array(differences), proportion=proportion)


def _p_value(differences: list[float] | np.ndarray) -> float:
    return sign_flip_tests(np.array(differences)[:, None], np.random.default_rng(0))[0].p_value


def _items(*rows: tuple[str, str | None, float | None]) -> pl.DataFrame:
    schema = {"item_id": pl.String, "prompt_hash": pl.String, "mean": pl.Float64}
    frame = pl.DataFrame(list(rows), schema=schema, orient="row")
    frame = frame.with_columns(cluster=pl.format("item {}", "item_id"))
    return frame.with_columns(n_runs=pl.when(pl.col("mean").is_null()).then(0).otherwise(3).cast(pl.Int64))


def test_items_pair_by_id_and_prompt_and_the_others_are_counted() -> None:
    arm = _items(("a", "1", 1.0), ("b", "2", 0.5), ("c", "3", None), ("d", "4", 0.25))
    reference = _items(("d", "4", 1.0), ("c", "3", 1.0), ("b", "other", 1.0), ("a", "1", 0.5))
    pairing = pair_items(arm, reference)
    assert isinstance(pairing, Pairing)
    assert pairing.differences.tolist() == [0.5, -0.75]
    assert (pairing.n_unscored, pairing.n_prompt_mismatch, pairing.n_runs) == (1, 1, 3)


def test_arms_planned_on_different_items_are_not_paired() -> None:
    assert pair_items(_items(("a", "1", 1.0)), _items(("b", "1", 1.0))) is Reason.PLANNED_SETS_DIFFER


def test_a_case_worked_by_hand() -> None:
    # d = 1, 2, 3, 6: mean 3, sd sqrt(14/3) = 2.160247, half-width 3.182446 * 2.160247/2 = 3.437435;
    # J = 1 - 3/(4*3 - 1) = 8/11, d_z = 8/11 * 3/2.160247 = 1.009986; all have the same sign: p = 2/16.
    found = _compare([1.0, 2.0, 3.0, 6.0], proportion=False)
    assert isinstance(found.interval, Interval)
    assert found.difference == 3.0
    assert (found.interval.low, found.interval.high) == pytest.approx((3 - 3.437435, 3 + 3.437435), abs=1e-5)
    assert found.cohens_d == pytest.approx(1.009986, abs=1e-5)
    assert _p_value([1.0, 2.0, 3.0, 6.0]) == pytest.approx(2 / 16)


def test_the_interval_is_close_to_the_reference_of_discordant_pairs() -> None:
    # n = 1319, b = 40, c = 25. Wilson: losses [.022349, .041031], gains [.012871, .027831]; r = -.024581, so the lower
    # half is √(.006083² + .010705² - 2·r·.006083·.010705) = .012442. For comparison, Wald: [-.023337, +.000592].
    found = _compare(np.repeat([-1.0, 1.0, 0.0], [40, 25, 1254]))
    assert found.difference == pytest.approx(-0.011372, abs=5e-7)
    assert isinstance(found.interval, Interval)
    assert found.interval.method == "wilson_gains_losses"
    assert (found.interval.low, found.interval.high) == pytest.approx((-0.023814, 0.000707), abs=1e-6)


def test_repeats_and_shared_sources_by_hand() -> None:
    # Two runs of 30 items. L: mean .2, Σ(l - L)²·30/29 = 3.413793. With one more loss of 1, D is
    # (3.413793/.8 + 1)/(6 + 1) = .752463, so n is 39.869. G: mean .05, D = .694011, n = 43.227. Wilson with
    # t(29) = 2.045230: L [.101978, .354995], G [.013761, .165646]; r = -.201008.
    differences = np.repeat([-0.5, -1.0, 0.5, 0.0], [6, 3, 3, 18])
    found = difference_interval(differences, proportion=True)
    assert isinstance(found, Interval)
    assert (found.low, found.high) == pytest.approx((-0.316116, 0.015950), abs=1e-6)
    # Each item of a source twice: nothing new is learned, because D doubles. One more loss weighs half as much.
    sources = np.tile(np.arange(30), 2)
    doubled = difference_interval(np.tile(differences, 2), proportion=True, clusters=sources)
    assert isinstance(doubled, Interval)
    assert (doubled.low, doubled.high) == pytest.approx((found.low, found.high), abs=0.015)


def test_interval_and_p_agree_with_scipy() -> None:
    rng = np.random.default_rng(12)
    arm, reference = rng.integers(0, 4, 12) / 3, rng.integers(0, 4, 12) / 3
    found = _compare(arm - reference, proportion=False)
    theirs = scipy_stats.ttest_rel(arm, reference).confidence_interval(0.95)
    assert isinstance(found.interval, Interval)
    assert (found.interval.low, found.interval.high) == pytest.approx((theirs.low, theirs.high))
    permuted = scipy_stats.permutation_test(
        (arm, reference), lambda a, b: np.round(np.mean(a - b), 9), permutation_type="samples", n_resamples=10**6
    )
    assert _p_value(arm - reference) == pytest.approx(permuted.pvalue)


def test_the_variance_is_that_of_both_arms_minus_twice_their_covariance() -> None:
    rng = np.random.default_rng(7)
    arm, reference = rng.random(50), rng.random(50)
    interval = difference_interval(arm - reference, proportion=False)
    assert isinstance(interval, Interval)
    shared = 2 * np.cov(arm, reference)[0, 1]
    error = np.sqrt((arm.var(ddof=1) + reference.var(ddof=1) - shared) / 50)
    assert interval.high - interval.low == pytest.approx(2 * t_quantile(49) * error)


def test_equal_answers_do_not_prove_equality() -> None:
    found = _compare(np.zeros(40))
    assert isinstance(found.interval, Interval)
    assert (found.difference, found.cohens_d) == (0.0, Reason.ZERO_VARIANCE)
    assert _p_value(np.zeros(40)) == 1.0
    # z²/(n + z²) = 3.841459/43.841459
    assert (found.interval.low, found.interval.high) == pytest.approx((-0.0876216, 0.0876216), abs=1e-6)


def test_all_items_lost_has_an_interval_and_no_effect_size() -> None:
    found = _compare(-np.ones(40))
    assert isinstance(found.interval, Interval)
    assert found.interval.low == -1.0
    assert -1.0 < found.interval.high < -0.8
    assert found.cohens_d is Reason.ZERO_VARIANCE


def test_degenerate_data_have_reasons() -> None:
    none = _compare([])
    assert (none.difference, none.interval, none.cohens_d) == (Reason.NO_PAIRED_ITEMS,) * 3
    one = _compare([0.5])
    assert one.interval == Interval(-1.0, 1.0, "score_range")
    assert one.cohens_d is Reason.TOO_FEW_ITEMS
    assert _compare([0.5], proportion=False).interval is Reason.ONE_ITEM
    assert _compare([0.0, 0.0, 0.0], proportion=False).interval is Reason.ZERO_VARIANCE


@given(thirds)
def test_swapping_the_arms_mirrors_everything(values: list[float]) -> None:
    one, other = _compare(values), _compare([-value for value in values])
    assert isinstance(one.interval, Interval)
    assert isinstance(other.interval, Interval)
    assert not isinstance(other.difference, Reason)
    assert one.difference == pytest.approx(-other.difference)
    assert (one.interval.low, one.interval.high) == pytest.approx((-other.interval.high, -other.interval.low))
    if not isinstance(one.cohens_d, Reason):
        assert one.cohens_d == pytest.approx(-other.cohens_d)  # type: ignore[operator]


@given(thirds)
def test_the_interval_has_a_width_contains_the_mean_and_stays_on_the_scale(values: list[float]) -> None:
    interval = difference_interval(np.array(values), proportion=True)
    assert isinstance(interval, Interval)
    assert -1.0 <= interval.low < interval.high <= 1.0
    assert interval.low - 1e-12 <= np.mean(values) <= interval.high + 1e-12


@given(st.integers(1, 400))
def test_the_interval_without_any_difference_is_about_three_in_n_and_narrows(n: int) -> None:
    here, more = (wilson_of_gains_and_losses(np.zeros(size)) for size in (n, n + 1))
    assert here.high == pytest.approx(1.959964**2 / (n + 1.959964**2), rel=1e-5)
    assert more.high < here.high


@pytest.mark.parametrize(
    ("n", "loss", "gain"),
    [(40, 0.01, 0.0), (40, 0.05, 0.0), (40, 0.1, 0.05), (40, 0.3, 0.1), (100, 0.02, 0.005), (100, 0.15, 0.15)],
)
def test_the_interval_covers_the_true_difference_even_if_few_items_differ(n: int, loss: float, gain: float) -> None:
    rng = np.random.default_rng(8)
    covered = 0
    for losses, gains, same in rng.multinomial(n, [loss, gain, 1 - loss - gain], size=1000):
        interval = difference_interval(np.repeat([-1.0, 1.0, 0.0], [losses, gains, same]), proportion=True)
        assert isinstance(interval, Interval)
        covered += interval.low <= gain - loss <= interval.high
    assert covered / 1000 >= 0.93


def test_the_interval_covers_the_difference_of_sampled_answers() -> None:
    rng = np.random.default_rng(9)
    covered = 0
    for _ in range(1000):
        ease = rng.normal(0.8, 1.5, size=100)
        reference = rng.binomial(5, 1 / (1 + np.exp(-ease))) / 5
        arm = rng.binomial(5, 0.9 / (1 + np.exp(-ease))) / 5
        interval = difference_interval(arm - reference, proportion=True)
        assert isinstance(interval, Interval)
        covered += interval.low <= -0.1 * _MEAN_CHANCE <= interval.high
    assert 0.93 <= covered / 1000 <= 0.97


@pytest.mark.parametrize("n", [600, 1000, 2000, 3000, 10_000])
@pytest.mark.parametrize("flipped", [0.01, 0.012, 0.02, 0.05])
def test_a_loss_of_exactly_the_margin_is_overlooked_in_at_most_2_5_percent(n: int, flipped: float) -> None:
    """Exact, by going through all numbers of lost and gained items. Student's t: up to 5.4%."""
    chances = (flipped + MARGIN) / 2, (flipped - MARGIN) / 2
    most = [int(n * chance + 7 * math.sqrt(n * chance)) + 5 for chance in chances]
    lost, gained = (counts.ravel() for counts in np.indices([one + 1 for one in most]))
    low, _ = bounds(gained, lost, np.full(lost.size, n), np.full(lost.size, TAIL))
    outcomes = scipy_stats.multinomial.pmf(np.stack([lost, gained, n - lost - gained], 1), n, [*chances, 1 - flipped])
    assert float(np.sum(outcomes)) == pytest.approx(1.0, abs=1e-6)
    assert float(outcomes[low > -MARGIN].sum()) <= 0.0251


@pytest.mark.parametrize(
    ("n", "prone", "n_sources"), [(500, 0.1, None), (1319, 0.02, None), (1319, 0.1, None), (1319, 0.02, 200)]
)
def test_repeats_and_shared_sources_do_not_hide_a_loss_of_the_margin(
    n: int, prone: float, n_sources: int | None
) -> None:
    """A part of the items, or of the sources, flips under half of the five seeds, more often to a loss."""
    rng, runs = np.random.default_rng([n, int(prone * 1000)]), 1500
    lost_share = (1 + MARGIN / prone * 2) / 4
    sources = None if n_sources is None else np.arange(n) % n_sources
    overlooked = 0
    for _ in range(runs):
        is_prone = rng.random(n_sources or n) < prone
        luck = rng.random((n, 5))
        flips = np.where(luck < lost_share, -1.0, np.where(luck < 0.5, 1.0, 0.0)).mean(axis=1)
        differences = flips * (is_prone if sources is None else is_prone[sources])
        found = difference_interval(differences, proportion=True, clusters=sources)
        assert isinstance(found, Interval)
        overlooked += found.low > -MARGIN
    assert overlooked / runs < 0.025 + 3 * math.sqrt(0.025 * 0.975 / runs)


def test_many_small_differences_have_the_interval_of_student() -> None:
    values = np.random.default_rng(4).normal(-0.002, 0.05, 2000)
    assert difference_interval(values, proportion=True) == t_interval(values)


_MEAN_CHANCE = float(np.mean(1 / (1 + np.exp(-np.random.default_rng(10).normal(0.8, 1.5, size=2_000_000)))))
"""Mean probability that the reference is right, over all questions of the simulation above."""


def test_cohens_d_has_the_small_sample_factor() -> None:
    values = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    plain = values.mean() / values.std(ddof=1)
    assert cohens_d(values) == pytest.approx(plain * (1 - 3 / (4 * 4 - 1)))
