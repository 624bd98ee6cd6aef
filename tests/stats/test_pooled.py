"""The mean difference over benchmarks: cases by hand, reference values, coverage, error rates and power, properties."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from stats.intervals import Floats, Interval, t_quantile
from stats.paired import difference_interval, wilson_of_gains_and_losses
from stats.permutation import sign_flip_tests
from stats.pooled import (
    PooledDifference,
    Stratum,
    largest_correlations,
    pooled_difference,
    pooled_sign_flips,
    pooled_variance,
    shares,
)
from stats.reasons import Reason

MARGIN = 0.01
SIZES = {"gsm8k": 1319, "math": 500, "arc_challenge": 1172}

few_steps = st.lists(st.integers(-2, 2).map(lambda steps: steps / 2), min_size=1, max_size=8)


def _strata(
    columns: list[list[float]] | list[Floats], weights: list[float] | None = None, sources: list[object] | None = None
) -> list[Stratum]:
    """Return benchmarks that share no source, unless sources are given."""
    starts = np.cumsum([0, *(len(column) for column in columns)])
    alone = [np.arange(start, start + len(column)) for start, column in zip(starts, columns, strict=False)]
    return [
        Stratum(weight, np.array(column, dtype=np.float64), np.asarray(names))
        for weight, column, names in zip(
            shares(weights or [1.0] * len(columns)), columns, sources or alone, strict=True
        )
    ]


def _interval(found: PooledDifference) -> Interval:
    assert isinstance(found.interval, Interval)
    return found.interval


def _flips(n: int, lost: int, gained: int) -> Floats:
    return np.repeat([-1.0, 1.0, 0.0], [lost, gained, n - lost - gained])


# --- by hand and against reference values ---------------------------------------------------------


def test_a_case_worked_by_hand() -> None:
    # 100 items, 20 lost, 10 gained, weight 1/4; 400 items, 10 lost, 10 gained, weight 3/4. Losses of the mean:
    # .2/4 + .025·3/4 = .06875, variance .2·.8/1600 + 9·.025·.975/6400 = .000134277; one more: 1/400. So they are worth
    # (.06875 + .0025)/(.000134277/.93125 + .0025²) = 473.61 items: Wilson [.0492598, .0951797]. Gains likewise .04375,
    # 458.29 items, [.0285125, .0665727]. r = -(.2·.1/1600 + 9·.025²/6400)/√(.000134277·.0000905273) = -.121347.
    found = pooled_difference(_strata([_flips(100, 20, 10), _flips(400, 10, 10)], [1, 3]))
    assert found.difference == pytest.approx(-0.025)
    assert (found.n_items, found.n_sources) == (500, 500)
    assert (_interval(found).low, _interval(found).high) == pytest.approx((-0.0570694, 0.0067600), abs=1e-7)


def test_without_flips_the_smaller_benchmark_decides() -> None:
    # Nothing differs. One more lost item among 40 would cost 1/80 of the mean: ±z²/(80 + z²) = 3.841459/83.841459.
    found = _interval(pooled_difference(_strata([np.zeros(40), np.zeros(348)])))
    assert found.high == pytest.approx(0.0458181, abs=1e-7)
    assert found.low == pytest.approx(-found.high)


def test_few_differing_repeats_are_combined_from_the_intervals_of_each_benchmark() -> None:
    # Five of 40 items are lost under one of two seeds, which may have been chance: each counts as a whole item.
    columns = [np.repeat([-0.5, 0.0], [5, 35]), _flips(348, 20, 20)]
    alone = [difference_interval(column, proportion=True) for column in columns]
    halves = [float(column.mean()) - one.low for column, one in zip(columns, alone, strict=True)]  # type: ignore[union-attr]
    found = pooled_difference(_strata(columns))
    assert found.difference - _interval(found).low == pytest.approx(math.hypot(*halves) / 2)  # type: ignore[operator]


def test_one_benchmark_alone_keeps_its_own_interval() -> None:
    column = _flips(300, 30, 10)
    found = _interval(pooled_difference(_strata([column])))
    alone = difference_interval(column, proportion=True)
    assert isinstance(alone, Interval)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))


def test_large_benchmarks_agree_with_welchs_interval() -> None:
    # Two benchmarks with weights 1/2: twice the mean of d_1 and d_2 is the difference of d_1 and -d_2 (Welch's test).
    rng = np.random.default_rng(5)
    first, second = rng.choice([-1.0, 0.0, 1.0], 900, p=[0.1, 0.85, 0.05]), rng.choice([-0.5, 0.0, 1.0], 500)
    theirs = scipy_stats.ttest_ind(first, -second, equal_var=False).confidence_interval(0.95)
    found = _interval(pooled_difference(_strata([first, second])))
    assert (2 * found.low, 2 * found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-3)


def test_a_benchmark_twice_is_as_uncertain_as_once() -> None:
    # The same answers to the same questions: the correlation is 1, and nothing is gained by pooling.
    column = _flips(300, 30, 10)
    found = _interval(pooled_difference(_strata([column, column], sources=[np.arange(300), np.arange(300)])))
    alone = difference_interval(column, proportion=True)
    assert isinstance(alone, Interval)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))


def test_shared_sources_give_the_sum_over_sources_of_squared_weighted_residuals() -> None:
    rng = np.random.default_rng(6)
    base = rng.choice([-1.0, 0.0, 1.0], 400, p=[0.2, 0.7, 0.1])
    other = np.where(rng.random(250) < 0.5, base[:250], rng.choice([-1.0, 0.0, 1.0], 250, p=[0.2, 0.7, 0.1]))
    strata = _strata([base, other], sources=[np.arange(400), np.arange(250)])
    residuals = (base - base.mean()) / 400 * math.sqrt(400 / 399) * t_quantile(399)
    residuals[:250] += (other - other.mean()) / 250 * math.sqrt(250 / 249) * t_quantile(249)
    found = _interval(pooled_difference(strata))
    assert (found.high - found.low) / 2 == pytest.approx(math.sqrt(float(residuals @ residuals)) / 2, rel=0.01)
    apart = _interval(pooled_difference(_strata([base, other])))
    assert found.high - found.low > 1.1 * (apart.high - apart.low)


def test_few_flips_on_shared_sources_count_as_if_they_went_together() -> None:
    quiet = [np.zeros(400), np.zeros(100)]
    shared = _interval(pooled_difference(_strata(quiet, sources=[np.arange(400), np.arange(100)])))
    halves = [wilson_of_gains_and_losses(column).high for column in quiet]
    # 100 of the sources are shared: the correlation is at most 100/√(400·100) = 1/2.
    expected = math.sqrt(halves[0] ** 2 + halves[1] ** 2 + halves[0] * halves[1]) / 2
    assert shared.high == pytest.approx(expected)


def test_a_benchmark_without_items_leaves_no_claim() -> None:
    found = pooled_difference(_strata([[0.0, 1.0], []]))
    assert (found.difference, found.interval) == (Reason.NO_PAIRED_ITEMS, Reason.NO_PAIRED_ITEMS)
    assert pooled_difference([]).difference is Reason.NO_PAIRED_ITEMS


def test_a_benchmark_of_one_item_tells_nothing_about_its_mean() -> None:
    found = _interval(pooled_difference(_strata([np.zeros(5000), [0.0]])))
    assert found.low == pytest.approx(-0.5, abs=1e-6)


# --- the sign-flip test ---------------------------------------------------------------------------


def test_sign_flips_by_hand() -> None:
    # Weights 1/2, 2 and 1 items: contributions 1/4, 1/4, 1/2. The sum 1 is reached by 2 of 8 sign assignments.
    found = pooled_sign_flips(_strata([[-1.0, -1.0], [-1.0]]), np.random.default_rng(0))
    assert (found.p_value, found.test) == (pytest.approx(2 / 8), "sign_flip_exact")
    # On one source, two of them flip together: 3/4 and 1/4, and again 2 of 4 reach 1.
    found = pooled_sign_flips(_strata([[-1.0, -1.0], [-1.0]], sources=[[0, 1], [0]]), np.random.default_rng(0))
    assert found.p_value == pytest.approx(2 / 4)


def test_sign_flips_of_one_benchmark_are_those_of_the_plain_test() -> None:
    column = _flips(400, 15, 5)
    found = pooled_sign_flips(_strata([column]), np.random.default_rng(0))
    assert found.p_value == pytest.approx(0.041389, abs=5e-7)  # McNemar's exact test


@given(st.lists(few_steps.map(lambda steps: steps[:4]), min_size=1, max_size=3))
def test_sign_flips_agree_with_all_assignments(columns: list[list[float]]) -> None:
    strata = _strata(columns)
    parts = np.concatenate([stratum.weight * stratum.differences / stratum.differences.size for stratum in strata])
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=parts.size)))
    expected = np.mean(np.abs(signs @ parts) >= abs(parts.sum()) - 1e-12)
    assert pooled_sign_flips(strata, np.random.default_rng(0)).p_value == pytest.approx(expected)


def test_the_drawn_form_agrees_with_the_plain_test() -> None:
    rng = np.random.default_rng(8)
    column = rng.normal(-0.02, 0.2, 400).clip(-1, 1)
    found = pooled_sign_flips(_strata([column]), np.random.default_rng(0))
    plain = sign_flip_tests(column[:, None], np.random.default_rng(1))[0]
    assert found.test == plain.test == "sign_flip_monte_carlo"
    assert found.p_value == pytest.approx(plain.p_value, abs=0.015)


# --- properties -----------------------------------------------------------------------------------


@given(st.lists(few_steps, min_size=1, max_size=4), st.data())
def test_swapping_the_arms_mirrors_everything(columns: list[list[float]], data: st.DataObject) -> None:
    weights = [data.draw(st.floats(0.1, 10)) for _ in columns]
    sources = [np.arange(len(column)) for column in columns]
    one = pooled_difference(_strata(columns, weights, sources))
    other = pooled_difference(_strata([[-value for value in column] for column in columns], weights, sources))
    assert one.difference == pytest.approx(-other.difference)  # type: ignore[operator]
    assert (_interval(one).low, _interval(one).high) == pytest.approx((-_interval(other).high, -_interval(other).low))
    assert _interval(one).low - 1e-12 <= one.difference <= _interval(one).high + 1e-12  # type: ignore[operator]
    assert _interval(one).low < _interval(one).high


@given(st.lists(few_steps, min_size=2, max_size=4))
def test_the_order_of_the_benchmarks_does_not_matter(columns: list[list[float]]) -> None:
    one, other = (pooled_difference(_strata(order)) for order in (columns, columns[::-1]))
    assert (_interval(one).low, _interval(one).high) == pytest.approx((_interval(other).low, _interval(other).high))


def test_the_plan_takes_the_formula_of_the_result() -> None:
    columns = [_flips(1319, 33, 33), _flips(500, 13, 12), _flips(1172, 29, 29)]
    variances = [float(np.var(column, ddof=1)) for column in columns]
    planned = pooled_variance(shares([1, 1, 1]), variances, [column.size for column in columns])
    found = _interval(pooled_difference(_strata(columns)))
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * math.sqrt(planned), rel=0.03)


def test_the_largest_correlation_is_that_of_the_shared_sources() -> None:
    found = largest_correlations([["a", "b", "c", "d"], ["a"], ["x"]])
    assert found.tolist() == [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]


# --- coverage, error rates and power --------------------------------------------------------------


def _drawn(rng: np.random.Generator, n: int, flips: float, loss: float) -> Floats:
    """Return differences of right/wrong answers: a share of them flips, and the mean is minus `loss`."""
    return rng.choice([-1.0, 1.0, 0.0], n, p=[(flips + loss) / 2, (flips - loss) / 2, 1 - flips])


def _rates(
    sizes: list[int], flips: list[float], loss: float, draws: int, weights: list[float] | None = None
) -> tuple[float, float, float]:
    """Return the coverage, and how often the interval lies above and below minus the margin."""
    rng = np.random.default_rng([draws, *sizes])
    covered = above = below = 0
    for _ in range(draws):
        columns = [_drawn(rng, n, share, loss) for n, share in zip(sizes, flips, strict=True)]
        found = _interval(pooled_difference(_strata(columns, weights)))
        covered += found.low <= -loss <= found.high
        above += found.low > -MARGIN
        below += found.high < -MARGIN
    return covered / draws, above / draws, below / draws


def test_coverage_error_rate_and_power_of_three_benchmarks() -> None:
    # 400 draws: ±2.2 points (two standard errors) around 95%, ±1.6 around 2.5%, ±4.9 around 61%.
    sizes = list(SIZES.values())
    covered, wrongly, _ = _rates(sizes, [0.05] * 3, MARGIN, 400)
    assert 0.925 <= covered <= 0.98
    assert wrongly <= 0.045
    _, power, _ = _rates(sizes, [0.05] * 3, 0.0, 400)
    assert 0.55 <= power <= 0.67


@pytest.mark.slow
def test_rare_losses_on_several_benchmarks_are_not_overlooked() -> None:
    # 1.1% of the items flip, and nearly all of them are losses. Combined t intervals overlook the loss in 3.4%.
    _, above, _ = _rates([3000, 3000, 3000], [0.011] * 3, MARGIN, 1500)
    assert above < 0.025 + 3 * math.sqrt(0.025 * 0.975 / 1500)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flips", "weights", "power"),
    [(0.05, None, 0.61), (0.05, [1319, 500, 1172], 0.69), (0.02, None, 0.94), (0.02, [1319, 500, 1172], 0.97)],
)
def test_the_power_that_pooling_was_made_for(flips: float, weights: list[float] | None, power: float) -> None:
    sizes = list(SIZES.values())
    assert _rates(sizes, [flips] * 3, 0.0, 2000, weights)[1] == pytest.approx(power, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "flips"),
    [
        ([1319, 500, 1172], [0.05, 0.05, 0.05]),
        ([1319, 500, 1172], [0.011, 0.011, 0.011]),
        ([1319, 500, 1172], [0.2, 0.02, 0.011]),
        ([100, 100, 100], [0.02, 0.02, 0.02]),
        ([100, 100, 100], [0.2, 0.2, 0.011]),
        ([1319, 40, 200], [0.05, 0.05, 0.05]),
        ([1319, 40, 200], [0.011, 0.2, 0.02]),
    ],
)
def test_it_covers_and_keeps_its_level_on_both_sides(sizes: list[int], flips: list[float]) -> None:
    # 2000 draws: ±1 point (two standard errors) around 95%, ±.7 around 2.5%.
    covered, above, below = _rates(sizes, flips, MARGIN, 2000)
    assert covered >= 0.935
    assert above <= 0.0325
    assert below <= 0.0325


@pytest.mark.slow
@pytest.mark.parametrize(("flips", "together"), [(0.1, 0.8), (0.02, 0.8), (0.01, 1.0), (0.1, 0.0)])
def test_it_covers_if_benchmarks_share_their_questions(flips: float, together: float) -> None:
    """One benchmark asks half of the other's questions again, and a share of the answers changes together."""
    rng = np.random.default_rng(11)
    covered = naive = 0
    for _ in range(2000):
        first = _drawn(rng, 600, flips, 0.005)
        second = np.where(rng.random(300) < together, first[:300], _drawn(rng, 300, flips, 0.005))
        for shared in (True, False):
            sources = [np.arange(600), np.arange(300) if shared else np.arange(600, 900)]
            found = _interval(pooled_difference(_strata([first, second], sources=sources)))
            hit = found.low <= -0.005 <= found.high
            covered, naive = covered + hit * shared, naive + hit * (not shared)
    assert covered / 2000 >= 0.935
    if together == 0.8 and flips == 0.1:
        assert naive / 2000 < 0.925


@pytest.mark.slow
def test_sign_flips_keep_their_level() -> None:
    rng = np.random.default_rng(12)
    p_values = []
    for _ in range(1000):
        first = _drawn(rng, 300, 0.1, 0.0)
        second = np.where(rng.random(150) < 0.7, first[:150], _drawn(rng, 150, 0.1, 0.0))
        strata = _strata([first, second], sources=[np.arange(300), np.arange(150)])
        p_values.append(pooled_sign_flips(strata, rng).p_value)
    assert np.mean(np.array(p_values) < 0.05) <= 0.065


def test_a_benchmark_without_an_interval_leaves_the_mean_without_one() -> None:
    strata = [Stratum(0.5, np.array([0.1, -0.1, 0.2]), np.arange(3)), Stratum(0.5, np.array([0.4]), np.array([3]))]
    found = pooled_difference(strata, [Interval(-0.3, 0.4, "t"), Reason.ONE_ITEM])
    assert found.difference == pytest.approx((0.2 / 3 + 0.4) / 2)
    assert (found.interval, found.n_items) == (Reason.NO_INTERVAL, 4)
