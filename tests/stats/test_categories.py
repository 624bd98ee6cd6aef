"""The mean of several benchmarks with its interval: a case by hand, and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats.categories import METHOD, joined_interval, mean_of_means, means_correlation
from stats.intervals import Interval, mean_interval, wilson
from stats.reasons import Reason


def test_a_case_worked_by_hand() -> None:
    """Half-widths 0.03 and 0.04 below: sqrt(0.0009 + 0.0016) / 2 = 0.025. Above 0.05 and 0.12: 0.13 / 2 = 0.065."""
    means = [0.4, 0.6]
    found = joined_interval(means, [Interval(0.37, 0.45, "t"), Interval(0.56, 0.72, "wilson")])
    assert mean_of_means(means) == pytest.approx(0.5)
    assert isinstance(found, Interval)
    assert (found.low, found.high, found.method) == (pytest.approx(0.475), pytest.approx(0.565), METHOD)


def test_two_forms_of_the_same_questions_worked_by_hand() -> None:
    """Correlation .5 adds 2·.5·.03·.04 below: sqrt(.0009 + .0016 + .0012)/2, and 2·.5·.05·.12 above: sqrt(.0229)/2."""
    found = joined_interval(
        [0.4, 0.6], [Interval(0.37, 0.45, "t"), Interval(0.56, 0.72, "wilson")], np.array([[1.0, 0.5], [0.5, 1.0]])
    )
    assert isinstance(found, Interval)
    assert found.low == pytest.approx(0.5 - 0.0304138)
    assert found.high == pytest.approx(0.5 + 0.0756637)


def test_the_correlation_of_means_counts_the_questions_that_are_shared() -> None:
    one, other = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0, 0.0])
    # Covariance 1/8, standard deviations 1/2 and sqrt(3)/4: .577350; 4 questions of 16 and 9: times 4/12.
    assert means_correlation(one, other, 16, 9) == pytest.approx(0.57735 / 3, abs=1e-5)
    assert means_correlation(one, np.ones(4), 16, 9) == 0.0


def test_intervals_over_two_forms_of_the_same_questions_cover() -> None:
    # 300 questions, asked in two forms. The chance of a right answer is Beta(.5, .5) per question, in both forms.
    rng = np.random.default_rng(8)
    paired, independent = 0, 0
    for chances in rng.beta(0.5, 0.5, size=(1500, 300)):
        forms = (rng.random((2, 300)) < chances).astype(float)
        means = [float(form.mean()) for form in forms]
        intervals = [mean_interval(form, proportion=True) for form in forms]
        r = means_correlation(forms[0], forms[1], 300, 300)
        together = joined_interval(means, intervals, np.array([[1.0, r], [r, 1.0]]))
        apart = joined_interval(means, intervals)
        assert isinstance(together, Interval)
        assert isinstance(apart, Interval)
        paired += together.low <= 0.5 <= together.high
        independent += apart.low <= 0.5 <= apart.high
    assert 0.93 <= paired / 1500 <= 0.97
    assert independent / 1500 < 0.92


def test_one_benchmark_keeps_its_own_interval() -> None:
    own = wilson(0.95, 100)
    found = joined_interval([0.95], [own])
    assert isinstance(found, Interval)
    assert (found.low, found.high) == (pytest.approx(own.low), pytest.approx(own.high))
    assert found.method == "wilson"


def test_a_benchmark_without_an_interval_leaves_the_category_without_one() -> None:
    assert joined_interval([0.5, 0.6], [Interval(0.4, 0.6, "t"), Reason.ONE_ITEM]) is Reason.ONE_ITEM


def test_all_right_on_every_benchmark_is_not_certain() -> None:
    found = joined_interval([1.0, 1.0], [wilson(1.0, 20), wilson(1.0, 20)])
    assert isinstance(found, Interval)
    assert found.high == 1.0
    # sqrt(2) / 2 of 0.16113, which is the distance from 1 to Wilson's lower end for 20 of 20.
    assert found.low == pytest.approx(1 - 0.16113 / np.sqrt(2), abs=1e-5)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(2, 500)), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_order_does_not_matter_and_ends_stay_on_the_scale(benchmarks: list[tuple[float, int]], draw: object) -> None:
    def found(rows: list[tuple[float, int]]) -> Interval:
        one = joined_interval([mean for mean, _ in rows], [wilson(mean, n) for mean, n in rows])
        assert isinstance(one, Interval)
        return one

    shuffled = list(benchmarks)
    draw.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = found(benchmarks), found(shuffled)
    assert (first.low, first.high) == (pytest.approx(second.low), pytest.approx(second.high))
    assert -1e-12 <= first.low <= first.high <= 1 + 1e-12


def test_the_interval_covers_95_percent() -> None:
    """Three benchmarks of different sizes and difficulties: about 95% of 2000 intervals contain the true mean."""
    generator = np.random.default_rng(11)
    shapes = ((200, 2.0, 1.0), (400, 0.8, 0.8), (1319, 9.0, 1.0))  # items, Beta parameters of their difficulty
    truth = np.mean([a / (a + b) for _, a, b in shapes])
    covered = 0
    for _ in range(2000):
        items = [generator.binomial(5, generator.beta(a, b, n)) / 5 for n, a, b in shapes]
        means = [float(one.mean()) for one in items]
        found = joined_interval(means, [mean_interval(one, proportion=True) for one in items])
        assert isinstance(found, Interval)
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / 2000 <= 0.97
