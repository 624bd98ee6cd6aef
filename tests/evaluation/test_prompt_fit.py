"""Prompts longer than the model's context: examples are left out, or the item is too long, the same for every arm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.chat import render_prompt
from actors.engines.scripted import Script, ScriptedEngine
from actors.evaluation.benchmarks import load
from actors.evaluation.contract import few_shot_prompt
from actors.evaluation.evaluate import evaluate_block
from actors.evaluation.prompt_fit import fit
from actors.items import Choose, Generate, Measure, Message
from actors.llama.model import Model
from actors.orders import BlockOrder
from conf.schema.answers import Sampling
from tests.conftest import ignore, layout
from tests.tiny_model import TinyShape, write_tiny_model

SHOTS = tuple(f"the example number {number} is here and there\n" for number in range(10))
TASK = Generate(few_shot_prompt(SHOTS, "what is it"), False, (), 32)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Return the vocabulary of a model with a context of 256 tokens, as the plan reads it."""
    path = write_tiny_model(tmp_path_factory.mktemp("narrow") / "narrow.gguf", shape=TinyShape(n_ctx=256))
    return Model(path, vocab_only=True)


def n_tokens(task: Generate | Choose, model: Model) -> int:
    prompt = render_prompt(task.messages, chat=task.chat, model=model)
    return len(model.tokenize(prompt.text, add_special=prompt.add_special, parse_special=prompt.parse_special))


def test_a_prompt_that_fits_is_not_changed(narrow: Model, tiny: Model) -> None:
    fitted = fit(TASK, 32, tiny)
    assert (fitted.task, fitted.shots_dropped, fitted.too_long) == (TASK, 0, False)


@pytest.mark.parametrize("chat", [False, True])
def test_the_first_examples_are_left_out_and_no_more_than_necessary(chat: bool, narrow: Model) -> None:
    task = replace(TASK, chat=chat)
    fitted = fit(task, 32, narrow)
    assert 0 < fitted.shots_dropped < 10 and not fitted.too_long
    assert isinstance(fitted.task, Generate)
    assert fitted.task.messages == task.messages[fitted.shots_dropped :]
    assert n_tokens(fitted.task, narrow) + 32 <= 256
    one_more = replace(task, messages=task.messages[fitted.shots_dropped - 1 :])
    assert n_tokens(one_more, narrow) + 32 > 256


def test_an_example_of_two_messages_is_left_out_whole_and_the_system_prompt_stays(narrow: Model) -> None:
    pairs = [(Message("user", text, shot=n), Message("assistant", "yes", shot=n)) for n, text in enumerate(SHOTS)]
    messages = (Message("system", "be short"), *(one for pair in pairs for one in pair), Message("user", "what"))
    fitted = fit(Generate(messages, True, (), 32), 32, narrow)
    assert isinstance(fitted.task, Generate)
    kept = fitted.task.messages
    assert fitted.shots_dropped > 0 and kept[0].role == "system" and kept[1].role == "user"
    assert len(kept) == len(messages) - 2 * fitted.shots_dropped


def test_the_longest_choice_and_the_lower_answer_limit_count(narrow: Model) -> None:
    short = Choose(TASK.messages, False, (" a", " b"))
    long = replace(short, choices=(" a", " and the other " * 9))
    assert fit(long, 32, narrow).shots_dropped > fit(short, 32, narrow).shots_dropped
    assert fit(TASK, 8, narrow).shots_dropped < fit(TASK, 512, narrow).shots_dropped


def test_an_item_that_never_fits_is_too_long_and_keeps_its_prompt(narrow: Model) -> None:
    task = replace(TASK, messages=few_shot_prompt(SHOTS, "and the " * 300))
    fitted = fit(task, 32, narrow)
    assert (fitted.task, fitted.shots_dropped, fitted.too_long) == (task, 0, True)
    assert fit(Measure(tuple(range(5, 262)), 129), 32, narrow).too_long
    assert not fit(Measure(tuple(range(5, 261)), 129), 32, narrow).too_long


def test_an_item_that_is_too_long_is_unscored_and_a_shortened_one_counts_its_dropped_shots(
    tmp_path: Path, narrow: Model, tiny: Model
) -> None:
    sampling = Sampling(max_tokens=8)
    data = load("demo_qa", data_dir=None, sampling=sampling, vocabulary=tiny)
    items = data.items[:3]
    items = (items[0], replace(items[1], too_long=True), replace(items[2], shots_dropped=2))
    engine = ScriptedEngine(Script(texts={item.item_id: "" for item in items}))
    path = str(tmp_path / "x.jsonl")
    order = BlockOrder("f16", tiny.path, "demo_qa", data.spec.scorer, items, (0, 1), sampling, layout(), path)
    records = evaluate_block(order, engine, ignore).records
    assert [record.outcome for record in records] == ["wrong"] * 2 + ["unscored"] * 2 + ["wrong"] * 2
    assert [record.reason for record in records[2:4]] == ["context_too_long"] * 2
    assert [record.shots_dropped for record in records] == [0, 0, 0, 0, 2, 2]


def test_the_data_hash_changes_if_examples_are_left_out(data_dir: Path, narrow: Model, tiny: Model) -> None:
    sampling = Sampling(max_tokens=32)
    whole = load("gsm8k", data_dir=data_dir, sampling=sampling, vocabulary=tiny)
    cut = load("gsm8k", data_dir=data_dir, sampling=sampling, vocabulary=narrow)
    assert whole.data_hash != cut.data_hash
    assert any(item.too_long for item in cut.items) and any(item.shots_dropped == 8 for item in cut.items)
    assert not any(item.too_long for item in whole.items)
