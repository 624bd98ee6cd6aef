"""What judges said about answers, as columns of the tables and as parts of the page.

`report_data/judgements.parquet` has one row per judge, answer, turn and repeat (`reporting.frames.JUDGEMENT_SCHEMA`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from conf.files import exists

_ANSWER = ["benchmark", "item_id", "seed", "arm"]
_PLACE = ["judge", "turn", "repeat"]


def read_judgements(path: Path) -> pl.LazyFrame | None:
    """Return the judgements of a run; None if there are none."""
    return pl.scan_parquet(path).cast({pl.Categorical: pl.String}) if exists(path) else None


def judges_of(judgements: pl.LazyFrame | None) -> list[str]:
    """Return the names of the judges, sorted."""
    if judgements is None:
        return []
    return judgements.select(pl.col("judge").unique().sort()).collect()["judge"].to_list()


def judge_schema(judges: Sequence[str]) -> dict[str, type[pl.DataType]]:
    """Return the columns of the judges: for each one its score of the answer, and what it said."""
    kinds: tuple[tuple[str, type[pl.DataType]], ...] = (("judge_score", pl.Float64), ("judge_text", pl.String))
    return {f"{name}.{judge}": kind for judge in judges for name, kind in kinds}


def with_judges(answers: pl.DataFrame, judgements: pl.DataFrame | None, judges: Sequence[str]) -> pl.DataFrame:
    """Return the answers with the columns of `judge_schema`.

    A judge's score is the mean over the turns of the means over the repeats. It is null if the judge gave no valid
    verdict on some turn.
    """
    if judgements is None:
        return answers
    said = (
        pl.format(
            "[turn {}, repeat {}: {}]\n{}",
            pl.col("turn") + 1,
            pl.col("repeat") + 1,
            pl.coalesce(pl.col("score").cast(pl.String), pl.col("reason"), pl.lit("no score")),
            pl.col("text").fill_null(""),
        )
        .str.strip_chars_end()
        .str.join("\n\n")
    )
    turns = (
        judgements.sort(_PLACE)
        .group_by(*_ANSWER, "judge", "turn", maintain_order=True)
        .agg(pl.col("score").mean(), text=said)
    )
    # `mean` would skip a turn without a verdict, and the score would be one of other turns.
    whole = pl.when(pl.col("score").null_count() == 0).then(pl.col("score").mean())
    by_judge = turns.group_by(*_ANSWER, "judge", maintain_order=True).agg(whole, pl.col("text").str.join("\n\n"))
    for judge in judges:
        own = by_judge.filter(pl.col("judge") == judge).drop("judge")
        renamed = own.rename({"score": f"judge_score.{judge}", "text": f"judge_text.{judge}"})
        answers = answers.join(renamed, on=_ANSWER, how="left", maintain_order="left")
    return answers


def verdicts_of(judgements: pl.LazyFrame | None, chosen: pl.DataFrame, longest_chars: int) -> pl.DataFrame:
    """Return the judgements of chosen items: one row per answer, with the list `verdicts`. Long texts are cut.

    Args:
        judgements: the judgements of the run.
        chosen: `benchmark`, `item_id` and `seed` of each wanted item.
        longest_chars: characters of a text that are kept.
    """
    fields = [*_PLACE, "score", "reason", "text"]
    if judgements is None:
        kind = pl.List(pl.Struct(dict.fromkeys(fields, pl.String)))
        return pl.DataFrame(schema={**dict.fromkeys(_ANSWER, pl.String), "seed": pl.Int64, "verdicts": kind})
    return (
        judgements.join(chosen.lazy(), on=_ANSWER[:3], how="semi")
        .with_columns(pl.col("text").str.head(longest_chars))
        .sort(_PLACE)
        .group_by(_ANSWER, maintain_order=True)
        .agg(verdicts=pl.struct(fields))
        .collect()
    )
