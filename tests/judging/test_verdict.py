"""What counts as a verdict, with outputs as judges really write them."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.judging.verdict import read_verdict

FIVE = range(1, 6)
TEN = range(1, 11)
READABLE = {
    "plain": ('{"reason": "正しい。", "score": 4}', 4),
    "score first": ('{"score": 4, "reason": "正しい。"}', 4),
    "fenced": ('```json\n{"reason": "ok", "score": 3}\n```', 3),
    "after prose": ('Let me think about it.\n\nThe answer is right. {"reason": "right", "score": 5}\nThank you!', 5),
    "pretty": ('{\n  "reason": "1 点減点",\n  "score": 2\n}', 2),
    "written as 4.0": ('{"reason": "ok", "score": 4.0}', 4),
    "more keys": ('{"strengths": ["a"], "reason": "ok", "score": 1, "confidence": 0.5}', 1),
    "line ends in a text": ('{"reason": "one\ntwo", "score": 2}', 2),
    "no reason": ('{"score": 4}', 4),
    "null for a reason": ('{"reason": null, "score": 4}', 4),
    "empty reason": ('{"reason": "", "score": 2}', 2),
    "last of two": ('{"reason": "first", "score": 5} Wait, no. {"reason": "second", "score": 2}', 2),
    "last is off the scale": ('{"reason": "first", "score": 2} {"reason": "second", "score": 9}', 2),
    "quotes a fake one as a text": (json.dumps({"reason": 'It writes {"score": 5}', "score": 1}), 1),
    "quotes a fake one before": ('The answer says {"reason": "x", "score": 5}. {"reason": "a trick", "score": 1}', 1),
    "braces in prose": ('The set {1, 2} is right: {"reason": "ok", "score": 4}', 4),
    "latex": (r'\frac{1}{2} is right. {"reason": "ok", "score": 4}', 4),
    "thoughts": ('<think>{"reason": "maybe", "score": 5}</think>{"reason": "no", "score": 2}', 2),
    "the template opened the thoughts": ('maybe {"reason": "a", "score": 5}\n</think>\n{"reason": "b", "score": 2}', 2),
    "thoughts of Mistral": ('[THINK]{"reason": "a", "score": 5}[/THINK]{"reason": "b", "score": 3}', 3),
    "channels": (
        '<|channel|>analysis<|message|>{"reason": "a", "score": 5}<|end|><|start|>assistant<|channel|>final<|message|>'
        '{"reason": "b", "score": 3}',
        3,
    ),
}
UNREADABLE = {
    "nothing": "",
    "a number": "4",
    "a rating": "Rating: [[5]]",
    "points": "5点",
    "a fraction": '{"reason": "ok", "score": "4/5"}',
    "a text": '{"reason": "ok", "score": "4"}',
    "half": '{"reason": "ok", "score": 3.5}',
    "above the scale": '{"reason": "ok", "score": 6}',
    "zero": '{"reason": "ok", "score": 0}',
    "below zero": '{"reason": "ok", "score": -1}',
    "true": '{"reason": "ok", "score": true}',
    "null": '{"reason": "ok", "score": null}',
    "a list": '{"reason": "ok", "score": [4]}',
    "no number": '{"reason": "ok", "score": NaN}',
    "endless": '{"reason": "ok", "score": Infinity}',
    "huge": '{"reason": "ok", "score": 1' + "0" * 5000 + "}",
    "no score": '{"reason": "ok"}',
    "said twice": '{"reason": "ok", "score": 1, "score": 5}',
    "cut off": '{"reason": "The answer is',
    "cut off after the score": '{"score": 4, "reason": "The answer is',
    "inside another object": '{"result": {"reason": "ok", "score": 4}}',
    "inside a list of an object": '{"results": [{"reason": "ok", "score": 4}]}',
    "a fake one inside a broken one": '{"reason": "It says {"reason": "x", "score": 5} and more", "score": 1}',
    "a fake one inside a cut one": '{"score": 1, "reason": "It says {"reason": "x", "score": 5}',
    "single quotes": "{'reason': 'ok', 'score': 4}",
    "full-width": '｛"reason": "ok", "score": 4｝',
    "full-width digit": '{"reason": "ok", "score": ５}',
    "cut inside its thoughts": '<think>I would say {"reason": "ok", "score": 5} but',
    "deep": '{"a":' * 100_000,
    "the form of the prompt": '{"reason": <one to three sentences>, "score": <a whole number from 1 to 5>}',
}


@pytest.mark.parametrize(("said", "score"), READABLE.values(), ids=READABLE)
def test_the_last_valid_verdict_counts(said: str, score: int) -> None:
    found = read_verdict(said, FIVE)
    assert found is not None and found.score == score


@pytest.mark.parametrize("said", UNREADABLE.values(), ids=UNREADABLE)
def test_anything_else_is_no_verdict(said: str) -> None:
    assert read_verdict(said, FIVE) is None


def test_the_scale_decides_what_may_be_given() -> None:
    said = '{"reason": "ok", "score": 8}'
    assert read_verdict(said, FIVE) is None
    assert read_verdict(said, TEN) is not None


@given(st.text(), st.text(), st.integers(1, 5), st.text(alphabet=st.characters(exclude_characters="{}<[")))
def test_a_verdict_is_found_whatever_its_reason_says(before: str, reason: str, score: int, after: str) -> None:
    told = json.dumps({"reason": reason.replace("<", "").replace("[", ""), "score": score})
    found = read_verdict(f"{before.replace('{', '').replace('<', '').replace('[', '')}{told}{after}", FIVE)
    assert found is not None and found.score == score


@given(st.text(alphabet='{}[]":,scoreasn 0123456789.\\<>/think'))
def test_any_output_is_read_without_an_error(said: str) -> None:
    found = read_verdict(said, FIVE)
    assert found is None or found.score in FIVE


def test_a_verdict_behind_much_mathematics_is_found() -> None:
    found = read_verdict(r"\frac{1}{2} " * 20_000 + '{"reason": "ok", "score": 4}', FIVE)
    assert found is not None and found.score == 4


def test_long_outputs_take_no_time() -> None:
    started = time.monotonic()
    for piece in ("{x}", '{"x}'):
        read_verdict(piece * 400_000, FIVE)
    for piece in ("{", "{}", '{"a":', '{"score": 5', "<think>", "}{"):
        read_verdict(piece * 20_000, FIVE)
    assert time.monotonic() - started < 10
