"""What an endpoint may answer, and how it is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.engines.completion import CompletionText, read_completion
from actors.errors import EndpointFailed


def _read(content: Any, **more: Any) -> CompletionText:
    answer = {"choices": [{"message": {"role": "assistant", "content": content, **more}, "finish_reason": "stop"}]}
    return read_completion(json.dumps(answer).encode(), "application/json", chat=True)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("It is 7.", "It is 7."),
        (None, ""),
        ([], ""),
        ([_text("It is 7.")], "It is 7."),
        ([_text("It "), _text("is 7.")], "It is 7."),
    ],
)
def test_a_content_is_a_text_or_a_list_of_texts(content: Any, text: str) -> None:
    assert _read(content) == CompletionText(text, "stop", 0, 0)


def test_thoughts_among_the_parts_are_told_from_the_answer() -> None:
    reference = {"type": "reference", "reference_ids": [1]}
    thinking = {"type": "thinking", "thinking": [_text("3 + 4 "), reference, _text("is 7")]}
    assert _read([thinking, _text("It is 7.")]) == CompletionText("It is 7.", "stop", 0, 0, "3 + 4 is 7")
    assert _read([_text("It is 7.")], reasoning="3 + 4").reasoning == "3 + 4"


@pytest.mark.parametrize(
    "part", [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": 7}, "It is 7.", None, {}]
)
def test_a_part_that_is_no_text_makes_the_answer_no_completion(part: Any) -> None:
    with pytest.raises(EndpointFailed, match=r"no chat completion: choices\.0\.message: .*neither text nor thinking"):
        _read([_text("It is"), part])
