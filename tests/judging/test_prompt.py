"""What a judge reads: the order of its parts, and its wording, which is part of every judgement's key."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from actors.hashing import canonical_json
from actors.judging.orders import JUDGE_PROMPT_VERSION
from actors.judging.prompt import TurnToJudge, judge_messages
from actors.judging.rubrics import RUBRICS
from actors.judging.verdict import read_verdict
from tests.judging.orders import verdict

ONE = TurnToJudge(("What is 2 + 2?",), ("4",), ("four",), "- the number alone is enough")
TWO = TurnToJudge(("What is 2 + 2?", "And 3 + 3?"), ("4", "6"), (None, "six"), None)
WORDING = {
    ("elyza_2023", "ja"): "ac8d237166a31700",
    ("elyza_strict", "ja"): "ac8d237166a31700",
    ("mt_bench_single", "en"): "3a5cd059869a63a5",
    ("mt_bench_single", "ja"): "031208e2a3e7a0dd",
}
"""Hash of the prompts of each rubric. If one changes, raise `JUDGE_PROMPT_VERSION`, or the rubric's version if only the
rubric changed, and write the new hash here: verdicts given to another wording must not be counted as the same."""


@pytest.mark.parametrize(("name", "language"), WORDING)
def test_another_wording_needs_another_version(name: str, language: str) -> None:
    rubric = RUBRICS[name][language]  # type: ignore[index]
    prompts = [
        [message.content for message in judge_messages(rubric, turn, order=order, again=again)]
        for turn, order, again in itertools.product((ONE, TWO), (0, 1), (False, True))
    ]
    found = hashlib.sha256(canonical_json([JUDGE_PROMPT_VERSION, rubric.version, prompts]).encode()).hexdigest()
    assert found[:16] == WORDING[name, language]


def test_all_rubrics_are_pinned() -> None:
    assert set(WORDING) == {(name, language) for name, variants in RUBRICS.items() for language in variants}


@pytest.mark.parametrize(("name", "language"), WORDING)
def test_the_parts_stand_in_their_order(name: str, language: str) -> None:
    rubric = RUBRICS[name][language]  # type: ignore[index]
    system, user = judge_messages(rubric, TWO, order=0, again=False)
    assert (system.role, user.role) == ("system", "user")
    names = ["QUESTION 1", "EARLIER ANSWER 1", "QUESTION 2", "REFERENCE 2", "ANSWER"]
    parts = [rubric.task, *rubric.levels, *rubric.points, *rubric.remarks, *(f"[BEGIN {one} " for one in names)]
    places = [user.content.index(part) for part in [*parts, '{"reason": <']]
    assert places == sorted(places)


def test_prompts_of_all_answers_begin_alike() -> None:
    """Engines and servers then decode the rubric once."""
    rubric = RUBRICS["elyza_2023"]["ja"]
    first, second = (judge_messages(rubric, turn, order=0, again=False)[1].content for turn in (ONE, TWO))
    shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
    assert shared > first.index(rubric.remarks[-1])


def test_the_prompt_itself_holds_no_verdict() -> None:
    """A judge that repeats its prompt has said nothing."""
    for variants in RUBRICS.values():
        for rubric in variants.values():
            for again in (False, True):
                _, user = judge_messages(rubric, ONE, order=0, again=again)
                assert read_verdict(user.content, rubric.scores) is None
                assert read_verdict(f"{user.content}\n{verdict(rubric.scale[0])}", rubric.scores) is not None
