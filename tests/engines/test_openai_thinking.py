"""Thoughts of a model behind an endpoint: what is asked for, and what is read."""

from __future__ import annotations

from typing import Any

import pytest

from actors.engines import Answer
from actors.engines.openai import OpenAIEngine
from actors.items import TemplateUse
from actors.orders import Endpoint
from tests.conftest import ignore
from tests.engines.test_openai import SAMPLING, Reply, item, said, server

ON = TemplateUse(thinking="on", arguments='{"enable_thinking": true, "reasoning_effort": "high"}', thinking_tokens=100)


def asked_and_answered(reply: Reply, use: TemplateUse | None, **of_item: Any) -> tuple[dict[str, Any], Answer]:
    with server(lambda number, body: reply) as (url, asked):
        engine = OpenAIEngine(Endpoint(url, "the-model", 1, 10.0, 1), "key", use)
        (answer,) = engine.generate([item("a", "A", **of_item)], [0], SAMPLING, ignore)
        engine.close()
    assert isinstance(answer, Answer)
    return asked[0][1], answer


def thinking(text: str | None, name: str, thoughts: Any, *, finish: str = "stop", n_thoughts: Any = 2) -> Reply:
    status, body = said(text, finish=finish)
    body["choices"][0]["message"][name] = thoughts
    body["usage"]["completion_tokens_details"] = {"reasoning_tokens": n_thoughts}
    return status, body


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_that_a_server_tells_apart_are_kept(name: str) -> None:
    _, answer = asked_and_answered(thinking("b", name, "a\n"), None)
    assert (answer.text, answer.thoughts, answer.thought_tokens, answer.completion_tokens) == ("b", "a", 2, 3)


def test_thoughts_inside_the_content_are_split_off() -> None:
    _, answer = asked_and_answered(said("<think>a</think>\n\nb"), None)
    assert (answer.text, answer.thoughts, answer.thought_tokens) == ("b", "a", None)


@pytest.mark.parametrize("thoughts", [None, "", " \n", 3, ["a"], {"a": "b"}])
def test_a_field_that_holds_no_thoughts_is_no_fault(thoughts: Any) -> None:
    _, answer = asked_and_answered(thinking("b", "reasoning", thoughts, n_thoughts="many"), None)
    assert (answer.text, answer.thoughts, answer.thought_tokens) == ("b", None, None)


def test_an_answer_cut_in_its_thoughts_is_told() -> None:
    for reply in (thinking(None, "reasoning", "a", finish="length"), said("<think>a", finish="length")):
        _, answer = asked_and_answered(reply, None)
        assert (answer.text, answer.thoughts, answer.cut_while_thinking) == ("", "a", True)


def test_thoughts_that_a_server_counts_and_hides_are_told_too() -> None:
    _, cut = asked_and_answered(thinking("", "reasoning", None, finish="length", n_thoughts=3), None)
    assert (cut.text, cut.thoughts, cut.thought_tokens, cut.cut_while_thinking) == ("", None, 3, True)
    _, whole = asked_and_answered(thinking("b", "reasoning", None, n_thoughts=2), None)
    assert (whole.text, whole.thoughts, whole.thought_tokens, whole.cut_while_thinking) == ("b", None, 2, False)
    _, short = asked_and_answered(thinking("", "reasoning", None, finish="length", n_thoughts=0), None)
    assert (short.thought_tokens, short.cut_while_thinking) == (None, False)


@pytest.mark.parametrize(
    ("reply", "thoughts"),
    [
        (thinking("b<|return|>", "reasoning", "a"), "a"),
        (said("<think>a</think>b<|im_end|>\n"), "a"),
        (said("b\n<end_of_turn>"), None),
    ],
)
def test_the_mark_that_ends_an_answer_is_no_part_of_it(reply: Reply, thoughts: str | None) -> None:
    _, answer = asked_and_answered(reply, None)
    assert (answer.text, answer.thoughts) == ("b", thoughts)


def test_the_template_gets_its_arguments_and_the_thoughts_get_room() -> None:
    body, answer = asked_and_answered(said("<think>Q: a</think>b Q: c"), ON, stop=("Q:",))
    assert body["chat_template_kwargs"] == {"enable_thinking": True, "reasoning_effort": "high"}
    assert (body["reasoning_effort"], body["max_tokens"]) == ("high", 8 + 100)
    # The server would look for stop strings in the thoughts too.
    assert body.get("stop") is None and (answer.text, answer.finish_reason) == ("b ", "stop")


def test_without_settings_the_request_is_as_it_was() -> None:
    body, _ = asked_and_answered(said("b"), None, stop=("Q:",))
    assert not {"chat_template_kwargs", "reasoning_effort"} & body.keys()
    assert (body["max_tokens"], body["stop"]) == (8, ["Q:"])


def test_a_plain_completion_gets_no_arguments() -> None:
    body, _ = asked_and_answered(said("b", chat=False), ON, chat=False, stop=("Q:",))
    assert "chat_template_kwargs" not in body and (body["max_tokens"], body["stop"]) == (8, ["Q:"])
