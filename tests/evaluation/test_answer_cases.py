"""What a careful reader takes from an answer: cases of each kind, written as models of many families answer.

Each case in `answer_cases.json` says what it shows. Hostile texts show that reading an answer takes no long time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from actors.engines import Answer, FinishReason
from actors.evaluation.contract import ScoredResult
from actors.evaluation.scorers import scorer_of
from actors.items import Generate, Item, Scorer
from actors.thinking import split
from conf.scorers import SCORERS

CASES = json.loads(Path(__file__).with_name("answer_cases.json").read_text(encoding="utf-8"))
SHARED = Path(__file__).resolve().parents[3] / "shared" / "cases" / "answers.jsonl"
TEXT_SCORERS = sorted(name for name, rules in SCORERS.items() if rules.kind == "generate" and name != "judged")
PATTERN = {"regex": {"pattern": r"Answer: (\w+)"}}
HOSTILE = (
    *("#### 1/", "\\boxed{", "\\boxed{1}", "\\boxed{1} and ", "answer is 1 ", "Answer: A\n", "answer ", "\n", " ", "9"),
    *(
        "1,",
        "1,234,",
        "1 111 ",
        "\\frac{1}{",
        "一",
        "1万",
        "_1_ ",
        "~~1",
        "**1",
        "(1",
        "=1",
        "<<1",
        "1/",
        "$1$",
        "one ",
    ),
    *(
        "one hundred and ",
        "<think>",
        "\nQ: how many ",
        "\n\nhow many 1?",
        "A. x\n",
        "(A)",
        "答えは1",
        "答え ",
        "(",
        "{",
        "_",
    ),
    *(
        "12 minus 3 ",
        ", or 1 of 2 ",
        "50% of 3 ",
        "not A, ",
        "A and ",
        "AとBでなく",
        "<b>",
        "0.\\overline{3}",
        "(1)\n",
        "!",
    ),
    *("let me know ", "質問", "12_000_", "\\{x | ", "one half ", "{'answer': "),
)


def score(name: str, target: Any, text: str, finish: FinishReason = "eog") -> ScoredResult:
    item = Item("i", Generate((), False, (), 8), target, "hash")
    # Engines split thoughts off before anything is scored.
    answer = Answer(split(text).answer, rendered_hash=None, prompt_tokens=1, completion_tokens=1, finish_reason=finish)
    return scorer_of(Scorer(name, PATTERN.get(name, {})))(item, answer)


def taken(case: Mapping[str, Any]) -> object:
    finish = case.get("finish", "eog")
    if case["group"] == "math":
        return score("math", case["gold"], case["text"], finish).outcome == "correct"
    answer = score(case["group"], "1" if case["group"] == "number" else "A", case["text"], finish).answer
    return Fraction(answer) if answer and case["group"] == "number" else answer


def wanted(case: Mapping[str, Any]) -> object:
    if case["group"] == "math":
        return case["right"]
    return Fraction(case["expected"]) if case["expected"] and case["group"] == "number" else case["expected"]


@pytest.mark.parametrize("case", CASES, ids=[f"{case['shows']}: {case['text'][:40]!r}" for case in CASES])
def test_an_answer_is_read_as_a_careful_reader_reads_it(case: Mapping[str, Any]) -> None:
    assert taken(case) == wanted(case), case["text"]


def test_the_shared_cases_are_read_in_the_same_way() -> None:
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is not on this machine")
    cases = [json.loads(line) for line in SHARED.read_text(encoding="utf-8").splitlines()]
    assert cases
    assert [case["id"] for case in cases if taken(case) != wanted(case)] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>a</think>b", "b"),
        ("a</think>b", "b"),
        ("<think>a", ""),
        ("<THINK>a</THINK>b<think>c</think>d", "d"),
        ("[THINK]a[/THINK]b", "b"),
        ("[THINK]a", ""),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b", "b"),
        ("<|channel|>analysis<|message|>a", ""),
        ("<|channel|>final<|message|>b", "b"),
        ("analysisWe need a.assistantfinalb", "b"),
        ("analysisWe need a", ""),
        ("<|channel>thought\na<channel|>b", "b"),
        ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b", "b"),
        ("analysis of a", "analysis of a"),
        ("I think b", "I think b"),
    ],
)
def test_only_what_follows_the_thoughts_is_read(text: str, said: str) -> None:
    assert split(text).answer == said


@pytest.mark.parametrize("name", TEXT_SCORERS)
def test_no_scorer_reads_thoughts(name: str) -> None:
    target: object = {"number": "7", "letter": "B", "math": "7", "short_answer": ["b"]}.get(name, "b")
    said = {"number": "7", "math": "\\boxed{7}", "letter": "B", "regex": "Answer: b"}.get(name, "b")
    assert score(name, target, f"<think>\n{said}?\n</think>\n\n{said}").outcome == "correct"
    assert score(name, target, f"<think>\n{said}").reason == "no_answer"
    assert score(name, target, f"{said}\n</think>\n").reason == "no_answer"
    cut = score(name, target, f"<think>\n{said}\n", "length")
    assert (cut.outcome, cut.score, cut.reason) == ("wrong", 0.0, "cut_at_token_limit")


@pytest.mark.parametrize("name", TEXT_SCORERS)
def test_a_cut_answer_is_wrong_although_it_looks_right(name: str) -> None:
    target: object = {"number": "7", "letter": "B", "math": "7", "short_answer": ["b"]}.get(name, "b")
    cut = score(name, target, {"number": "it is 7", "math": "it is $7$", "letter": "it is B"}.get(name, "b"), "length")
    assert (cut.outcome, cut.score, cut.reason) == ("wrong", 0.0, "cut_at_token_limit")


@pytest.mark.parametrize(
    ("name", "target", "text"),
    [
        ("number", "7", "#### 7\n\nThis is"),
        ("number", "7", "The answer is 7.\n\nQ: How many are"),
        ("math", "7", "Thus \\boxed{7}.\n\nWe have"),
        ("letter", "B", "Answer: B\n\nThis is"),
        ("short_answer", ["cold"], "cold\nThe opposite"),
        ("short_answer", ["cold"], "Cold. The opposite"),
        ("regex", "b", "Answer: b\nThis is"),
    ],
)
def test_an_answer_that_was_complete_before_the_cut_counts(name: str, target: object, text: str) -> None:
    assert score(name, target, text, "length").outcome == "correct"


@pytest.mark.parametrize("name", TEXT_SCORERS)
def test_hostile_texts_of_200_kilobytes_are_read_in_seconds(name: str) -> None:
    target: object = {"number": "3", "letter": "A", "short_answer": ["x"]}.get(name, "x")
    score(name, target, "\\boxed{y}")  # starts the process that compares
    for part in HOSTILE:
        started = time.process_time()
        score(name, target, (part * 200_000)[:200_000])
        assert time.process_time() - started < 10, part


@pytest.mark.parametrize("name", ["number", "math", "letter"])
@pytest.mark.parametrize(
    "text", ["9" * 5000, "1/" + "7" * 5000, "一" * 5000, "0." + "3" * 5000, "\\boxed{" + "9" * 5000 + "}"]
)
def test_a_number_of_thousands_of_digits_is_a_wrong_answer_and_no_failure(name: str, text: str) -> None:
    assert score(name, "3", f"The answer is {text}").outcome == "wrong"
