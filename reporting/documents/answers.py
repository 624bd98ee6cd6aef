"""A few answers side by side, for reading: the same question under the same seed, one row an arm.

Questions on which the arms disagree come first, because a table of equal answers shows nothing. The texts are
what models wrote: they are cut here, and made inert by whoever marks them up.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reporting.documents.reasons import in_words
from reporting.escape import cut
from reporting.findings import Findings
from reporting.wording import DASH, Words

MAX_QUESTIONS = 3
TEXT_CHARS = 500
ANSWER_CHARS = 80


@dataclass(frozen=True)
class AnswerRow:
    """What one arm answered."""

    arm: str
    outcome: str
    answer: str
    text: str


@dataclass(frozen=True)
class Question:
    """One question under one seed."""

    benchmark: str
    item_id: str
    seed: int
    rows: tuple[AnswerRow, ...]


def sample_questions(findings: Findings, words: Words) -> list[Question]:
    """The questions to show, at most `MAX_QUESTIONS` a benchmark with generated answers."""
    if findings.answers is None:
        return []
    generated = [benchmark["name"] for benchmark in findings.benchmarks if benchmark["kind"] == "generate"]
    return [
        question for benchmark in generated for question in _of_benchmark(findings, findings.answers, words, benchmark)
    ]


def _of_benchmark(findings: Findings, answers: pl.DataFrame, words: Words, benchmark: str) -> list[Question]:
    own = answers.filter((pl.col("benchmark") == benchmark) & pl.col("text").is_not_null())
    # One seed a question: the first one under which the arms' outcomes differ most, else the first of all.
    spread = own.group_by("item_id", "seed").agg(
        outcomes=pl.col("outcome").n_unique(), arms=pl.col("arm").n_unique(), texts=pl.col("text").n_unique()
    )
    order = spread.sort(["outcomes", "arms", "texts", "seed", "item_id"], descending=[True, True, True, False, False])
    chosen = order.unique("item_id", keep="first", maintain_order=True).head(MAX_QUESTIONS)
    return [
        _question(findings, own, words, benchmark, item_id, seed) for item_id, seed in chosen["item_id", "seed"].rows()
    ]


def _question(
    findings: Findings, answers: pl.DataFrame, words: Words, benchmark: str, item_id: str, seed: int
) -> Question:
    own = answers.filter((pl.col("item_id") == item_id) & (pl.col("seed") == seed))
    by_arm = {row["arm"]: row for row in own.iter_rows(named=True)}
    rows = tuple(
        AnswerRow(
            arm=arm["name"],
            outcome=_outcome(words, by_arm[arm["name"]]["outcome"], by_arm[arm["name"]]["reason"]),
            answer=cut(by_arm[arm["name"]]["answer"] or DASH, ANSWER_CHARS),
            text=cut(by_arm[arm["name"]]["text"], TEXT_CHARS),
        )
        for arm in findings.arms
        if arm["name"] in by_arm
    )
    return Question(benchmark, item_id, seed, rows)


def _outcome(words: Words, outcome: str, reason: str | None) -> str:
    said = in_words(words, outcome)
    return f"{said} ({in_words(words, reason)})" if reason else said
