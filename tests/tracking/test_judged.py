"""Judged means as metrics of the cells in MLflow."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from actors.store import RunDirectory
from actors.tracking.cells import JudgedScore
from actors.tracking.judged import read_judged_scores


def test_each_cell_has_the_mean_of_its_judged_answers(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert read_judged_scores(run) == {}
    run.table("answers").parent.mkdir(parents=True)
    rows = [("f16", "elyza", 0, "judged", 4.0), ("f16", "elyza", 0, "judged", 1.0), ("f16", "elyza", 1, "judged", 5.0)]
    rows += [("f16", "elyza", 1, "unscored", None), ("f16", "gsm8k", 0, "correct", 1.0)]
    names = ["arm", "benchmark", "seed", "outcome", "score"]
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(run.table("answers"))
    pl.DataFrame({"judge": ["a"]}).write_parquet(run.table("judgements"))
    assert read_judged_scores(run) == {
        ("f16", "elyza", 0): JudgedScore(2.5, 2),
        ("f16", "elyza", 1): JudgedScore(5.0, 1),
    }
