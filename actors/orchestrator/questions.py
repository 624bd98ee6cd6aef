"""The questions and expected answers of the items whose answers the report shows side by side.

Records hold no questions: a benchmark has thousands, each the same for every arm. So only those that the report shows
are written beside the results, cut to a length.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

import polars as pl

from actors.orchestrator.plan import Plan
from actors.orders import Choose, Generate, Item
from reporting.analysis.compared_items import ComparedItem
from reporting.escape import cut
from reporting.frames import QUESTION_SCHEMA
from reporting.languages import language_of

QUESTION_CHARS = 4000
EXPECTED_CHARS = 400
LANGUAGE_SHARE = 0.9
MOST_QUESTIONS = 100
"""Questions whose language is looked at: the first ones of a fixed shuffle, so more would say the same."""


def questions_of(plan: Plan, wanted: Iterable[ComparedItem]) -> pl.DataFrame:
    """Return one row per wanted item, as the first model that was asked it was asked."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for one in wanted:
        for benchmarks in plan.benchmarks.values():
            items = next((benchmark.items for benchmark in benchmarks if benchmark.name == one.benchmark), ())
            item = next((item for item in items if item.item_id == one.item_id), None)
            if item is not None and (one.benchmark, one.item_id) not in rows:
                question, expected = question_of(item, items), expected_of(item)
                rows[one.benchmark, one.item_id] = {
                    "benchmark": one.benchmark,
                    "item_id": one.item_id,
                    "question": cut(question, QUESTION_CHARS),
                    "expected": cut(expected, EXPECTED_CHARS),
                }
    return pl.DataFrame(list(rows.values()), schema=QUESTION_SCHEMA)


def question_of(item: Item, items: Sequence[Item]) -> str:
    """Return what an item asks, without the worked examples and the lines that all of `items` begin with."""
    lines = _asked(item).split("\n")
    if len(items) > 1:
        same = itertools.takewhile(_are_equal, zip(*(_asked(one).split("\n") for one in items), strict=False))
        lines = lines[sum(1 for _ in same) :]
    return "\n".join(lines).strip()


def languages_of_questions(plan: Plan) -> dict[str, str | None]:
    """Return the language of the questions of each benchmark that asks for generated answers, as the first model's."""
    benchmarks = plan.benchmarks[plan.models[0].name]
    return {one.name: language_of_questions(one.items) for one in benchmarks if one.spec.kind == "generate"}


def language_of_questions(items: Sequence[Item]) -> str | None:
    """Return the language that nearly all questions are in (`LANGUAGE_SHARE`) as ISO 639-1 code, else None.

    Questions whose language is uncertain, such as formulas, do not count.
    """
    found = Counter(language_of(_asked(item)) for item in items[:MOST_QUESTIONS])
    del found[None]
    language, count = found.most_common(1)[0] if found else (None, 0)
    return language if count >= LANGUAGE_SHARE * found.total() else None


def _are_equal(lines: Sequence[str]) -> bool:
    return len(set(lines)) == 1


def _asked(item: Item) -> str:
    if not isinstance(item.task, Generate | Choose):
        return ""
    return "\n".join(one.content for one in item.task.messages if one.role == "user" and one.shot is None)


def expected_of(item: Item) -> str:
    """Return the expected answer: the text of the right choice, or each accepted answer."""
    if isinstance(item.task, Choose):
        return item.task.choices[int(item.target)].strip()
    return " / ".join(map(str, item.target)) if isinstance(item.target, list) else str(item.target)
