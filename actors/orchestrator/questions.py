"""The questions and expected answers of the items of benchmarks with generated answers.

Records hold no questions: a benchmark has thousands, each the same for every arm. So they are written once beside the
results, cut to a length, for the report and for the page and the tables with the answers side by side.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from actors.items import Generate, Item
from actors.orchestrator.plan import Plan
from actors.orchestrator.sources.inputs import PlannedBenchmark
from reporting.escape import cut
from reporting.frames import QUESTION_SCHEMA
from reporting.languages import language_of

QUESTION_CHARS = 4000
EXPECTED_CHARS = 400
LANGUAGE_SHARE = 0.9
MOST_QUESTIONS = 100
"""Questions whose language is looked at: the first ones of a fixed shuffle, so more would say the same."""


def questions_of(plan: Plan) -> pl.DataFrame:
    """Return one row per item of each benchmark with generated answers.

    Models may be asked the same item in other words, as with other worked examples. The row says how the first model
    that was asked it was asked.
    """
    by_name: dict[str, list[PlannedBenchmark]] = {}
    for benchmarks in plan.benchmarks.values():
        for one in benchmarks:
            if one.spec.kind == "generate":
                by_name.setdefault(one.name, []).append(one)
    # One table per benchmark: rows of Python objects take several times the memory of a table.
    tables = [pl.DataFrame(list(_rows(name, same)), schema=QUESTION_SCHEMA) for name, same in by_name.items()]
    return pl.concat([pl.DataFrame(schema=QUESTION_SCHEMA), *tables])


def _rows(name: str, benchmarks: Sequence[PlannedBenchmark]) -> Iterator[dict[str, str | None]]:
    """Yield the rows of one benchmark, as it is planned for each model."""
    seen: set[str] = set()
    for benchmark in benchmarks:
        n_same = lines_in_common(benchmark.items)
        for item in benchmark.items:
            if item.item_id not in seen:
                seen.add(item.item_id)
                yield {
                    "benchmark": name,
                    "item_id": item.item_id,
                    "question": cut(question_of(item, n_same), QUESTION_CHARS),
                    "expected": expected_of(item),
                    "criteria": _criteria_of(item),
                }


def lines_in_common(items: Sequence[Item]) -> int:
    """Return the number of lines that all questions begin with; 0 for a single item."""
    if len(items) < 2:
        return 0
    same = _first_turn(items[0]).split("\n")
    for item in items[1:]:
        pairs = zip(same, _first_turn(item).split("\n"), strict=False)
        same = [line for line, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return len(same)


def languages_of_questions(plan: Plan) -> dict[str, str | None]:
    """Return the language of the questions of each benchmark that asks for generated answers, as the first model's."""
    benchmarks = plan.benchmarks[plan.models[0].name]
    return {one.name: language_of_questions(one.items) for one in benchmarks if one.spec.kind == "generate"}


def language_of_questions(items: Sequence[Item]) -> str | None:
    """Return the language that nearly all questions are in (`LANGUAGE_SHARE`) as ISO 639-1 code, else None.

    Questions whose language is uncertain, such as formulas, do not count.
    """
    found = Counter(language_of(_first_turn(item)) for item in items[:MOST_QUESTIONS])
    del found[None]
    language, count = found.most_common(1)[0] if found else (None, 0)
    return language if count >= LANGUAGE_SHARE * found.total() else None


def question_of(item: Item, n_same: int) -> str:
    """Return what an item asks, without the worked examples and the first `n_same` lines.

    If the user speaks several times, the turns are numbered.
    """
    first = "\n".join(_first_turn(item).split("\n")[n_same:]).strip()
    later = item.task.then if isinstance(item.task, Generate) else ()
    if not later:
        return first
    return "\n\n".join(f"{number}. {text.strip()}" for number, text in enumerate((first, *later), 1))


def _first_turn(item: Item) -> str:
    if not isinstance(item.task, Generate):
        return ""
    return "\n".join(one.content for one in item.task.messages if one.role == "user" and one.shot is None)


def expected_of(item: Item) -> str:
    """Return the expected answer: each accepted answer, or the references that a judge sees."""
    if isinstance(item.target, Mapping):
        references = [str(one).strip() for one in item.target.get("references") or () if one]
        return cut("\n\n".join(references), QUESTION_CHARS)
    text = " / ".join(map(str, item.target)) if isinstance(item.target, list) else str(item.target)
    return cut(text, EXPECTED_CHARS)


def _criteria_of(item: Item) -> str | None:
    """Return the criteria that a judge goes by; None if the item has none of its own."""
    criteria = item.target.get("criteria") if isinstance(item.target, Mapping) else None
    return None if criteria is None else cut(str(criteria).strip(), QUESTION_CHARS)
