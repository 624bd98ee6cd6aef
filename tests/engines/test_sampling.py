"""Sampling: which tokens can be drawn, how often each is drawn, and what arms share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import chi2_contingency, chisquare, kstest

from actors.engines.noise import gumbel, sequence_key, step_keys
from actors.engines.sampling import candidates_needed, draw_tokens
from actors.llama.candidates import Candidates
from conf.schema.answers import Sampling

DRAWS = 5_000
LEAST_P = 1e-4  # the numbers are always the same ones, so a test passes always or never
PLAIN = Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0)
SETTINGS = [
    Sampling(),
    PLAIN,
    Sampling(top_k=0, top_p=0.5, min_p=0.0),
    Sampling(top_k=0, top_p=0.9, min_p=0.1),
    Sampling(top_k=3, top_p=1.0, min_p=0.0, temperature=2.0),
    Sampling(top_k=0, top_p=1.0, min_p=0.2, temperature=0.3),
]
LOGITS = (np.random.default_rng(5).standard_normal(6000) * 3).astype(np.float32)


def allowed_by_the_plain_rule(logits: NDArray[np.float32], sampling: Sampling) -> dict[int, float]:
    """Return tokens and probabilities by the plain algorithm: sort, top-k, top-p, min-p, then temperature."""
    order = sorted(range(len(logits)), key=lambda token: (-logits[token], token))
    order = order[: sampling.top_k or None]
    p = softmax(logits[order].astype(np.float64))
    count = int(np.searchsorted(np.cumsum(p), sampling.top_p)) + 1 if sampling.top_p < 1 else len(order)
    kept = [token for token, value in zip(order[:count], p, strict=False) if value >= sampling.min_p * p[0]]
    final = softmax(logits[kept].astype(np.float64) / sampling.temperature)
    return dict(zip(kept, final, strict=True))


def draws(logits: NDArray[np.float32], sampling: Sampling, n: int = DRAWS, seed: int = 0) -> NDArray[np.int64]:
    """Return the tokens at the first `n` positions of one answer, if the model always gives the same logits."""
    keys = step_keys([sequence_key(seed, "item")] * n, range(n))
    parts = (
        draw_tokens(Candidates(np.broadcast_to(logits, (len(part), len(logits)))), part, sampling)
        for part in batches(keys)
    )
    return np.array([token for part in parts for token in part])


def repeated(logits: NDArray[np.float32], rows: int) -> Candidates:
    """Return the same logits in every row."""
    return Candidates(np.broadcast_to(logits, (rows, len(logits))))


def batches(keys: NDArray[np.uint64]) -> list[NDArray[np.uint64]]:
    return [keys[start : start + 64] for start in range(0, len(keys), 64)]


def p_of_frequencies(drawn: NDArray[np.int64], expected: Mapping[int, float]) -> float:
    """Return the p-value of a chi-square test. Tokens that are expected less than 5 times are counted together."""
    tokens, counts = np.unique(drawn, return_counts=True)
    assert set(tokens) <= set(expected)
    observed = dict(zip(tokens, counts, strict=True))
    frequent = [token for token, p in expected.items() if p * len(drawn) >= 5]
    cells = [observed.get(token, 0) for token in frequent]
    means = [expected[token] * len(drawn) for token in frequent]
    if len(frequent) < len(expected):
        cells, means = [*cells, len(drawn) - sum(cells)], [*means, len(drawn) - sum(means)]
    return float(chisquare(cells, means).pvalue)


def test_temperature_zero_takes_the_most_likely_token_and_the_lowest_id_in_a_tie() -> None:
    logits = np.zeros((2, 300), np.float32)
    logits[0, 7] = 1
    assert draw_tokens(Candidates(logits), step_keys([], []), Sampling(temperature=0.0)) == [7, 0]


@pytest.mark.parametrize("sampling", SETTINGS)
def test_tokens_are_drawn_as_often_as_the_plain_rule_says(sampling: Sampling) -> None:
    logits = LOGITS[:300] if sampling == PLAIN else LOGITS
    assert p_of_frequencies(draws(logits, sampling), allowed_by_the_plain_rule(logits, sampling)) > LEAST_P


@pytest.mark.parametrize("vary", ["seeds", "items"])
def test_tokens_are_drawn_as_often_at_one_position_of_many_answers(vary: str) -> None:
    sequences = [
        sequence_key(number, "item") if vary == "seeds" else sequence_key(0, f"test-{number}")
        for number in range(DRAWS // 2)
    ]
    keys = step_keys(sequences, [3] * len(sequences))
    drawn = [
        draw_tokens(Candidates(np.broadcast_to(LOGITS, (len(part), 6000))), part, Sampling()) for part in batches(keys)
    ]
    assert p_of_frequencies(np.concatenate(drawn), allowed_by_the_plain_rule(LOGITS, Sampling())) > LEAST_P


def test_the_test_of_frequencies_finds_a_small_error() -> None:
    warmer = allowed_by_the_plain_rule(LOGITS, Sampling(temperature=0.8))
    assert p_of_frequencies(draws(LOGITS, Sampling()), warmer) < LEAST_P


def test_draws_at_neighbouring_positions_and_under_other_seeds_are_independent() -> None:
    logits = np.array([1.0, 0.5, 0.0, 0.0, -0.5], np.float32)
    here, other_seed = draws(logits, PLAIN), draws(logits, PLAIN, seed=1)
    for one, other in ((here[:-1], here[1:]), (here[:-2], here[2:]), (here, other_seed)):
        table = np.zeros((5, 5))
        np.add.at(table, (one, other), 1)
        assert chi2_contingency(table).pvalue > LEAST_P


def test_the_noise_has_the_gumbel_distribution() -> None:
    key = step_keys([sequence_key(0, "item")], [0])[0]
    assert kstest(gumbel(key, np.arange(DRAWS)), "gumbel_r").pvalue > LEAST_P


def test_the_noise_of_an_answer_stays_as_it_is() -> None:
    # Computed with Python integers from the definition of splitmix64 (see `plain_gumbel`).
    key = sequence_key(3, "test-7")
    assert gumbel(step_keys([key], [4])[0], np.array([11]))[0] == pytest.approx(plain_gumbel(key, 4, 11), rel=1e-12)
    assert len({sequence_key(seed, item) for seed in (0, 1, 11) for item in ("1-a", "a", "1a")}) == 9


def plain_gumbel(sequence: int, position: int, token: int) -> float:
    """Return the noise by the plain rule, without numpy's integers."""

    def mixed(word: int) -> int:
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) % 2**64
        return word ^ (word >> 31)

    step = 0x9E3779B97F4A7C15
    key = mixed((sequence + step * (position + 1)) % 2**64)
    bits = mixed((mixed((key + step * (token + 1)) % 2**64) + step) % 2**64)
    return float(-np.log(-np.log(((bits >> 12) + 0.5) / 2**52)))


