"""Per-token means over chunks: cases by hand, the plain t interval as a special case, classes, coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stats.clusters import ClusteredRatio
from stats.divergence import PerplexityRatio, agreement, mean_per_token, perplexity_ratio
from stats.intervals import Interval, t_interval
from stats.reasons import Reason


def test_the_ratio_of_chunks_of_equal_length_has_the_t_interval_of_their_differences() -> None:
    losses, theirs = np.random.default_rng(1).gamma(2.0, 0.01, size=(2, 30))
    found = perplexity_ratio(losses * 256, theirs * 256, np.full(30, 256.0))
    assert isinstance(found, PerplexityRatio)
    assert isinstance(found.ln_ratio.interval, Interval)
    plain = t_interval(losses - theirs)
    assert (found.ln_ratio.interval.low, found.ln_ratio.interval.high) == pytest.approx((plain.low, plain.high))


def test_the_interval_of_an_arm_by_itself_takes_the_order_of_the_chunks_into_account() -> None:
    means = np.sort(np.random.default_rng(1).gamma(2.0, 0.01, size=30))  # neighbours as alike as can be
    sorted_chunks = mean_per_token(means * 256, np.full(30, 256.0))
    assert isinstance(sorted_chunks, ClusteredRatio)
    assert isinstance(sorted_chunks.interval, Interval)
    assert sorted_chunks.estimate == pytest.approx(means.mean())
    assert sorted_chunks.interval.method == "t_series"
    assert sorted_chunks.standard_error > 1.5 * means.std(ddof=1) / math.sqrt(30)  # type: ignore[operator]


def test_chunks_of_one_document_are_one_sample() -> None:
    rng = np.random.default_rng(2)
    documents = np.repeat(np.arange(12), 5)
    sums = (rng.gamma(2.0, 0.02, size=12)[documents] + rng.gamma(2.0, 0.002, size=60)) * 256
    alone, together = (mean_per_token(sums, np.full(60, 256.0), clusters) for clusters in (np.arange(60), documents))
    assert isinstance(alone, ClusteredRatio)
    assert isinstance(together, ClusteredRatio)
    assert together.n_clusters == 12
    assert together.standard_error > 1.5 * alone.standard_error  # type: ignore[operator]


def test_the_perplexity_ratio_is_the_exponential_of_the_difference_per_token() -> None:
    # Chunks of 100 and 300 tokens: 10 nats more on 400 tokens, ln ratio .025.
    found = perplexity_ratio(np.array([304.0, 906.0]), np.array([300.0, 900.0]), np.array([100.0, 300.0]))
    assert isinstance(found, PerplexityRatio)
    assert found.ln_ratio.estimate == pytest.approx(0.025)
    assert found.ratio == pytest.approx(math.exp(0.025))
    assert isinstance(found.interval, Interval)
    assert isinstance(found.ln_ratio.interval, Interval)
    assert found.interval.low == pytest.approx(math.exp(found.ln_ratio.interval.low))


def test_agreement_stays_within_0_and_1() -> None:
    found = agreement(np.array([256.0, 256.0, 250.0]), np.full(3, 256.0))
    assert isinstance(found, ClusteredRatio)
    assert isinstance(found.interval, Interval)
    assert found.interval.high == 1.0
    certain = agreement(np.full(3, 256.0), np.full(3, 256.0))
    assert isinstance(certain, ClusteredRatio)
    assert certain.interval is Reason.ZERO_VARIANCE  # Three equal chunks prove nothing about other text.


def test_classes_of_tokens_have_their_own_means() -> None:
    """A chunk without tokens of a class adds nothing to the mean of that class."""
    mathematics = mean_per_token(np.array([1.0, 0.0, 3.0]), np.array([10.0, 0.0, 20.0]))
    assert isinstance(mathematics, ClusteredRatio)
    assert (mathematics.estimate, mathematics.n_clusters) == (pytest.approx(4 / 30), 2)
    assert mean_per_token(np.zeros(3), np.zeros(3)) is Reason.NO_SCORED_ITEMS


def test_degenerate_chunks_have_reasons() -> None:
    one = mean_per_token(np.array([3.0]), np.array([256.0]))
    assert isinstance(one, ClusteredRatio)
    assert (one.estimate, one.interval) == (3 / 256, Reason.ONE_ITEM)
    assert mean_per_token(np.array([]), np.array([])) is Reason.NO_SCORED_ITEMS
    assert perplexity_ratio(np.array([]), np.array([]), np.array([])) is Reason.NO_SCORED_ITEMS
    assert agreement(np.array([]), np.array([])) is Reason.NO_SCORED_ITEMS


def test_intervals_of_skewed_divergences_cover_the_mean() -> None:
    # 560 chunks whose means are lognormal, like KLD.
    rng = np.random.default_rng(3)
    truth = math.exp(-5 + 0.5**2 / 2)
    covered = 0
    for _ in range(1000):
        found = mean_per_token(rng.lognormal(-5, 0.5, size=560) * 256, np.full(560, 256.0))
        assert isinstance(found, ClusteredRatio)
        assert isinstance(found.interval, Interval)
        covered += found.interval.low <= truth <= found.interval.high
    assert 0.93 <= covered / 1000 <= 0.97
