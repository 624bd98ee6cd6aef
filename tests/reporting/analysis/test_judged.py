"""Records and judgements put together: means over turns, repeats and judges, and what keeps an answer unscored."""

from __future__ import annotations

from typing import Any

import polars as pl

from reporting.analysis.judged import with_judgements
from reporting.frames import JUDGEMENT_SCHEMA, RECORD_SCHEMA
from stats.reduce import with_value

JURY = {"elyza": ("a", "b")}


def records(*rows: dict[str, Any]) -> pl.DataFrame:
    base = {"arm": "q4", "benchmark": "elyza", "seed": 0, "outcome": "unscored", "reason": "no_judge"}
    return pl.DataFrame([{name: {**base, **row}.get(name) for name in RECORD_SCHEMA} for row in rows], RECORD_SCHEMA)


def judgements(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """Return a table from (judge, item, turn, repeat, score, reason)."""
    names = ("judge", "item_id", "turn", "repeat", "score", "reason")
    base = {"arm": "q4", "benchmark": "elyza", "seed": 0}
    full = [{**base, **dict(zip(names, row, strict=True))} for row in rows]
    return pl.DataFrame([{name: row.get(name) for name in JUDGEMENT_SCHEMA} for row in full], JUDGEMENT_SCHEMA)


def outcome(found: pl.DataFrame, item: str = "x") -> tuple[Any, ...]:
    return found.filter(pl.col("item_id") == item).select("outcome", "score", "reason").row(0)


def test_the_score_is_the_mean_over_turns_of_repeats_and_then_over_judges() -> None:
    # Judge a: turn 0 (1 + 2)/2 = 1.5, turn 1 (4 + 4)/2 = 4, mean 2.75. Judge b: (5 + 3)/2 = 4. Jury: 3.375.
    said = judgements(
        *[("a", "x", 0, 0, 1.0, None), ("a", "x", 0, 1, 2.0, None), ("a", "x", 1, 0, 4.0, None)],
        *[("a", "x", 1, 1, 4.0, None), ("b", "x", 0, 0, 5.0, None), ("b", "x", 1, 0, 3.0, None)],
    )
    rows = records({"item_id": "x", "earlier_texts": ["first"]})
    found = with_judgements(rows, said, JURY)
    assert outcome(found) == ("judged", 3.375, None)
    assert with_value(found)["value"].to_list() == [3.375]
    assert found.schema == rows.schema


def test_an_answer_without_the_verdict_of_one_judge_stays_unscored_with_the_reason() -> None:
    said = judgements(
        *[("a", "x", 0, 0, 4.0, None), ("b", "x", 0, 0, None, "unreadable_verdict")],
        *[("a", "y", 0, 0, 4.0, None)],
        *[("a", "z", 0, 0, None, "call_limit"), ("b", "z", 0, 0, None, "call_limit")],
    )
    found = with_judgements(records({"item_id": "x"}, {"item_id": "y"}, {"item_id": "z"}), said, JURY)
    assert outcome(found, "x") == ("unscored", None, "unreadable_verdict")
    assert outcome(found, "y") == ("unscored", None, "judge_failed")
    assert outcome(found, "z") == ("unscored", None, "call_limit")


def test_one_readable_repeat_is_enough_and_a_missing_turn_is_not() -> None:
    said = judgements(
        *[("a", "x", 0, 0, None, "unreadable_verdict"), ("a", "x", 0, 1, 3.0, None)],
        ("a", "y", 0, 0, 5.0, None),
    )
    rows = records({"item_id": "x"}, {"item_id": "y", "earlier_texts": ["first"]})
    found = with_judgements(rows, said, {"elyza": ("a",)})
    assert outcome(found, "x") == ("judged", 3.0, None)
    assert outcome(found, "y") == ("unscored", None, "judge_failed")


def test_judges_outside_the_jury_and_other_records_change_nothing() -> None:
    said = judgements(("c", "x", 0, 0, 1.0, None), ("a", "x", 0, 0, 5.0, "empty_answer"), ("a", "w", 0, 0, 5.0, None))
    rows = records(
        {"item_id": "x"},
        {"item_id": "w", "reason": "context_too_long"},
        {"item_id": "g", "benchmark": "gsm8k", "outcome": "correct", "score": 1.0, "reason": None},
    )
    found = with_judgements(rows, said, {"elyza": ("a",)})
    assert outcome(found, "x") == ("judged", 5.0, "empty_answer")
    assert outcome(found, "w") == ("unscored", None, "context_too_long")
    assert outcome(found, "g") == ("correct", 1.0, None)
    assert found["item_id"].to_list() == ["x", "w", "g"]


def test_without_a_jury_records_stay_as_they_are() -> None:
    rows = records({"item_id": "x"})
    assert with_judgements(rows, judgements(), {}).equals(rows)
