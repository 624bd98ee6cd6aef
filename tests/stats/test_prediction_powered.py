"""Prediction-powered means: a case by hand, an independent value, coverage with biased judges, properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stats.intervals import Floats, Interval, t_interval
from stats.prediction_powered import FEWEST_LABELS, Corrected, corrected_mean, judge_weight
from stats.reasons import Reason

SCALE = (1.0, 5.0)
SLOW = [pytest.param(n, marks=pytest.mark.slow) for n in (20, 200)]
"""Numbers of labels whose coverage only the slow tests count."""


def _corrected(human: Floats, judged: Floats, others: Floats) -> Corrected:
    found = corrected_mean(human, judged, others, SCALE)
    assert isinstance(found, Corrected)
    return found


def _drawn(rng: np.random.Generator, n: int, judge: str, level: float = 3.0) -> tuple[Floats, Floats]:
    """Return human scores and a judge's scores of n items, on a scale from 1 to 5."""
    quality = rng.normal(size=n)
    human = np.clip(np.round(level + 1.1 * quality), *SCALE)
    judged = {
        "fair": level + 1.1 * quality + rng.normal(0, 0.5, n),
        "generous": level + 0.8 + 0.8 * quality + rng.normal(0, 0.7, n),
        "harsh": level - 1.0 + 1.3 * quality + rng.normal(0, 0.7, n),
        "unrelated": level + rng.normal(0, 1.1, n),
        "contrary": level - 1.1 * quality,
    }[judge]
    return human, np.clip(np.round(judged), *SCALE)


def test_a_case_worked_by_hand() -> None:
    # Ten labelled items: Y = 1..5 twice, f = Y + 1 but for two items, where f = Y.
    human = np.array([1.0, 2, 3, 4, 5, 1, 2, 3, 4, 5])
    judged = human + np.array([1.0, 1, 1, 1, 1, 1, 1, 1, 0, 0])
    others = np.array([2.0, 4.0, 6.0, 4.0])
    # cov: Σ(Y-3)·(f-3.8) = Σ(Y-3)² + Σ(Y-3)·extra = 20 + (-2-1+0+1+2-2-1+0) = 17, over 9. var(f): Σ(f-3.8)² =
    # Σ(Y-3)² + 2·Σ(Y-3)(extra-.8) + Σ(extra-.8)² = 20 - 6 + 1.6 = 15.6, over 9. var(g) = 8/3, n/N = 2.5.
    weight = (17 / 9) / (15.6 / 9 + 2.5 * 8 / 3)
    found = _corrected(human, judged, others)
    assert judge_weight(human, judged, others) == pytest.approx(weight)
    assert (found.weight, found.human_mean, found.bias) == pytest.approx((weight, 3.0, 0.8))
    # Leave-one-out, item by item, with the same formula on nine items.
    weights = [judge_weight(np.delete(human, i), np.delete(judged, i), others) for i in range(10)]
    rectified = human - np.array(weights) * (judged - 4.0)
    half = 2.306004135204166 * math.sqrt(rectified.var(ddof=1) / 10 + weight**2 * (8 / 3) / 4)  # t(8)
    assert found.mean == pytest.approx(rectified.mean())
    assert isinstance(found.interval, Interval)
    assert (found.interval.low, found.interval.high) == pytest.approx((found.mean - half, found.mean + half))


def test_with_many_labels_it_agrees_with_the_authors_implementation() -> None:
    # ppi-python 0.2.3 by the authors of PPI++, with the arrays below:
    #   ppi_mean_pointestimate(human[:300], judged[:300], judged[300:])          -> 2.99536392
    #   ppi_mean_ci(human[:300], judged[:300], judged[300:], alpha=0.05)         -> 2.90753774, 3.0831901
    # It tunes the weight on all labels and takes normal quantiles, which hardly differs at 300 labels.
    rng = np.random.default_rng(16)
    quality = rng.normal(size=1800)
    human = np.clip(np.round(3 + 1.1 * quality), 1, 5)
    judged = np.clip(np.round(3.5 + quality + rng.normal(0, 0.7, 1800)), 1, 5)
    found = _corrected(human[:300], judged[:300], judged[300:])
    assert isinstance(found.interval, Interval)
    expected = (2.99536392, 2.90753774, 3.0831901)
    assert (found.mean, found.interval.low, found.interval.high) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("judge", ["fair", "generous", "harsh", "unrelated", "contrary"])
@pytest.mark.parametrize("n", [FEWEST_LABELS, 50, *SLOW])
def test_it_covers_the_human_mean_whatever_the_judge_does(judge: str, n: int) -> None:
    rng = np.random.default_rng([n, len(judge)])
    truth, runs, covered = float(_drawn(rng, 100_000, judge)[0].mean()), 400, 0
    for _ in range(runs):
        human, judged = _drawn(rng, max(100, 5 * n), judge)
        found = _corrected(human[:n], judged[:n], judged[n:])
        covered += isinstance(found.interval, Reason) or found.interval.low <= truth <= found.interval.high
    assert covered / runs >= 0.92


