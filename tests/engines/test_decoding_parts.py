"""Parts of decoding: batches, stop strings, log-probabilities and common prefixes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from actors.engines.answer_reader import AnswerReader
from actors.engines.logprobs import token_logprobs
from actors.engines.prefix import shared_length
from actors.llama.batch import Run, make_batches

RUNS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8)


@settings(deadline=None)
@given(RUNS, st.integers(1, 16), st.integers(1, 8))
def test_batches_contain_all_tokens_in_order_within_both_limits(
    sizes: list[tuple[int, int]], most_tokens: int, most_rows: int
) -> None:
    runs = [Run(i, 10 * i, list(range(100 * i, 100 * i + n)), min(first, n)) for i, (n, first) in enumerate(sizes)]
    batches = make_batches(runs, most_tokens, most_rows)
    assert [int(t) for batch in batches for t in batch.tokens] == [t for run in runs for t in run.tokens]
    for batch in batches:
        assert 0 < len(batch.tokens) <= most_tokens
        assert batch.outputs.sum() == len(batch.owners) <= most_rows
    rows = [(int(o), int(i)) for batch in batches for o, i in zip(batch.owners, batch.offsets, strict=True)]
    assert rows == [(o, i) for o, run in enumerate(runs) for i in range(run.first_output, len(run.tokens))]


@settings(deadline=None)
@given(st.text(alphabet="ab#\n質", max_size=30), st.lists(st.integers(1, 4), max_size=100))
def test_a_stop_string_is_found_across_token_borders(text: str, cuts: list[int]) -> None:
    stops, raw, watch, stopped, at = ("#\n", "質a"), text.encode(), AnswerReader(("#\n", "質a"), 999, None), False, 0
    for size in [*cuts, *[1] * len(raw)]:
        if at >= len(raw) or stopped:
            break
        stopped = watch.add(raw[at : at + size]) == "stop"
        at += size
    found = [text.index(stop) for stop in stops if stop in text]
    assert stopped == bool(found)
    if found and all(size == 1 for size in cuts):
        assert watch.said().answer == min((text[: text.index(stop)] for stop in stops if stop in text), key=len)
    if not found:
        assert watch.said().answer == text


def test_an_incomplete_character_becomes_a_replacement_character() -> None:
    watch = AnswerReader((), 8, None)
    watch.add("質".encode()[:2])
    assert watch.said().answer == "\ufffd"


def test_log_probabilities_equal_those_of_scipy_in_float64() -> None:
    rng = np.random.default_rng(1)
    logits = (rng.standard_normal((50, 1000)) * 8).astype(np.float32)
    tokens = rng.integers(0, 1000, 50)
    expected = log_softmax(logits.astype(np.float64), axis=1)[np.arange(50), tokens]
    np.testing.assert_allclose(token_logprobs(logits, tokens), expected, atol=2e-6)


def test_the_common_prefix_leaves_at_least_one_token_of_each_prompt() -> None:
    assert shared_length([[1, 2, 3], [1, 2, 4]]) == 2
    assert shared_length([[1, 2], [1, 2, 4]]) == 1
    assert shared_length([[1, 2, 3]]) == 2
    assert shared_length([[1], [2]]) == 0
    assert shared_length([]) == 0
