"""Models with a sliding window, recurrent layers, or both: batched results equal those of one sequence at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from actors.engines import Answer, Choices, Measured
from actors.engines.llama import LlamaEngine
from actors.items import Choose, Item, Measure
from actors.llama.layout import EngineLayout
from actors.llama.model import Model
from tests.conftest import ignore, layout
from tests.engines.test_llama import GREEDY, QUESTIONS, SAMPLED, SHOTS, answer_alone, choice, chunk, loglik_alone
from tests.tiny_architectures import Architecture, write_tiny_architecture

ARCHITECTURES: tuple[Architecture, ...] = ("gemma2", "mamba", "jamba")
N_CTX_BY_SEQUENCE = 6 * 512  # four slots, the common prefix, and the held prompt
LAYOUTS = {
    "unified cache": layout(),
    "cells per sequence": layout(unified=False, n_ctx=N_CTX_BY_SEQUENCE),
    "nothing shared": layout(unified=False, share=False, n_ctx=N_CTX_BY_SEQUENCE),
}
CHOICES = [
    choice("c0", SHOTS + "the answer is", (" in", " the end", " another thing and then some")),
    choice("c1", SHOTS + "it is", (" a", " b")),
    choice("c2", SHOTS + "it ends with a space ", ("and", "or")),
]


@dataclass(frozen=True)
class Alone:
    """The results of a model if each token is decoded from an empty KV cache."""

    path: str
    texts: list[str]
    logliks: list[tuple[float, ...]]
    chunk: float


def logliks_alone(model: Model, item: Item) -> tuple[float, ...]:
    assert isinstance(item.task, Choose)
    text = item.task.messages[0].content
    start = len(model.tokenize(text.rstrip(), add_special=True, parse_special=False))
    return tuple(
        loglik_alone(model, model.tokenize(text + ending, add_special=True, parse_special=False), start)
        for ending in item.task.choices
    )


@pytest.fixture(scope="module", params=ARCHITECTURES)
def alone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    path = write_tiny_architecture(tmp_path_factory.mktemp("tiny") / "tiny.gguf", request.param)
    task = chunk().task
    assert isinstance(task, Measure)
    with Model(path) as model:
        texts = [answer_alone(model, item, 20, GREEDY) for item in QUESTIONS]
        logliks = [logliks_alone(model, item) for item in CHOICES]
        yield Alone(str(path), texts, logliks, loglik_alone(model, list(task.tokens), task.first_scored))


@pytest.mark.parametrize("how", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_batched_results_equal_those_of_one_sequence_at_a_time(alone: Alone, how: EngineLayout) -> None:
    engine = LlamaEngine(alone.path, how)
    # Three seeds of six items in four slots: prompts are forked, held for later seeds, and slots are reused.
    answers = engine.generate(QUESTIONS, [0, 1, 2], GREEDY, ignore)
    assert [answer.text for answer in answers if isinstance(answer, Answer)] == [
        text for text in alone.texts for _ in range(3)
    ]
    for expected, result in zip(alone.logliks, engine.choose(CHOICES, ignore), strict=True):
        assert isinstance(result, Choices)
        # f16 keys and values are summed in another order: 2e-4 per token, and an ending has at most 25 tokens.
        assert result.logliks == pytest.approx(expected, abs=5e-3)
    (measured,) = engine.measure([chunk()], ignore)
    assert isinstance(measured, Measured)
    assert -measured.nll_sum == pytest.approx(alone.chunk, abs=5e-3)
    engine.close()


def test_answers_of_these_models_differ_between_questions(alone: Alone) -> None:
    assert len(set(alone.texts)) > 3  # otherwise equal answers would prove nothing


def test_prompts_are_decoded_once_if_shared_and_otherwise_per_sequence(alone: Alone) -> None:
    tokens = []
    for how in LAYOUTS.values():
        engine = LlamaEngine(alone.path, how)
        engine.generate(QUESTIONS, [0, 1, 2], GREEDY, ignore)
        tokens.append(engine.take_usage().prompt_tokens)
        engine.close()
    shared, by_sequence, nothing_shared = tokens
    assert shared == by_sequence < nothing_shared / 10


@pytest.mark.parametrize("how", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_kept_prefix_changes_no_bit_and_is_decoded_once_if_possible(alone: Alone, how: EngineLayout) -> None:
    engine, fresh = LlamaEngine(alone.path, how), LlamaEngine(alone.path, how)
    tokens = []
    engine.generate([*QUESTIONS, *QUESTIONS[:2]], [5, 6], SAMPLED, ignore)  # leaves the cells in a different order
    for block in (QUESTIONS[:4], QUESTIONS[1:], QUESTIONS):
        engine.take_usage()
        fresh.measure([chunk()], ignore)  # drops the prefix
        fresh.take_usage()
        assert engine.generate(block, [0, 1], SAMPLED, ignore) == fresh.generate(block, [0, 1], SAMPLED, ignore)
        tokens.append((fresh.take_usage().prompt_tokens, engine.take_usage().prompt_tokens))
    engine.choose(CHOICES, ignore)
    fresh.measure([chunk()], ignore)
    assert engine.choose(CHOICES, ignore) == fresh.choose(CHOICES, ignore)
    with Model(alone.path, vocab_only=True) as model:
        kept = how.share_prefixes and model.metadata("general.architecture") != "gemma2"
    assert all((ours < anew) == kept for anew, ours in tokens)
    engine.close()
    fresh.close()
