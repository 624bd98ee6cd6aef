"""Divergence of rows of logits: a case computed by hand, a comparison with float64, and properties."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.engines.divergence import TokenStats, compare
from actors.token_classes import TokenClass


def figures(logits: list[NDArray[np.float32]], tokens: NDArray[np.int64], threads: int = 1) -> tuple[TokenStats, ...]:
    with ThreadPoolExecutor(threads) as pool:
        return compare(logits, tokens, pool)


def random_logits(seed: int, rows: int = 70, n_vocab: int = 500, noise: float = 0.3) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    reference = rng.normal(0.0, 3.0, (rows, n_vocab)).astype(np.float32)
    return [reference, (reference + rng.normal(0.0, noise, reference.shape)).astype(np.float32)]


def test_two_tokens_by_hand() -> None:
    # p_ref = (3/4, 1/4), p = (1/2, 1/2): KLD = 3/4 ln(3/2) + 1/4 ln(1/2) = 0.130812 nats.
    reference = np.log(np.array([[3.0, 1.0]], np.float32))
    reference_figures, arm = figures([reference, np.zeros((1, 2), np.float32)], np.array([1]))
    assert arm.klds == pytest.approx([0.75 * math.log(1.5) + 0.25 * math.log(0.5)], abs=1e-6)
    assert arm.logprobs == pytest.approx([math.log(0.5)])
    assert arm.agrees is not None and arm.agrees.tolist() == [True]  # in a tie the first token counts
    sums = arm.divergence(reference_figures, np.array([True]))
    assert sums is not None
    assert sums.p_change_sum == pytest.approx(0.25)  # 1/2 instead of the reference's 1/4
    assert sums.p_change_squares == pytest.approx(0.0625)
    assert reference_figures.klds is None


def test_it_equals_the_result_in_float64() -> None:
    reference, arm = random_logits(1, n_vocab=20_000)
    tokens = np.arange(len(reference))
    _, found = figures([reference, arm], tokens)
    logp, logq = (
        rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
        for rows in map(np.float64, (reference, arm))  # type: ignore[call-overload]
    )
    assert found.klds == pytest.approx((np.exp(logp) * (logp - logq)).sum(axis=1), abs=1e-6)
    assert found.logprobs == pytest.approx(logq[np.arange(len(tokens)), tokens], abs=1e-6)
    assert found.agrees is not None
    assert found.agrees.tolist() == (logp.argmax(axis=1) == logq.argmax(axis=1)).tolist()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 5.0))
def test_it_is_never_negative_and_zero_between_equal_models(seed: int, noise: float) -> None:
    reference, arm = random_logits(seed, rows=5, n_vocab=40, noise=noise)
    _, found, same = figures([reference, arm, reference.copy()], np.zeros(5, np.int64))
    assert found.klds is not None and same.klds is not None and same.agrees is not None
    assert (found.klds >= 0).all()
    assert (same.klds == 0).all() and same.agrees.all()


def test_threads_and_other_arms_do_not_change_a_bit() -> None:
    reference, arm = random_logits(2)
    (_, other), tokens = random_logits(3), np.arange(len(reference))
    alone = figures([reference, arm], tokens)[1]
    beside = figures([reference, other, arm], tokens, threads=3)[2]
    for one, two in ((alone.klds, beside.klds), (alone.logprobs, beside.logprobs), (alone.agrees, beside.agrees)):
        assert one is not None and two is not None and one.tobytes() == two.tobytes()


def test_classes_add_up_to_all_tokens() -> None:
    reference, arm = figures(random_logits(4), np.arange(70))
    classes = np.array([TokenClass.OTHER] * 60 + [TokenClass.MATHEMATICS] * 10, np.uint8)
    sums = arm.by_class(reference, classes)
    assert {label: one.n_tokens for label, one in sums.items()} == {"other": 60, "mathematics": 10}
    every = arm.divergence(reference, np.ones(70, np.bool_))
    parts = [one.divergence for one in sums.values()]
    assert every is not None and all(parts)
    assert sum(part.kld_sum for part in parts if part) == pytest.approx(every.kld_sum)
    assert sum(part.top_agree for part in parts if part) == every.top_agree
