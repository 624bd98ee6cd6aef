"""The probability of the right choice: by hand, against scipy, its properties, and the coverage of its intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from stats.choices import gold_probability
from stats.intervals import Interval
from stats.paired import difference_interval

logliks = st.lists(st.floats(-80, 0), min_size=2, max_size=6)


def test_a_case_worked_by_hand() -> None:
    # Per character: -6/2 = -3 and -4/4 = -1; the mean length is 3, so -9 and -3: e^-3 / (e^-9 + e^-3) = 0.997527.
    assert gold_probability([-6.0, -4.0], [2, 4], 1) == pytest.approx(0.997527, abs=1e-6)
    assert gold_probability([-6.0, -4.0], [2, 4], 0) == pytest.approx(0.002473, abs=1e-6)


@given(logliks, st.integers(1, 40))
def test_choices_of_one_length_give_the_softmax_of_scipy(values: list[float], length: int) -> None:
    expected = special.softmax(values)
    found = [gold_probability(values, [length] * len(values), gold) for gold in range(len(values))]
    assert found == pytest.approx(expected.tolist(), abs=1e-12)


@given(logliks, st.data())
def test_probabilities_add_up_to_one_and_the_largest_is_the_answer_that_accuracy_scores(
    values: list[float], data: st.DataObject
) -> None:
    lengths = data.draw(st.lists(st.integers(1, 60), min_size=len(values), max_size=len(values)))
    found = np.array([gold_probability(values, lengths, gold) for gold in range(len(values))], dtype=np.float64)
    assert found.sum() == pytest.approx(1.0)
    by_accuracy = int(np.argmax(np.array(values) / np.array(lengths)))
    assert found[by_accuracy] == pytest.approx(found.max())


def test_a_choice_that_is_impossible_has_probability_zero_and_no_number_gives_none() -> None:
    assert gold_probability([-math.inf, -2.0], [3, 3], 0) == 0.0
    assert gold_probability([-math.inf, -2.0], [3, 3], 1) == 1.0
    assert gold_probability([-math.inf, -math.inf], [3, 3], 0) is None
    assert gold_probability([math.nan, -2.0], [3, 3], 1) is None
    assert gold_probability([-1.0, -2.0], [0, 3], 1) is None


@pytest.mark.parametrize(("n", "noise"), [(40, 0.1), (40, 1.0), (240, 0.5)])
def test_the_interval_of_the_difference_covers(n: int, noise: float) -> None:
    """Simulate two arms whose logits differ by noise and a small loss. The truth is the mean over 200,000 items."""
    rng = np.random.default_rng(7)

    def differences(size: int) -> np.ndarray:
        logits = rng.normal(-0.5, 2.0, size)
        arm = logits - 0.05 + noise * rng.standard_t(4, size)
        return np.asarray(special.expit(arm) - special.expit(logits))

    truth = float(differences(200_000).mean())
    hits = 0
    for _ in range(1000):
        interval = difference_interval(differences(n), proportion=True)
        assert isinstance(interval, Interval)
        assert interval.method == "t"
        hits += interval.low <= truth <= interval.high
    assert 930 <= hits <= 975
