"""A few answers side by side, for reading: the same item under the same seed, one row per arm.

The first item is the one on which most arms fell from right to wrong. The second is the one on which most arms rose
from wrong to right: showing only losses would show half. Then come other items on which the arms disagree, because
equal answers show nothing. Models wrote the texts: they are cut here, and the caller that adds markup makes them inert.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reporting.documents.phrases import code_in_words
from reporting.escape import cut
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words

MAX_ITEMS = 3
TEXT_CHARS = 500
ANSWER_CHARS = 80


@dataclass(frozen=True)
class AnswerRow:
    """The answer of one arm."""

    arm: str
    outcome: str
    answer: str
    text: str


@dataclass(frozen=True)
class ComparedAnswers:
    """One item under one seed, and what each arm answered."""

    benchmark: str
    item_id: str
    seed: int
    rows: tuple[AnswerRow, ...]


def answers_to_compare(findings: Findings, words: Words) -> list[ComparedAnswers]:
    """Return the items to show with their answers: at most `MAX_ITEMS` per benchmark with generated answers."""
    if findings.answers is None:
        return []
    generated = [benchmark["name"] for benchmark in findings.benchmarks if benchmark["kind"] == "generate"]
    return [found for name in generated for found in _of_benchmark(findings, findings.answers, words, name)]


def _of_benchmark(findings: Findings, answers: pl.DataFrame, words: Words, benchmark: str) -> list[ComparedAnswers]:
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
    for first in (["lost"], ["gained"], *([[]] * (MAX_ITEMS - 2))):
        most = [*first, "outcomes", "arms", "texts"]
        left = spread.filter(~pl.col("item_id").is_in(list(chosen)))
        # One seed per item: the first one under which the arms differ most.
        ordered = left.sort([*most, "seed", "item_id"], descending=[*[True] * len(most), False, False])
        chosen |= dict(ordered["item_id", "seed"].head(1).rows())
    return [_compared(findings, own, words, benchmark, item_id, seed) for item_id, seed in chosen.items()]


def _changes(findings: Findings, answers: pl.DataFrame) -> pl.DataFrame:
    """Return the answers with the columns `lost` and `gained`, relative to the reference on the same item and seed."""
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


def _compared(
    findings: Findings, answers: pl.DataFrame, words: Words, benchmark: str, item_id: str, seed: int
) -> ComparedAnswers:
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
    return ComparedAnswers(benchmark, item_id, seed, rows)


def _outcome(words: Words, row: Json, before: Json | None) -> str:
    """Return the outcome with its reason, preceded by the reference's outcome if the two differ."""
    text = code_in_words(words, row["outcome"])
    if row["reason"]:
        text += f" ({code_in_words(words, row['reason'])})"
    if before is None or before["outcome"] == row["outcome"]:
        return text
    return f"{code_in_words(words, before['outcome'])} → {text}"
