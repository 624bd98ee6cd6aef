"""What judges said about answers, as columns of the tables and as parts of the page.

`report_data/judgements.parquet` has one row per judge, answer, turn and repeat (`reporting.frames.JUDGEMENT_SCHEMA`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from conf.files import exists
from conf.json_objects import objects_in

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
    """Return the columns of the judges: for each one its score of the answer, the reasons for it, and all it wrote."""
    kinds: tuple[tuple[str, type[pl.DataType]], ...] = (
        ("judge_score", pl.Float64),
        ("judge_reason", pl.String),
        ("judge_text", pl.String),
    )
    return {f"{name}.{judge}": kind for judge in judges for name, kind in kinds}


def reason_for(score: float | None, text: str | None) -> str | None:
    """Return why a judge gave a score: the reason in the last verdict in its text that has this score, if any.

    A judge answers with JSON, which nobody wants to read, and may write more around it.
    """
    if score is None or not text:
        return None
    reasons = [found.get("reason") for found in objects_in(text) if _is_score(found.get("score"), score)]
    reason = reasons[-1] if reasons else None
    return reason.strip() or None if isinstance(reason, str) else None


def _is_score(found: object, score: float) -> bool:
    return isinstance(found, (int, float)) and not isinstance(found, bool) and found == score


def _with_reasons(judgements: pl.LazyFrame) -> pl.LazyFrame:
    """Return the judgements with the column `said`: the reason of each verdict."""

    def reasons(verdicts: pl.Series) -> pl.Series:
        fields = (verdicts.struct.field(name).to_list() for name in ("score", "text"))
        return pl.Series(map(reason_for, *fields), dtype=pl.String)

    read = pl.struct("score", "text").map_batches(reasons, return_dtype=pl.String, is_elementwise=True)
    return judgements.with_columns(said=read)


def with_judges(answers: pl.DataFrame, judgements: pl.DataFrame | None, judges: Sequence[str]) -> pl.DataFrame:
    """Return the answers with the columns of `judge_schema`.

    A judge's score is the mean over the turns of the means over the repeats. It is null if the judge gave no valid
    verdict on some turn.
    """
    if judgements is None:
        return answers
    turns = (
        _with_reasons(judgements.lazy())
        .collect()
        .sort(_PLACE)
        .group_by(*_ANSWER, "judge", "turn", maintain_order=True)
        .agg(pl.col("score").mean(), judge_reason=_under_headings("said"), judge_text=_under_headings("text"))
    )
    # `mean` would skip a turn without a verdict, and the score would be one of other turns.
    whole = pl.when(pl.col("score").null_count() == 0).then(pl.col("score").mean())
    by_judge = turns.group_by(*_ANSWER, "judge", maintain_order=True).agg(
        pl.col("judge_reason", "judge_text").str.join("\n\n"), judge_score=whole
    )
    for judge in judges:
        own = by_judge.filter(pl.col("judge") == judge).drop("judge")
        renamed = own.rename({name: f"{name}.{judge}" for name in ("judge_score", "judge_reason", "judge_text")})
        answers = answers.join(renamed, on=_ANSWER, how="left", maintain_order="left")
    return answers


def _under_headings(column: str) -> pl.Expr:
    """Return the texts of several judgements as one, each below its turn, its repeat and its score."""
    score = pl.coalesce(pl.col("score").cast(pl.String), pl.col("reason"), pl.lit("no score"))
    place = ("[turn {}, repeat {}: {}]\n{}", pl.col("turn") + 1, pl.col("repeat") + 1, score)
    return pl.format(*place, pl.col(column).fill_null("")).str.strip_chars_end().str.join("\n\n")


def verdicts_of(judgements: pl.LazyFrame | None, chosen: pl.DataFrame, longest_chars: int) -> pl.DataFrame:
    """Return the judgements of chosen items: one row per answer, with the list `verdicts`. Long texts are cut.

    `said` is the reason of a verdict in words, `text` all that the judge wrote.

    Args:
        judgements: the judgements of the run.
        chosen: `benchmark`, `item_id` and `seed` of each wanted item.
        longest_chars: characters of a text that are kept.
    """
    fields = [*_PLACE, "score", "reason", "said", "text"]
    if judgements is None:
        kind = pl.List(pl.Struct(dict.fromkeys(fields, pl.String)))
        return pl.DataFrame(schema={**dict.fromkeys(_ANSWER, pl.String), "seed": pl.Int64, "verdicts": kind})
    return (
        _with_reasons(judgements.join(chosen.lazy(), on=_ANSWER[:3], how="semi"))
        .with_columns(pl.col("said", "text").str.head(longest_chars))
        .sort(_PLACE)
        .group_by(_ANSWER, maintain_order=True)
        .agg(verdicts=pl.struct(fields))
        .collect(engine="streaming")
    )
