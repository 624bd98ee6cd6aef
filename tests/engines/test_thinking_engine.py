"""A model that thinks, decoded by llama.cpp: its answers, its budgets, its turns and its self-check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from actors.engines import Answer, Choices, Refused
from actors.engines.llama import LlamaEngine, Prepared
from actors.engines.scripted import Script, ScriptedEngine
from actors.evaluation.actor import EvaluationWorker
from actors.evaluation.kv_cache import cache_need_of_tasks
from actors.evaluation.prompt_fit import fit
from actors.evaluation.self_check import run_check
from actors.items import Choose, Generate, Item, Message, Scorer, TemplateUse
from actors.llama.loaded import LoadedModels
from actors.llama.model import Model
from actors.orders import BlockOrder, CheckOrder, CheckPart
from conf.schema.answers import Sampling
from tests import thinking_models as templates
from tests.conftest import ignore, layout
from tests.thinking_models import Chain, write_thinking_model

SAYS = Chain(("<think>", "hmm", "let", "me", "</think>", "it", "is", "seven"))
OPENED = Chain(("hmm", "let", "me", "</think>", "it", "is", "seven"))
LAYOUT = layout(n_ctx=4096)
SAMPLING = Sampling(max_tokens=16)
TASK = Generate((Message("user", "hi"),), True, (), 4)
OFF = TemplateUse(thinking="off", arguments='{"enable_thinking": false}')


@contextmanager
def engine_of(folder: Path, template: str, says: Chain, use: TemplateUse | None = None) -> Iterator[LlamaEngine]:
    engine = LlamaEngine(str(write_thinking_model(folder / "model.gguf", template, says)), LAYOUT, use)
    yield engine
    engine.close()


def answered(engine: LlamaEngine, task: Generate = TASK) -> Answer:
    first, second = engine.generate([Item("i", task, "seven", "hash")], [0, 1], SAMPLING, ignore)
    assert isinstance(first, Answer) and first == second
    return first


@pytest.mark.parametrize(("template", "says"), [(templates.QWEN_3, SAYS), (templates.DEEPSEEK_R1, OPENED)])
def test_thoughts_are_told_from_the_answer_also_if_the_template_opens_them(
    template: str, says: Chain, tmp_path: Path
) -> None:
    with engine_of(tmp_path, template, says, TemplateUse(thinking_tokens=8)) as engine:
        answer = answered(engine)
    assert (answer.text, answer.thoughts, answer.finish_reason) == ("it is seven", "hmm let me", "eog")
    assert (answer.thought_tokens, answer.completion_tokens) == (len(says.words) - 3, len(says.words))


def test_a_stop_string_ends_the_answer_and_not_the_thoughts(tmp_path: Path) -> None:
    with engine_of(tmp_path, templates.QWEN_3, SAYS, TemplateUse(thinking_tokens=8)) as engine:
        answer = answered(engine, replace(TASK, stop=(" let", " is")))
    assert (answer.text, answer.thoughts, answer.finish_reason) == ("it", "hmm let me", "stop")


def test_thoughts_over_their_budget_are_cut(tmp_path: Path) -> None:
    with engine_of(tmp_path, templates.QWEN_3, SAYS, TemplateUse(thinking_tokens=3)) as engine:
        answer = answered(engine)
    assert (answer.text, answer.thoughts, answer.cut_while_thinking) == ("", "hmm let", True)


def test_what_a_template_has_closed_gets_no_budget(tmp_path: Path) -> None:
    # "\n" ends both prompts, so the model thinks although it should not: it has the tokens of the answer for it.
    with engine_of(tmp_path, templates.QWEN_3, SAYS, replace(OFF, thinking_tokens=8)) as engine:
        answer = answered(engine)
        request = engine.generation_request(Item("i", TASK, "x", "hash"), SAMPLING)
    assert isinstance(request, Prepared) and request.request.most_tokens == 4
    assert (answer.completion_tokens, answer.cut_while_thinking) == (4, True)


def test_a_plain_completion_has_no_budget_for_thoughts(tmp_path: Path) -> None:
    plain = replace(TASK, messages=(Message("user", "hi\n"),), chat=False)
    with engine_of(tmp_path, templates.QWEN_3, SAYS, TemplateUse(thinking_tokens=8)) as engine:
        assert answered(engine, plain).completion_tokens == 4


def test_choices_stand_behind_the_thoughts_that_a_template_opens(tmp_path: Path) -> None:
    task = Choose((Message("user", "hi"),), True, ("it", "me"))
    says = Chain(("it",), after="</think>")
    template = templates.DEEPSEEK_R1.replace("<think>\\n", "<think>")
    with engine_of(tmp_path, template, says) as engine:
        (found,) = engine.choose([Item("i", task, 0, "hash")], ignore)
        request = engine.choice_request(Item("i", task, 0, "hash"))
        assert isinstance(request, Prepared)
        ends = b"".join(map(engine.vocabulary.piece, request.request.choices[0][: request.request.scored_from]))
    assert ends.endswith(b"<think>\n</think>\n\n") and isinstance(found, Choices)
    with Model(tmp_path / "model.gguf", vocab_only=True) as vocabulary:
        need = cache_need_of_tasks([task], 16, vocabulary)
        assert need.prefix + need.own >= max(map(len, request.request.choices))


def test_a_later_turn_sees_the_answer_without_thoughts(tmp_path: Path) -> None:
    task = replace(TASK, then=("and now?",))
    with engine_of(tmp_path, templates.QWEN_3, SAYS, TemplateUse(thinking_tokens=8)) as engine:
        first, both = answered(engine), answered(engine, task)
    assert (both.earlier_texts, both.text) == (("it is seven",), "it is seven")
    assert (both.thoughts, both.thought_tokens) == ("hmm let me\n\nhmm let me", 10)
    said = "it is seven<|im_end|>\n<|im_start|>user\nand now?<|im_end|>\n<|im_start|>assistant\n"
    with Model(tmp_path / "model.gguf", vocab_only=True) as vocabulary:
        more = len(vocabulary.tokenize(said, add_special=False, parse_special=True))
    assert both.prompt_tokens == 2 * first.prompt_tokens + more


def test_a_first_turn_that_is_cut_in_its_thoughts_is_told(tmp_path: Path) -> None:
    path = write_thinking_model(tmp_path / "model.gguf", templates.QWEN_3, SAYS)
    order = BlockOrder(
        arm="a", gguf_path=str(path), benchmark="b", scorer=Scorer("contains"), seeds=(0,), sampling=SAMPLING,
        items=(Item("i", replace(TASK, then=("and now?",)), "seven", "hash"),), layout=LAYOUT,
        records_path=str(tmp_path / "cut.jsonl"), chat_template=TemplateUse(thinking_tokens=3),
    )  # fmt: skip
    worker = EvaluationWorker()
    worker.evaluate(order, ignore)
    worker.close()
    record = json.loads(Path(order.records_path).read_text())
    assert (record["earlier_texts"], record["earlier_cuts"], record["reason"]) == ([""], [True], "cut_while_thinking")


def test_context_and_cache_have_room_for_the_thoughts(tmp_path: Path) -> None:
    path = write_thinking_model(tmp_path / "small.gguf", templates.QWEN_3, n_ctx=64)
    with Model(path, vocab_only=True) as vocabulary:
        use, large = TemplateUse(thinking_tokens=30), TemplateUse(thinking_tokens=60)
        need, other = (cache_need_of_tasks([TASK], 16, vocabulary, one) for one in (None, use))
        assert other.answer == need.answer + 30 and need.or_more(other) == other
        assert [fit(TASK, 16, vocabulary, one).too_long for one in (None, use, large)] == [False, False, True]
    engine = LlamaEngine(str(path), LAYOUT, large)
    (refused,) = engine.generate([Item("i", TASK, "x", "hash")], [0], SAMPLING, ignore)
    engine.close()
    assert isinstance(refused, Refused) and refused.reason == "context_too_long"


def test_a_record_keeps_thoughts_apart_and_says_that_they_were_cut(tmp_path: Path) -> None:
    path = write_thinking_model(tmp_path / "model.gguf", templates.QWEN_3, SAYS)
    records = []
    worker = EvaluationWorker()
    for name, use in {"whole": TemplateUse(thinking_tokens=8), "cut": TemplateUse(thinking_tokens=3)}.items():
        order = BlockOrder(
            arm=name, gguf_path=str(path), benchmark="b", scorer=Scorer("contains"), seeds=(0,), sampling=SAMPLING,
            items=(Item("i", TASK, "seven", "hash"),), layout=LAYOUT, records_path=str(tmp_path / f"{name}.jsonl"),
            chat_template=use,
        )  # fmt: skip
        worker.evaluate(order, ignore)
        records.append(json.loads(Path(order.records_path).read_text()))
    worker.close()
    whole, cut = records
    assert (whole["outcome"], whole["text"], whole["thoughts"]) == ("correct", "it is seven", "hmm let me")
    assert (whole["thought_tokens"], whole["completion_tokens"], whole["reason"]) == (5, 8, None)
    assert (cut["outcome"], cut["score"], cut["reason"]) == ("wrong", 0.0, "cut_while_thinking")
    assert whole["prompt_hash"] == cut["prompt_hash"]  # both were asked the same, so they are compared


@pytest.mark.parametrize("use", [None, OFF, TemplateUse(thinking_tokens=3)])
def test_the_self_check_compares_what_was_generated_with_the_thoughts(use: TemplateUse | None, tmp_path: Path) -> None:
    path = write_thinking_model(tmp_path / "model.gguf", templates.QWEN_3, SAYS)
    part = CheckPart("b", (Item("i", TASK, "seven", "hash"),), LAYOUT)
    order = CheckOrder("a", str(path), (part,), use, str(tmp_path / "check.json"))
    (report,) = run_check(order, ignore, LoadedModels())
    assert report.n_answers == 1


def test_a_scripted_answer_is_split_too() -> None:
    engine = ScriptedEngine(Script({"i": ("<think>a</think>b", "<think>c</think>d")}))
    (answer,) = engine.generate([Item("i", replace(TASK, then=("?",)), "x", "hash")], [0], SAMPLING, ignore)
    assert isinstance(answer, Answer)
    assert (answer.text, answer.earlier_texts, answer.thoughts, answer.thought_tokens) == ("d", ("b",), "a\n\nc", 2)
