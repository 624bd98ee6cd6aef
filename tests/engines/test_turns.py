"""Several turns and temperatures: every engine shows the model its own answers, and the block alone decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.engines import Answer, Refused
from actors.engines.llama import LlamaEngine
from actors.engines.noise import sequence_key
from actors.engines.scripted import NOT_WRITTEN, Script, ScriptedEngine
from actors.engines.turns import messages_of_turn, whole_conversation
from actors.evaluation.kv_cache import cache_need_of_tasks
from actors.evaluation.prompt_fit import fit
from actors.items import Generate, Item, Message
from actors.llama.model import Model
from conf.schema.answers import Sampling
from tests.conftest import ignore, layout
from tests.engines.test_llama import SHOTS, answer_alone
from tests.engines.test_openai import Reply, engine_at, said, server

SAMPLING = Sampling(temperature=0.7, max_tokens=24)
TEXTS = ("the hat", "a", "in the sun and", "on it", "re", "is")


def talk(name: str, text: str, temperature: float | None, then: tuple[str, ...] = (" and then",)) -> Item:
    task = Generate((Message("user", SHOTS + text),), False, (), 12, then, temperature)
    return Item(name, task, {}, f"hash of {name}")


TALKS = [
    talk(f"q{place}", text, temperature)
    for place, (text, temperature) in enumerate(zip(TEXTS, (0.0, 0.7, None, 0.1, 0.0, 0.7), strict=True))
]


def given(found: list[Answer | Refused]) -> list[Answer]:
    answers = [answer for answer in found if isinstance(answer, Answer)]
    assert len(answers) == len(found)
    return answers


def test_the_second_turn_continues_the_conversation_with_the_first_answer(engine: LlamaEngine, tiny: Model) -> None:
    item = talk("q", "the hat", 0.0)
    (answer,) = given(engine.generate([item], [0], SAMPLING, ignore))
    first = answer_alone(tiny, item, 12, Sampling(temperature=0.0))
    prompt = (Message("user", f"{SHOTS}the hat{first} and then"),)
    second = replace(item, task=Generate(prompt, False, (), 12))
    assert answer.earlier_texts == (first,) and answer.earlier_finish_reasons == ("length",)
    assert answer.text == answer_alone(tiny, second, 12, Sampling(temperature=0.0))
    sizes = [len(tiny.tokenize(text, add_special=True, parse_special=False)) for text in (SHOTS + "the hat",)]
    sizes += [len(tiny.tokenize(prompt[0].content, add_special=True, parse_special=False))]
    assert answer.prompt_tokens == sum(sizes) and 12 < answer.completion_tokens <= 24


def test_each_turn_has_noise_of_its_own_and_the_first_has_that_of_a_single_turn() -> None:
    keys = {sequence_key(3, "q", turn) for turn in range(4)}
    assert len(keys) == 4 and sequence_key(3, "q") == sequence_key(3, "q", 0)


@pytest.mark.parametrize(("unified", "share"), [(True, True), (False, True), (False, False)])
def test_a_block_of_several_temperatures_gives_the_same_answers_twice(
    tiny_path: str, unified: bool, share: bool
) -> None:
    engine = LlamaEngine(tiny_path, layout(n_ctx=6 * 1024, unified=unified, share=share))
    once = given(engine.generate(TALKS, [3, 4], SAMPLING, ignore))
    again = given(engine.generate(TALKS, [3, 4], SAMPLING, ignore))
    engine.close()
    assert once == again
    by_item = {item.item_id: once[2 * place : 2 * place + 2] for place, item in enumerate(TALKS)}
    assert by_item["q0"][0] == by_item["q0"][1] and by_item["q4"][0] == by_item["q4"][1]
    assert by_item["q1"][0] != by_item["q1"][1]
    assert all(len(answer.earlier_texts) == 1 for answer in once)


def test_an_answer_does_not_depend_on_the_temperatures_beside_it(engine: LlamaEngine) -> None:
    greedy = [item for item in TALKS if item.item_id in ("q0", "q4")]
    alone = given(engine.generate(greedy, [3, 4], SAMPLING, ignore))
    beside = given(engine.generate(TALKS, [3, 4], SAMPLING, ignore))
    assert alone == [*beside[0:2], *beside[8:10]]


def test_items_with_one_and_with_three_turns_share_a_block(engine: LlamaEngine) -> None:
    items = [talk("one", "a", 0.7, ()), talk("three", "on it", 0.7, (" and then", " the end")), talk("two", "re", 0.7)]
    answers = given(engine.generate(items, [0, 1], SAMPLING, ignore))
    assert [len(answer.earlier_texts) for answer in answers] == [0, 0, 2, 2, 1, 1]
    alone = given(engine.generate(items[:1], [0, 1], SAMPLING, ignore))
    assert [answer.text for answer in alone] == [answer.text for answer in answers[:2]]


def test_a_later_turn_without_room_is_refused_and_the_others_go_on(tiny_path: str) -> None:
    small = LlamaEngine(tiny_path, layout(n_ctx=512, sequences=2))
    long = talk("long", "a", 0.0, ("word " * 120,))
    results = small.generate([long, TALKS[0]], [0], SAMPLING, ignore)
    small.close()
    assert isinstance(results[0], Refused) and results[0].reason == "conversation_too_long"
    assert isinstance(results[1], Answer)


def test_the_plan_counts_every_turn(tiny: Model) -> None:
    task = TALKS[0].task
    assert isinstance(task, Generate)
    several, one = (cache_need_of_tasks([asked], 24, tiny) for asked in (task, replace(task, then=())))
    assert several.prefix + several.own >= one.prefix + one.own + 12 and several.answer == 12
    prompt = len(tiny.tokenize(SHOTS + "the hat", add_special=True, parse_special=False))
    needs = replace(task, max_tokens=(tiny.n_ctx_train - prompt) // 2)
    assert fit(needs, 10**6, tiny).too_long
    assert not fit(replace(needs, then=()), 10**6, tiny).too_long


def test_messages_alternate_and_the_whole_conversation_ends_with_the_user() -> None:
    task = Generate((Message("user", "a"),), True, (), 5, ("b", "c"))
    assert [(one.role, one.content) for one in messages_of_turn(task, ["A"])] == [
        ("user", "a"),
        ("assistant", "A"),
        ("user", "b"),
    ]
    assert [one.role for one in whole_conversation(task)] == ["user", "assistant"] * 2 + ["user"]


def test_an_endpoint_sees_the_conversation_and_is_asked_once_at_temperature_0() -> None:
    def reply(number: int, body: dict[str, object]) -> Reply:
        messages = body["messages"]
        assert isinstance(messages, list)
        return said(f"answer {len(messages)}", finish="length" if len(messages) == 1 else "stop")

    chat = Generate((Message("user", "q"),), True, (), 8, ("more",), 0.0)
    warm = replace(chat, temperature=0.9)
    with server(reply) as (url, asked), engine_at(url) as engine:
        found = engine.generate([Item("a", chat, {}, "h"), Item("b", warm, {}, "h")], [1, 2], SAMPLING, ignore)
    answers = given(found)
    assert answers[0] == answers[1]
    assert (answers[0].text, answers[0].earlier_texts, answers[0].earlier_finish_reasons) == (
        "answer 3",
        ("answer 1",),
        ("length",),
    )
    assert (answers[0].prompt_tokens, answers[0].completion_tokens) == (10, 6)
    assert sorted((body["temperature"], body["seed"], len(body["messages"])) for _, body, _ in asked) == [
        (0.0, 1, 1),
        (0.0, 1, 3),
        (0.9, 1, 1),
        (0.9, 1, 3),
        (0.9, 2, 1),
        (0.9, 2, 3),
    ]
    later = next(body for _, body, _ in asked if len(body["messages"]) == 3)
    assert [one["content"] for one in later["messages"]] == ["q", "answer 1", "more"]


def test_an_endpoint_without_room_for_a_later_turn_refuses_the_conversation() -> None:
    def reply(number: int, body: dict[str, object]) -> Reply:
        error = {"error": {"code": "context_length_exceeded", "message": "too long"}}
        return said("long") if len(str(body["messages"])) < 60 else (400, error)

    chat = Generate((Message("user", "q"),), True, (), 8, ("more",))
    with server(reply) as (url, _), engine_at(url) as engine:
        assert engine.generate([Item("a", chat, {}, "h")], [1], SAMPLING, ignore) == [Refused("conversation_too_long")]


def test_a_script_has_one_text_per_turn() -> None:
    engine = ScriptedEngine(Script({"q0": ("first", "second"), "q1": {1: ("a", "b"), 2: ("c", "d")}, "q2": "one"}))
    found = engine.generate(TALKS[:3], [1, 2], SAMPLING, ignore)
    assert [one.text if isinstance(one, Answer) else one.reason for one in found] == [
        "second",
        "second",
        "b",
        "d",
        NOT_WRITTEN,
        NOT_WRITTEN,
    ]
    assert isinstance(found[0], Answer) and found[0].earlier_texts == ("first",)