def test_two_arms_draw_the_same_token_as_often_as_gumbel_noise_lets_them() -> None:
    """P(both draw i) = 1 / sum_j max(p_j / p_i, q_j / q_i).

    By hand, for p = (.5, .3, .2) and q = (.3, .5, .2): 1 / (1 + 5/3 + 2/3) = .3 for the first two, and
    1 / (2.5 + 2.5 + 1) = 1/6 for the third, .76667 in all. No rule reaches more than .8. One uniform number for both,
    over tokens sorted by probability, gives .2, because the first two change places.
    """
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.5, 0.2])
    one, other = (draws(np.log(x).astype(np.float32), PLAIN) for x in (p, q))
    expected = 0.3 + 0.3 + 1 / 6
    assert abs((one == other).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / DRAWS)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**63), st.integers(0, 500), st.floats(-5, 5, width=32))
def test_logits_that_differ_by_a_constant_give_the_same_token(sequence: int, position: int, shift: float) -> None:
    keys = step_keys([sequence], [position])
    rounded = np.round(LOGITS, 2)
    assert draw_tokens(Candidates(rounded[None]), keys, Sampling()) == draw_tokens(
        Candidates(rounded[None] + shift), keys, Sampling()
    )


def test_a_row_does_not_depend_on_the_other_rows() -> None:
    rows = (np.random.default_rng(6).standard_normal((8, 900)) * 3).astype(np.float32)
    keys = step_keys([sequence_key(0, str(row)) for row in range(8)], range(8))
    alone = [draw_tokens(Candidates(rows[row : row + 1]), keys[row : row + 1], Sampling())[0] for row in range(8)]
    assert draw_tokens(Candidates(rows), keys, Sampling()) == alone


def as_from_a_device(logits: NDArray[np.float32], count: int, rng: np.random.Generator) -> Candidates:
    """Return the highest logits of each row in a random order, as llama.cpp may return them."""
    tokens = np.argsort(-logits, axis=1, kind="stable")[:, :count].astype(np.int32)
    tokens = rng.permuted(tokens, axis=1)
    return Candidates(np.take_along_axis(logits, tokens, axis=1), tokens)


@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 9),
    decimals=st.sampled_from([1, 6]),
    sampling=st.builds(
        Sampling,
        temperature=st.sampled_from([0.0, 0.3, 0.7, 2.0]),
        top_k=st.sampled_from([1, 5, 40]),
        top_p=st.sampled_from([0.2, 0.95, 1.0]),
        min_p=st.sampled_from([0.0, 0.05, 1.0]),
    ),
)
@settings(max_examples=60, deadline=None)
def test_the_highest_logits_from_a_device_give_the_same_tokens_as_the_whole_vocabulary(
    seed: int, rows: int, decimals: int, sampling: Sampling
) -> None:
    rng = np.random.default_rng(seed)
    # Rounded logits have ties, which the lowest token wins on both ways.
    logits = np.round(rng.standard_normal((rows, 700)) * 3, decimals).astype(np.float32)
    keys = step_keys(rng.integers(0, 2**63, rows).tolist(), list(range(rows)))
    count = candidates_needed(sampling)
    assert count is not None
    taken = as_from_a_device(logits, count, rng)
    assert draw_tokens(taken, keys, sampling) == draw_tokens(Candidates(logits), keys, sampling)


def test_without_top_k_all_logits_are_needed() -> None:
    assert candidates_needed(Sampling(top_k=0)) is None
