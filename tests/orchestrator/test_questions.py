"""Questions of the items whose answers the report shows: without worked examples, and cut to a length."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from actors.orchestrator.plan import Plan
from actors.orchestrator.questions import QUESTION_CHARS, expected_of, language_of_questions, question_of, questions_of
from actors.orchestrator.sources.inputs import PlannedBenchmark
from actors.orders import Choose, Generate, Item, Message
from reporting.analysis.compared_items import ComparedItem
from tests.orchestrator.small_plan import deterministic, make_inputs, make_small_plan, modified

EXAMPLES = "Q: What is 3 + 1?\nA: 4\n\n"


def generated(item_id: str, *messages: Message, target: object = "4") -> Item:
    return Item(item_id, Generate(messages, chat=False, stop=(), max_tokens=8), target, "hash")


def asked(texts: list[str]) -> list[Item]:
    return [generated(f"{place}", Message("user", text)) for place, text in enumerate(texts)]


def test_worked_examples_and_instructions_are_left_out() -> None:
    messages = (Message("system", "Be brief."), Message("user", EXAMPLES, shot=0), Message("user", "Q: 2 + 2?\nA:"))
    item = generated("a", *messages)
    assert question_of(item, [item]) == "Q: 2 + 2?\nA:"
    items = asked([f"{EXAMPLES}Q: What is up?\nA:", f"{EXAMPLES}Q: What is down?\nA:"])
    assert question_of(items[0], items) == "Q: What is up?\nA:"


def test_equal_questions_leave_nothing_and_one_item_keeps_its_text() -> None:
    assert question_of(asked(["same"])[0], asked(["same"])) == "same"
    assert question_of(asked(["same"])[0], asked(["same", "same"])) == ""


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


def test_the_expected_choice_is_its_text() -> None:
    assert expected_of(Item("a", Choose((), chat=False, choices=(" one", " two")), 1, "hash")) == "two"


def test_only_wanted_items_are_kept_and_their_texts_are_cut(tmp_path: Path) -> None:
    benchmark = deterministic(3)
    items = tuple(
        dataclasses.replace(one, item_id=f"i{place}", task=item.task)
        for place, (one, item) in enumerate(zip(benchmark.items, asked(["a", "b" * 9000, "c"]), strict=True))
    )
    plan = _plan(tmp_path, modified(benchmark, items=items))
    table = questions_of(plan, [ComparedItem(benchmark.name, "i1", 0), ComparedItem(benchmark.name, "gone", 0)])
    assert table["item_id"].to_list() == ["i1"]
    assert len(table["question"][0]) < QUESTION_CHARS + 20
    assert questions_of(plan, []).columns == ["benchmark", "item_id", "question", "expected"]


def _plan(root: Path, benchmark: PlannedBenchmark) -> Plan:
    return make_small_plan(root, inputs=make_inputs(benchmarks={"tiny": (benchmark,)}))
