"""A few answers side by side, for reading: the same question under the same seed, one row an arm.

First comes the question on which most arms fell from right to wrong, then the one on which most rose, then others on
which they disagree: a table of equal answers shows nothing, and losses alone would show half. The texts are what models
wrote: they are cut here, and made inert by whoever marks them up.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reporting.documents.reasons import in_words
from reporting.escape import cut
from reporting.results_folder import Findings, Json
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
    spread = (
        _changes(findings, own)
        .group_by("item_id", "seed")
        .agg(
            lost=pl.col("lost").sum(),
            gained=pl.col("gained").sum(),
            outcomes=pl.col("outcome").n_unique(),
            arms=pl.col("arm").n_unique(),
            texts=pl.col("text").n_unique(),
        )
    )
    chosen: dict[str, int] = {}
    for first in (["lost"], ["gained"], *([[]] * (MAX_QUESTIONS - 2))):
        most = [*first, "outcomes", "arms", "texts"]
        left = spread.filter(~pl.col("item_id").is_in(list(chosen)))
        # One seed a question: the first one under which the arms differ most.
        ordered = left.sort([*most, "seed", "item_id"], descending=[*[True] * len(most), False, False])
        chosen |= dict(ordered["item_id", "seed"].head(1).rows())
    return [_question(findings, own, words, benchmark, item_id, seed) for item_id, seed in chosen.items()]


def _changes(findings: Findings, answers: pl.DataFrame) -> pl.DataFrame:
    """The answers, with `lost` and `gained` against the same question and seed of the arm's reference."""
    references = {arm["name"]: arm["reference"] for arm in findings.arms}
    paired = answers.with_columns(
        reference=pl.col("arm").replace_strict(references, default=None, return_dtype=pl.String)
    )
    before = answers.select("item_id", "seed", reference="arm", before="outcome")
    joined = paired.join(before, on=["item_id", "seed", "reference"], how="left")
    return joined.with_columns(
        lost=((pl.col("before") == "correct") & (pl.col("outcome") == "wrong")).fill_null(False),
        gained=((pl.col("before") == "wrong") & (pl.col("outcome") == "correct")).fill_null(False),
    )


def _question(
    findings: Findings, answers: pl.DataFrame, words: Words, benchmark: str, item_id: str, seed: int
) -> Question:
    own = answers.filter((pl.col("item_id") == item_id) & (pl.col("seed") == seed))
    by_arm = {row["arm"]: row for row in own.iter_rows(named=True)}
    rows = tuple(
        AnswerRow(
            arm=arm["name"],
            outcome=_outcome(words, by_arm[arm["name"]], by_arm.get(arm["reference"])),
            answer=cut(by_arm[arm["name"]]["answer"] or DASH, ANSWER_CHARS),
            text=cut(by_arm[arm["name"]]["text"], TEXT_CHARS),
        )
        for arm in findings.arms
        if arm["name"] in by_arm
    )
    return Question(benchmark, item_id, seed, rows)


def _outcome(words: Words, row: Json, before: Json | None) -> str:
    """The outcome with its reason; where it is another than the reference's, both."""
    said = in_words(words, row["outcome"])
    if row["reason"]:
        said += f" ({in_words(words, row['reason'])})"
    if before is None or before["outcome"] == row["outcome"]:
        return said
    return f"{in_words(words, before['outcome'])} → {said}"
