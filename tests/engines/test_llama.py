"""The batched engine gives the same results as one sequence at a time, and the same again for the same block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from actors.engines import Answer, Choices, Measured, Refused
from actors.engines.llama import LlamaEngine
from actors.engines.noise import sequence_key, step_keys
from actors.engines.sampling import draw_tokens
from actors.errors import LlamaError
from actors.items import Choose, Generate, Item, Measure, Message
from actors.llama.batch import Run
from actors.llama.candidates import Candidates
from actors.llama.context import Context, Rows
from actors.llama.model import Model
from conf.schema.answers import Sampling
from tests.conftest import ignore, layout

SHOTS = "one and two, three and four; the end of the thing. " * 3
GREEDY = Sampling(temperature=0.0, max_tokens=24)
SAMPLED = Sampling(max_tokens=24)


def question(name: str, text: str, **changes: object) -> Item:
    task = Generate((Message("user", SHOTS + text),), False, (), 20)
    return Item(name, replace(task, **changes), ["x"], f"hash of {name}")  # type: ignore[arg-type]


QUESTIONS = [question(f"q{i}", text) for i, text in enumerate(["the hat", "a", "in the sun and", "on it", "re", "is"])]


def logits_after(model: Model, tokens: list[int]) -> np.ndarray:
    context = Context(model, layout(sequences=1), max_sequences=1)
    rows = [row.logits[-1].copy() for row in context.decode([Run(0, 0, tokens, len(tokens) - 1)])]
    context.close()
    return rows[-1]


def answer_alone(model: Model, item: Item, n_tokens: int, sampling: Sampling, seed: int = 0) -> str:
    """Generate without batching: decode each token from an empty KV cache."""
    task, noise = item.task, sequence_key(seed, item.item_id)
    assert isinstance(task, Generate)
    tokens = model.tokenize(task.messages[0].content, add_special=True, parse_special=False)
    drawn: list[int] = []
    for position in range(n_tokens):
        logits = logits_after(model, tokens + drawn)
        (token,) = draw_tokens(Candidates(logits[None]), step_keys([noise], [position]), sampling)
        if model.is_end_of_generation(token):
            break
        drawn.append(token)
    return b"".join(model.piece(token) for token in drawn).decode("utf-8", "replace")


def test_greedy_answers_equal_those_of_one_sequence_at_a_time(engine: LlamaEngine, tiny: Model) -> None:
    answers = engine.generate(QUESTIONS, [0], GREEDY, ignore)
    for item, answer in zip(QUESTIONS, answers, strict=True):
        assert isinstance(answer, Answer)
        assert answer.text == answer_alone(tiny, item, 20, GREEDY)


def test_sampled_answers_equal_those_of_one_sequence_at_a_time(engine: LlamaEngine, tiny: Model) -> None:
    answers = iter(engine.generate(QUESTIONS, [3, 4], SAMPLED, ignore))
    same = [
        answer.text == answer_alone(tiny, item, 20, SAMPLED, seed)
        for item in QUESTIONS
        for seed, answer in zip([3, 4], answers, strict=False)
        if isinstance(answer, Answer)
    ]
    # Last bits differ between batch shapes, so a close draw may give another token.
    assert len(same) == 12 and sum(same) >= 11


def test_the_same_block_gives_the_same_answers_in_a_fresh_engine_and_after_other_blocks(
    engine: LlamaEngine, tiny_path: str
) -> None:
    first = engine.generate(QUESTIONS, [3, 4, 5], SAMPLED, ignore)
    engine.generate(QUESTIONS[2:5], [9], SAMPLED, ignore)
    engine.measure([chunk()], ignore)
    again = engine.generate(QUESTIONS, [3, 4, 5], SAMPLED, ignore)
    fresh = LlamaEngine(tiny_path, layout())
    assert first == again == fresh.generate(QUESTIONS, [3, 4, 5], SAMPLED, ignore)
    fresh.close()


def test_seeds_differ_and_come_in_order_within_items(engine: LlamaEngine) -> None:
    together = engine.generate(QUESTIONS, [0, 1, 2], SAMPLED, ignore)
    assert len(together) == 18
    assert len({answer.text for answer in together[:3] if isinstance(answer, Answer)}) > 1
    alone = engine.generate(QUESTIONS, [1], SAMPLED, ignore)
    same = [one == other for one, other in zip(together[1::3], alone, strict=True)]
    # The batch shapes differ, so last bits may differ. But each sequence has its own noise.
    assert sum(same) >= 4


def test_a_small_cache_runs_fewer_sequences_and_a_tiny_one_is_refused(tiny_path: str, engine: LlamaEngine) -> None:
    small = LlamaEngine(tiny_path, layout(n_ctx=256))
    answers = small.generate(QUESTIONS, [0, 1, 2], GREEDY, ignore)
    small.close()
    assert [a.text for a in answers if isinstance(a, Answer)] == [
        a.text for a in engine.generate(QUESTIONS, [0, 1, 2], GREEDY, ignore) if isinstance(a, Answer)
    ]
    tight = LlamaEngine(tiny_path, layout(n_ctx=256))
    with pytest.raises(LlamaError, match="256 cells is too small: one sequence needs"):
        tight.generate([question("long", "and " * 200)], [0], GREEDY, ignore)
    tight.close()


def test_with_cells_per_sequence_slots_stay_consecutive(tiny_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """llama.cpp would need another pass over the weights for each gap."""
    steps: list[list[int]] = []
    decode = Context.decode

    def watched(self: Context, runs: Sequence[Run]) -> Iterator[Rows]:
        if all(len(run.tokens) == 1 for run in runs):
            steps.append([run.sequence for run in runs])
        return decode(self, runs)

    monkeypatch.setattr(Context, "decode", watched)
    own_cells = LlamaEngine(tiny_path, layout(unified=False, n_ctx=6 * 512))
    texts = {"the hat": 3, "in the sun": 20, "on it and": 5, "re the end": 12, "is the thing": 7, "and the end": 9}
    items = [question(text, text, max_tokens=most) for text, most in texts.items()]
    lengths = [a.completion_tokens for a in own_cells.generate(items, [0], GREEDY, ignore) if isinstance(a, Answer)]
    own_cells.close()
    assert len(set(lengths)) > 3 and {len(step) for step in steps} >= {1, 2, 3, 4}
    assert all(step == list(range(1, len(step) + 1)) for step in steps)


def test_the_token_limit_ends_an_answer_and_is_counted(engine: LlamaEngine) -> None:
    (answer,) = engine.generate([question("q", "the", max_tokens=3)], [0], GREEDY, ignore)
    assert isinstance(answer, Answer)
    assert (answer.finish_reason, answer.completion_tokens) in {("length", 3), ("eog", 0), ("eog", 1), ("eog", 2)}


def test_an_answer_ends_before_its_stop_string(engine: LlamaEngine) -> None:
    (whole,) = engine.generate([QUESTIONS[0]], [0], GREEDY, ignore)
    assert isinstance(whole, Answer)
    (stop, *_) = re.findall("[!-~]", whole.text[1:])
    (cut,) = engine.generate([question("q0", "the hat", stop=(stop,))], [0], GREEDY, ignore)
    assert isinstance(cut, Answer)
    assert cut.finish_reason == "stop"
    assert cut.text == whole.text[: whole.text.index(stop)]


def test_a_prompt_longer_than_the_context_is_refused_and_the_others_are_answered(engine: LlamaEngine) -> None:
    long = question("long", "and the " * 2000)
    results = engine.generate([QUESTIONS[0], long, QUESTIONS[1]], [0, 1], GREEDY, ignore)
    assert [type(result) for result in results] == [Answer, Answer, Refused, Refused, Answer, Answer]
    assert isinstance(results[2], Refused) and results[2].reason == "context_too_long"


def test_tokens_are_reported_as_they_are_decoded(engine: LlamaEngine) -> None:
    counts: list[int] = []
    engine.take_usage()
    engine.generate(QUESTIONS, [0, 1], SAMPLED, counts.append)
    usage = engine.take_usage()
    assert sum(counts) == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_s > 0 and usage.decode_s > 0
    assert engine.take_usage().completion_tokens == 0


# --- likelihoods ---------------------------------------------------------------------------------


def loglik_alone(model: Model, tokens: list[int], scored_from: int) -> float:
    """Compute a log-likelihood without batching: one decode per token, softmax in float64."""
    total = 0.0
    for at in range(scored_from, len(tokens)):
        logits = logits_after(model, tokens[:at]).astype(np.float64)
        total += logits[tokens[at]] - np.logaddexp.reduce(logits)
    return float(total)


def choice(name: str, text: str, choices: tuple[str, ...]) -> Item:
    return Item(name, Choose((Message("user", text),), False, choices), 0, f"hash of {name}")


def chunk(n_tokens: int = 64, first_scored: int = 33) -> Item:
    tokens = (1, *(5 + (i * 37) % 300 for i in range(n_tokens - 1)))
    return Item("chunk-00000", Measure(tokens, first_scored), None, "hash of chunk")


def test_choices_get_the_same_score_as_when_decoded_alone(engine: LlamaEngine, tiny: Model) -> None:
    items = [
        choice("c0", SHOTS + "the answer is", (" in", " the end", " another thing and then some")),
        choice("c1", SHOTS + "it is", (" a", " b")),
        choice("c2", SHOTS + "it ends with a space ", ("and", "or")),
    ]
    for item, result in zip(items, engine.choose(items, ignore), strict=True):
        assert isinstance(result, Choices) and isinstance(item.task, Choose)
        context = item.task.messages[0].content.rstrip()
        start = len(tiny.tokenize(context, add_special=True, parse_special=False))
        for text, loglik in zip(item.task.choices, result.logliks, strict=True):
            whole = item.task.messages[0].content + text
            tokens = tiny.tokenize(whole, add_special=True, parse_special=False)
            assert loglik == pytest.approx(loglik_alone(tiny, tokens, start), abs=1e-3)


def test_more_choices_than_sequences_are_an_error(engine: LlamaEngine) -> None:
    with pytest.raises(LlamaError, match="5 choices needs as many sequences"):
        engine.choose([choice("c", "the", (" a", " b", " c", " d", " e"))], ignore)


def test_a_chunk_is_measured_from_its_first_scored_token_on(engine: LlamaEngine, tiny: Model) -> None:
    item = chunk()
    (measured,) = engine.measure([item], ignore)
    assert isinstance(measured, Measured) and isinstance(item.task, Measure)
    assert measured.n_tokens == 31
    assert measured.nll_sum == pytest.approx(-loglik_alone(tiny, list(item.task.tokens), 33), abs=1e-3)


def test_choices_and_chunks_do_not_depend_on_what_came_before(engine: LlamaEngine, tiny_path: str) -> None:
    items = [choice(f"c{i}", SHOTS + text, (" in", " the end")) for i, text in enumerate(("the", "a", "on it"))]
    first = engine.choose(items, ignore), engine.measure([chunk()], ignore)
    engine.generate(QUESTIONS, [0], SAMPLED, ignore)
    again = engine.choose(items, ignore), engine.measure([chunk()], ignore)
    fresh = LlamaEngine(tiny_path, layout())
    assert first == again == (fresh.choose(items, ignore), fresh.measure([chunk()], ignore))
    fresh.close()