@pytest.mark.parametrize("n", [30, *SLOW])
def test_it_covers_close_to_the_end_of_the_scale(n: int) -> None:
    rng = np.random.default_rng(n)
    truth, runs, missed = float(_drawn(rng, 100_000, "generous", 5.2)[0].mean()), 400, 0
    for _ in range(runs):
        human, judged = _drawn(rng, max(100, 5 * n), "generous", 5.2)
        found = _corrected(human[:n], judged[:n], judged[n:])
        missed += isinstance(found.interval, Interval) and not found.interval.low <= truth <= found.interval.high
    assert missed / runs <= 0.08


@pytest.mark.parametrize("n", [30, *SLOW])
def test_it_covers_a_paired_difference_although_the_judge_favours_the_arm(n: int) -> None:
    rng, truth, runs, covered = np.random.default_rng(n), -0.3, 400, 0
    for _ in range(runs):
        quality = rng.normal(size=5 * n)
        human = truth + 0.4 * quality + rng.normal(0, 0.6, 5 * n)
        judged = 0.2 + 0.5 * quality + rng.normal(0, 0.6, 5 * n)  # it sees a gain where people see a loss
        found = corrected_mean(human[:n], judged[:n], judged[n:], (-4.0, 4.0))
        assert isinstance(found, Corrected)
        assert isinstance(found.interval, Interval)
        covered += found.interval.low <= truth <= found.interval.high
    assert covered / runs >= 0.92


def test_a_good_judge_makes_the_human_mean_more_certain_and_an_unrelated_one_does_not_harm() -> None:
    rng, widths = np.random.default_rng(1), {"fair": 0.0, "unrelated": 0.0}
    for judge in widths:
        for _ in range(200):
            human, judged = _drawn(rng, 500, judge)
            found, alone = _corrected(human[:30], judged[:30], judged[30:]), t_interval(human[:30])
            assert isinstance(found.interval, Interval)
            widths[judge] += (found.interval.high - found.interval.low) / (alone.high - alone.low) / 200
    assert widths["fair"] < 0.65
    assert widths["unrelated"] < 1.05


def test_labels_that_are_no_random_sample_mislead() -> None:
    # People scored only answers that looked poor to them. No formula can know what they would say of the others.
    human, judged = _drawn(np.random.default_rng(2), 4000, "generous")
    chosen = human <= 3
    found = _corrected(human[chosen], judged[chosen], judged[~chosen])
    assert isinstance(found.interval, Interval)
    assert found.interval.high < human.mean() - 0.1


def test_too_few_labels_are_refused() -> None:
    rng = np.random.default_rng(3)
    human, judged = _drawn(rng, 100, "fair")
    few = FEWEST_LABELS - 1
    assert corrected_mean(human[:few], judged[:few], judged[few:], SCALE) is Reason.TOO_FEW_LABELS
    nearly_equal = np.array([5.0] * 16 + [4.0] * 4)
    found = _corrected(nearly_equal, nearly_equal, np.full(50, 5.0))
    assert found.interval is Reason.TOO_FEW_LABELS
    assert found.bias_interval is Reason.TOO_FEW_LABELS


def test_if_all_items_are_labelled_only_people_count() -> None:
    human, judged = _drawn(np.random.default_rng(4), 40, "generous")
    found = _corrected(human, judged, np.empty(0))
    assert (found.weight, found.mean, found.n_unlabelled) == (0.0, human.mean(), 0)
    half = 2.024394163911969 * float(human.std(ddof=1)) / math.sqrt(40)  # t(38)
    assert isinstance(found.interval, Interval)
    assert (found.interval.low, found.interval.high) == pytest.approx((human.mean() - half, human.mean() + half))


scores = arrays(np.float64, st.integers(FEWEST_LABELS, 30), elements=st.integers(1, 5).map(float))


@given(scores, arrays(np.float64, 20, elements=st.integers(1, 5).map(float)))
def test_properties(human: Floats, others: Floats) -> None:
    judged = np.roll(human, 1)
    found = _corrected(human, judged, others)
    assert 0.0 <= found.weight <= 1.0
    assert SCALE[0] <= found.mean <= SCALE[1]
    if isinstance(found.interval, Interval):
        assert SCALE[0] <= found.interval.low <= found.mean <= found.interval.high <= SCALE[1]
    # A judge whose scores are all shifted by the same amount is corrected to the same mean.
    shifted = _corrected(human, judged + 2.0, others + 2.0)
    assert shifted.mean == pytest.approx(found.mean)
    # The order of the items does not count.
    order = np.argsort(human, kind="stable")
    assert _corrected(human[order], judged[order], others[::-1]).mean == pytest.approx(found.mean)
