"""The scores that juries gave to the answers of each cell, from the tables beside the results."""

from __future__ import annotations

import polars as pl

from actors.store import RunDirectory
from actors.tracking.cells import CellKey, JudgedScore
from conf.files import exists
from reporting.judging_reasons import JUDGED


def read_judged_scores(run: RunDirectory) -> dict[CellKey, JudgedScore]:
    """Return the mean score of each cell with judged answers; none while there are no results."""
    table, said = run.table("answers"), run.table("judgements")
    if not (exists(table) and exists(said)):  # most runs have no judge, and their answers need not be read
        return {}
    keys = ["arm", "benchmark", "seed"]
    means = (
        pl.scan_parquet(table)
        .filter(pl.col("outcome") == JUDGED)
        .group_by(keys)
        .agg(pl.col("score").mean(), pl.len().alias("n"))
        .collect()
    )
    return {
        (row["arm"], row["benchmark"], row["seed"]): JudgedScore(row["score"], row["n"]) for row in means.to_dicts()
    }
