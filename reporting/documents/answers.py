"""A few answers side by side, for reading: one item under one seed, with its question, and one row per arm.

`reporting.analysis.compared_items` chooses the items. Models and data sets wrote the texts: they are cut here, and the
caller that adds markup makes them inert.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reporting.analysis.compared_items import ComparedItem, compared_items
from reporting.documents.phrases import code_in_words
from reporting.escape import cut
from reporting.judging_reasons import JUDGED
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, number

QUESTION_CHARS = 700
TEXT_CHARS = 500
ANSWER_CHARS = 80


@dataclass(frozen=True)
class AnswerRow:
    """The answer of one arm."""

    arm: str
    outcome: str
    """Right or wrong, after what the reference's answer was if the two differ."""
    why: str
    answer: str
    text: str


@dataclass(frozen=True)
class ComparedAnswers:
    """One item under one seed, and what each arm answered."""

    benchmark: str
    item_id: str
    seed: int
    question: str
    expected: str
    rows: tuple[AnswerRow, ...]


def answers_to_compare(findings: Findings, words: Words) -> list[ComparedAnswers]:
    """Return the items to show with their answers."""
    if findings.answers is None:
        return []
    items = compared_items(findings.comparison, findings.answers.lazy())
    return [_compared(findings, findings.answers, words, item) for item in items]


def _compared(findings: Findings, answers: pl.DataFrame, words: Words, item: ComparedItem) -> ComparedAnswers:
    same = (pl.col("benchmark") == item.benchmark) & (pl.col("item_id") == item.item_id) & (pl.col("seed") == item.seed)
    by_arm = {row["arm"]: row for row in answers.filter(same & pl.col("text").is_not_null()).iter_rows(named=True)}
    rows = tuple(
        AnswerRow(
            arm=arm["name"],
            outcome=_outcome(words, by_arm[arm["name"]], by_arm.get(arm["reference"])),
            why=_why(words, by_arm[arm["name"]]),
            answer=cut(by_arm[arm["name"]]["answer"] or DASH, ANSWER_CHARS),
            text=cut(_said(by_arm[arm["name"]]) or DASH, TEXT_CHARS),
        )
        for arm in findings.arms
        if arm["name"] in by_arm
    )
    asked = findings.question(item.benchmark, item.item_id) or {"question": DASH, "expected": DASH}
    return ComparedAnswers(
        item.benchmark,
        item.item_id,
        item.seed,
        question=cut(asked["question"], QUESTION_CHARS),
        expected=cut(asked["expected"], ANSWER_CHARS),
        rows=rows,
    )


def _said(row: Json) -> str:
    """Return an answer. If it has several turns, they are numbered."""
    earlier = row.get("earlier_texts") or []
    if not earlier:
        return str(row["text"]).strip()
    return "\n\n".join(f"{turn}. {text.strip()}" for turn, text in enumerate((*earlier, row["text"]), 1))


def _outcome(words: Words, row: Json, before: Json | None) -> str:
    """Return the outcome, preceded by the reference's outcome if the two differ."""
    text = code_in_words(words, row["outcome"])
    if row["outcome"] == JUDGED:
        return f"{text} ({number(row['score'], 2)})"
    if before is None or before["outcome"] == row["outcome"]:
        return text
    return f"{code_in_words(words, before['outcome'])} → {text}"


def _why(words: Words, row: Json) -> str:
    """Return why the answer counts as it does: the scorer's reason, or how it compares with the expected answer."""
    if row["reason"]:
        return code_in_words(words, row["reason"])
    if row["outcome"] == "correct":
        return words.say("期待される答えと一致", "equals the expected answer")
    if row["outcome"] == "wrong":
        return words.say("期待される答えと異なる", "another answer than expected")
    return DASH
