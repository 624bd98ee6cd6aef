"""Extraction and scoring: golden cases for numbers, and the outcomes."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.engines import Answer, Choices, FinishReason
from actors.evaluation.scorers.choice import score_choice
from actors.evaluation.scorers.numbers_in_text import final_number, score_number
from actors.evaluation.scorers.numerals import written
from actors.evaluation.scorers.short_answer import score_short_answer
from actors.items import Choose, Generate, Item

CASES = json.loads(Path(__file__).with_name("number_cases.json").read_text(encoding="utf-8"))


def item(target: object) -> Item:
    return Item("i", Generate((), False, (), 8), target, "hash")


def answer(text: str, reason: FinishReason = "eog") -> Answer:
    return Answer(text, rendered_hash=None, prompt_tokens=1, completion_tokens=1, finish_reason=reason)


@pytest.mark.parametrize("case", CASES, ids=[case.get("why") or repr(case["text"]) for case in CASES])
def test_the_number_of_a_solution_is_found(case: dict[str, str | None]) -> None:
    found = final_number(str(case["text"]))
    assert (None if found is None else written(found)) == case["number"]


@given(st.integers(-(10**12), 10**12), st.booleans())
def test_any_whole_number_is_read_back_with_and_without_separators(number: int, separated: bool) -> None:
    written = f"{number:,}" if separated else str(number)
    assert final_number(f"The answer is {written}.") == Fraction(number)


@given(st.integers(1, 9999), st.integers(0, 9999))
def test_japanese_numerals_are_read_back(small: int, large: int) -> None:
    def kanji(number: int) -> str:
        digits = zip(str(number), ("千", "百", "十", "")[-len(str(number)) :], strict=True)
        return "".join("〇一二三四五六七八九"[int(digit)] + unit for digit, unit in digits if digit != "0")

    text = f"{kanji(large)}万{kanji(small)}" if large else kanji(small)
    assert final_number(f"答えは{text}円です。") == large * 10_000 + small
    assert final_number(f"{large}万{small}個" if large else f"{small}個") == large * 10_000 + small


@given(st.fractions(max_denominator=1000))
def test_a_written_number_is_read_back(number: Fraction) -> None:
    assert final_number(f"Answer: {written(number)}") == number


@given(st.text(alphabet="0123456789/.,-+ 十百千万億一二三・分の^{}\\$%eEx×=答は#", max_size=40))
def test_no_sequence_of_signs_breaks_the_extraction(text: str) -> None:
    final_number(text)


@given(st.text(max_size=60))
def test_no_text_breaks_the_extraction(text: str) -> None:
    final_number(text)
    score_short_answer(item(["a"]), answer(text))


def test_an_answer_without_a_number_is_wrong_with_its_reason() -> None:
    assert score_number(item("3"), answer("who knows")).reason == "no_answer"
    cut = score_number(item("3"), answer("first we", "length"))
    assert (cut.outcome, cut.score, cut.reason) == ("wrong", 0.0, "cut_at_token_limit")


def test_numbers_compare_by_value() -> None:
    assert score_number(item("70000"), answer("#### 70,000.00")).outcome == "correct"
    assert score_number(item("70000"), answer("#### 7000")).outcome == "wrong"


@pytest.mark.parametrize(
    ("text", "accepted", "right"),
    [
        (" The Pacific Ocean.", ["Pacific Ocean"], True),
        (" 7 days", ["7"], True),
        (" 70", ["7"], False),
        (" 7.5", ["7"], False),
        (" １２", ["12"], True),
        (" 5です。", ["5"], True),
        (" Cold", ["cold"], True),
        (" coldness", ["cold"], False),
        (" hot\ncold", ["cold"], False),
        (" -3", ["3"], False),
        ("", ["3"], False),
    ],
)
def test_short_answers_match_whole_words_of_the_first_line(text: str, accepted: list[str], right: bool) -> None:
    scored = score_short_answer(item(accepted), answer(text))
    assert scored.outcome == ("correct" if right else "wrong")


def test_choices_are_compared_by_likelihood_per_character() -> None:
    question = Item("c", Choose((), False, (" ab", " abcdefgh")), 1, "hash")
    # -4/2 = -2 per character against -8/8 = -1: the longer one wins although its sum is lower.
    scored = score_choice(question, Choices((-4.0, -8.0), None, 1, 2))
    assert (scored.outcome, scored.answer) == ("correct", "abcdefgh")
    assert score_choice(question, Choices((-1.0, -4.0), None, 1, 2)).outcome == "wrong"  # equal: the first wins
