"""Which questions the page holds, and in which order: those on which the arms differ most from their references first.

A question here is one item under one seed, with the answers of the arms of one model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

MOST_ANSWERS = 200_000
"""Answers that the page holds at most."""
MOST_CHARS = 250_000_000
"""Characters of their texts that it holds at most: a browser needs about twice as many bytes of memory."""
LONGEST_TEXT_CHARS = 20_000
"""Longer texts are cut on the page. The tables hold them whole."""
QUESTION = ["benchmark", "item_id", "seed", "model"]
_TEXTS = ("question", "expected", "criteria", "text", "thoughts")


@dataclass(frozen=True)
class Choice:
    """The questions of the page."""

    questions: pl.DataFrame
    """One row per question, with its `rank` from 0."""
    n_answers: int
    n_answers_in_all: int
    """Answers of the run."""


def choose(
    table: Path,
    benchmarks: Sequence[Mapping[str, Any]],
    most_answers: int = MOST_ANSWERS,
    most_chars: int = MOST_CHARS,
) -> Choice:
    """Return the questions of the page: with more than the page can hold, those with the largest differences.

    Args:
        table: the table of answers (`side_by_side.table`).
        benchmarks: the benchmarks of the run.
        most_answers: answers that the page holds at most.
        most_chars: characters that it holds at most.
    """
    names = [one["name"] for one in benchmarks]
    widths = {one["name"]: scale_width(one) for one in benchmarks}
    answers = pl.scan_parquet(table)
    n_chars = pl.sum_horizontal(
        *(pl.col(name).str.len_chars().clip(upper_bound=LONGEST_TEXT_CHARS).fill_null(0) for name in _TEXTS)
    )
    width = pl.col("benchmark").replace_strict(widths, default=1.0, return_dtype=pl.Float64)
    ordered = (
        answers.group_by(QUESTION)
        .agg(
            flips=pl.col("flip").count(),
            by_score=(pl.col("score_difference").abs() / width).max().fill_null(0.0),
            by_text=pl.col("text_difference").max().fill_null(0.0),
            n_answers=pl.len(),
            n_chars=n_chars.sum(),
        )
        .with_columns(place=pl.col("benchmark").replace_strict(names, range(len(names)), return_dtype=pl.Int64))
        .sort(
            ["flips", "by_score", "by_text", "place", "item_id", "seed", "model"],
            descending=[True, True, True, False, False, False, False],
        )
        .collect(engine="streaming")
    )
    fits = (pl.col("n_answers").cum_sum() <= most_answers) & (pl.col("n_chars").cum_sum() <= most_chars)
    kept = ordered.filter(fits)
    questions = kept.select(*QUESTION).with_row_index("rank")
    return Choice(questions, int(kept["n_answers"].sum()), int(ordered["n_answers"].sum()))


def scale_width(benchmark: Mapping[str, Any]) -> float:
    """Return the width of a benchmark's scale, so that differences on different scales can be put in one order."""
    scale = benchmark.get("scale")
    return float(scale[1] - scale[0]) if scale and scale[1] > scale[0] else 1.0
