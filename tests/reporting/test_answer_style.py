"""What an answer's text shows: a bare yes or no, and repetition."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reporting.answer_style import is_bare, is_repeating

SENTENCES = (
    "The ducks lay eggs and the farmer sells them at the market every day. ",
    "この問題では、まず合計を求めることが必要です。",
    "1. まず、りんごの数を数えます。\n2. 次に、みかんの数を数えます。\n",
)


@pytest.mark.parametrize(
    "text", ["Yes", "No.", " **Yes!** ", "はい", "はい、そうです。", "いいえ。", "ＹＥＳ", "正解です", "true\n"]
)
def test_a_yes_or_no_alone_is_bare(text: str) -> None:
    assert is_bare(text)


@pytest.mark.parametrize("text", ["", "Yes, because two and two are four.", "はい、犬です。", "42", "Paris", "no" * 60])
def test_an_answer_that_says_more_is_not_bare(text: str) -> None:
    assert not is_bare(text)


@pytest.mark.parametrize("unit", [*SENTENCES, "very ", "はい。", "😀", "0, "])
def test_a_loop_repeats_itself(unit: str) -> None:
    assert is_repeating(unit * (200 // len(unit) + 3))


def test_a_loop_is_seen_behind_a_long_answer_and_with_other_numbers() -> None:
    assert is_repeating("".join(f"{place}. The number of apples is the number of pears.\n" for place in range(8)))
    words = " ".join(random.Random(1).choices(string.ascii_lowercase, k=1200))
    assert not is_repeating(words)
    assert is_repeating(words + SENTENCES[0] * 8)


@pytest.mark.parametrize("text", ["", "short", *SENTENCES, SENTENCES[0] + SENTENCES[1], "\ud800" * 10])
def test_an_answer_that_is_said_once_does_not(text: str) -> None:
    assert not is_repeating(text)


@given(st.text(max_size=400), st.integers(3, 6))
def test_three_times_the_same_repeats_if_it_is_long_enough(text: str, times: int) -> None:
    unit = f"the beginning of {text} and the end. "
    if not any(sign.isdigit() or sign.isspace() or sign == "\\" for sign in text):
        assert is_repeating(unit * times)


@given(st.text(max_size=47, alphabet=st.characters(exclude_categories=["Nd"])))
def test_short_answers_never_repeat(text: str) -> None:
    assert not is_repeating(text)


def test_texts_by_people_do_not_repeat_themselves(data_dir: Path) -> None:
    files = {"elyza_tasks_100": "output", "gsm8k": "answer", "math": "solution"}
    found = {}
    for folder, field in files.items():
        lines = (data_dir / folder / "test.jsonl").read_text(encoding="utf-8").splitlines()
        found[folder] = sum(is_repeating(json.loads(line)[field]) for line in lines)
    assert found["elyza_tasks_100"] == found["gsm8k"] == 0
    assert found["math"] <= 3
