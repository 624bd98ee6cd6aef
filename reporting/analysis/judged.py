"""Put records and judgements together: what a jury says about an answer becomes its score.

Records are never changed on disk. Here an answer that every judge of the jury has judged gets the outcome `judged`. Its
score is the mean over its turns of the mean over repeats, then the mean over the judges. If a judge has no verdict for
some turn, the answer stays unscored, with the reason: a mean over the other judges would be that of another jury.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from reporting.frames import RECORD_SCHEMA
from reporting.judging_reasons import CUT_WHILE_THINKING, JUDGE_FAILED, JUDGED, NO_JUDGE

_RECORD = ["arm", "benchmark", "item_id", "seed"]


def with_judgements(
    records: pl.DataFrame, judgements: pl.DataFrame, juries: Mapping[str, Sequence[str]]
) -> pl.DataFrame:
    """Return the records with the scores of the juries.

    Args:
        records: one row per planned record (`RECORD_SCHEMA`).
        judgements: one row per judgement (`JUDGEMENT_SCHEMA`), also of judges that are in no jury.
        juries: the names of the judges, by benchmark. Records of other benchmarks stay as they are.
    """
    jury = pl.DataFrame(
        [(benchmark, judge, len(judges)) for benchmark, judges in juries.items() for judge in judges],
        schema={"benchmark": pl.String, "judge": pl.String, "n_judges": pl.Int64},
        orient="row",
    )
    waiting = _waiting(records, jury)
    if waiting.height == 0:
        return records
    scores = _scores(waiting, _by_judge(judgements, jury))
    joined = records.with_row_index("place").join(scores, on="place", how="left", maintain_order="left")
    found = pl.col("new_outcome").is_not_null()
    return joined.with_columns(
        pl.when(found).then(f"new_{name}").otherwise(name).alias(name) for name in ("outcome", "score", "reason")
    ).select(records.columns)


def _waiting(records: pl.DataFrame, jury: pl.DataFrame) -> pl.DataFrame:
    """Return the records that have a jury: their place, what identifies them, their number of turns, and the jury."""
    turns = pl.col("earlier_texts").list.len().fill_null(0) + 1
    return (
        records.with_row_index("place")
        .filter(
            pl.col("benchmark").cast(pl.String).is_in(jury["benchmark"].unique().to_list())
            & pl.col("reason").cast(pl.String).is_in([NO_JUDGE, CUT_WHILE_THINKING])
        )
        .select("place", *map(_text, _RECORD[:3]), "seed", turns.cast(pl.Int64).alias("n_turns"))
        .join(jury, on="benchmark", how="left", maintain_order="left")
    )


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String)


def _by_judge(judgements: pl.DataFrame, jury: pl.DataFrame) -> pl.DataFrame:
    """Return one row per record and judge of its jury: the mean over turns, and how many turns have a verdict."""
    keys = [*_RECORD, "judge"]
    return (
        judgements.with_columns(map(_text, ("judge", "arm", "benchmark", "reason")))
        .join(jury, on=["benchmark", "judge"], how="semi")
        .sort([*keys, "turn", "repeat"])
        .group_by([*keys, "turn"], maintain_order=True)
        .agg(
            pl.col("score").mean(),
            pl.col("reason").filter(pl.col("score").is_null()).drop_nulls().first().alias("missing"),
            pl.col("reason").filter(pl.col("score").is_not_null()).drop_nulls().first().alias("unasked"),
        )
        .group_by(keys, maintain_order=True)
        .agg(
            pl.col("score").mean(),
            pl.col("score").count().cast(pl.Int64).alias("n_judged"),
            pl.col("missing").filter(pl.col("score").is_null()).drop_nulls().first(),
            pl.col("unasked").drop_nulls().first(),
        )
    )


def _scores(waiting: pl.DataFrame, by_judge: pl.DataFrame) -> pl.DataFrame:
    """Return by place: the new outcome, score and reason."""
    complete = pl.col("n_judged").fill_null(0) >= pl.col("n_turns")
    missing = pl.when(~complete).then(pl.coalesce("missing", pl.lit(JUDGE_FAILED)))
    by_record = (
        waiting.join(by_judge, on=[*_RECORD, "judge"], how="left", maintain_order="left")
        .with_columns(complete.alias("complete"), missing.alias("missing"))
        .group_by("place", maintain_order=True)
        .agg(
            pl.col("complete").all(),
            pl.col("score").mean(),
            pl.col("missing").drop_nulls().first(),
            pl.col("unasked").drop_nulls().first(),
        )
    )
    scored = pl.col("complete")
    return by_record.select(
        "place",
        pl.when(scored)
        .then(pl.lit(JUDGED))
        .otherwise(pl.lit("unscored"))
        .cast(RECORD_SCHEMA["outcome"])
        .alias("new_outcome"),
        pl.when(scored).then("score").alias("new_score"),
        pl.when(scored).then("unasked").otherwise("missing").cast(RECORD_SCHEMA["reason"]).alias("new_reason"),
    )
