"""Questions of the items with generated answers: without worked examples, and cut to a length."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from actors.items import Generate, Item, Message
from actors.orchestrator.plan import Plan
from actors.orchestrator.questions import (
    QUESTION_CHARS,
    expected_of,
    language_of_questions,
    lines_in_common,
    question_of,
    questions_of,
)
from actors.orchestrator.sources.inputs import PlannedBenchmark
from tests.orchestrator.small_plan import deterministic, make_inputs, make_small_plan, modified

EXAMPLES = "Q: What is 3 + 1?\nA: 4\n\n"


def generated(item_id: str, *messages: Message, target: object = "4") -> Item:
    return Item(item_id, Generate(messages, chat=False, stop=(), max_tokens=8), target, "hash")


def asked(texts: list[str]) -> list[Item]:
    return [generated(f"{place}", Message("user", text)) for place, text in enumerate(texts)]


def test_worked_examples_and_instructions_are_left_out() -> None:
    messages = (Message("system", "Be brief."), Message("user", EXAMPLES, shot=0), Message("user", "Q: 2 + 2?\nA:"))
    item = generated("a", *messages)
    assert question_of(item, lines_in_common([item])) == "Q: 2 + 2?\nA:"
    items = asked([f"{EXAMPLES}Q: What is up?\nA:", f"{EXAMPLES}Q: What is down?\nA:"])
    assert question_of(items[0], lines_in_common(items)) == "Q: What is up?\nA:"


def test_equal_questions_leave_nothing_and_one_item_keeps_its_text() -> None:
    assert question_of(asked(["same"])[0], lines_in_common(asked(["same"]))) == "same"
    assert question_of(asked(["same"])[0], lines_in_common(asked(["same", "same"]))) == ""


def test_the_turns_of_a_user_who_speaks_again_are_numbered() -> None:
    item = generated("a", Message("user", "Write a poem."))
    assert isinstance(item.task, Generate)
    twice = dataclasses.replace(item, task=dataclasses.replace(item.task, then=("Make it shorter.",)))
    assert question_of(twice, 0) == "1. Write a poem.\n\n2. Make it shorter."


def test_a_judged_item_expects_its_references_and_goes_by_its_criteria(tmp_path: Path) -> None:
    target = {"criteria": "基準を満たせば5点", "references": ["4", None, "four"], "category": "math"}
    benchmark = deterministic(2)
    items = (generated("a", Message("user", "x"), target=target), generated("b", Message("user", "y")))
    plan = _plan(tmp_path, modified(benchmark, items=items, kind="generate"))
    row = questions_of(plan).row(0, named=True)
    assert (row["expected"], row["criteria"]) == ("4\n\nfour", "基準を満たせば5点")


def test_the_language_is_that_of_nearly_all_questions() -> None:
    japanese = asked([f"太郎はりんごを{count}個持っています。いくつ残りますか。" for count in range(19)])
    english = asked(["How many apples does the farmer sell at the market?"])
    assert language_of_questions([*japanese, *english, *asked(["$2 + 2$"])]) == "ja"
    assert language_of_questions([*japanese[:3], *english * 3]) is None
    assert language_of_questions(asked(["2 + 2"])) is None
    examples = Message("user", "How many apples does the farmer sell at the market?\n" * 9, shot=0)
    assert language_of_questions([generated("a", examples, Message("user", "いくつ残りますか。"))]) == "ja"


@pytest.mark.parametrize(("target", "text"), [("4", "4"), (["4", "four"], "4 / four"), (4, "4")])
def test_the_expected_answer_is_written_out(target: object, text: str) -> None:
    assert expected_of(generated("a", target=target)) == text


def test_all_items_are_kept_and_their_texts_are_cut(tmp_path: Path) -> None:
    benchmark = deterministic(3)
    items = tuple(
        dataclasses.replace(one, item_id=f"i{place}", task=item.task)
        for place, (one, item) in enumerate(zip(benchmark.items, asked(["a", "b" * 9000, "c"]), strict=True))
    )
    table = questions_of(_plan(tmp_path, modified(benchmark, items=items, kind="generate")))
    assert table["item_id"].to_list() == ["i0", "i1", "i2"]
    assert len(table["question"][1]) < QUESTION_CHARS + 20
    assert table.columns == ["benchmark", "item_id", "question", "expected", "criteria"]
    assert questions_of(_plan(tmp_path, modified(benchmark, items=items, kind="choose"))).height == 0


def _plan(root: Path, benchmark: PlannedBenchmark) -> Plan:
    return make_small_plan(root, inputs=make_inputs(benchmarks={"tiny": (benchmark,)}))
