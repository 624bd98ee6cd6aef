"""A run of two arms on one large benchmark with right and wrong answers, and what memory its results take.

    python -m tests.reporting.large_run 1000000

It prints the memory of the process before the run is made and how long its results took, as one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import polars as pl
import psutil

from reporting.analysis.results import build_results
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA
from tests.reporting.sample_run import SampleRun, sample_run

ARMS = ("f16", "q4_k_m")
BENCHMARK = "arc_challenge"


def large_run(n_items: int) -> SampleRun:
    """Return the run. The arm answers every tenth item anew, and loses one point."""
    run = sample_run().run
    arms = [arm for arm in run["arms"] if arm["name"] in ARMS]
    benchmarks = [one | {"n_items": n_items} for one in run["benchmarks"] if one["name"] == BENCHMARK]
    draw = np.random.default_rng(0)
    luck, chances = draw.random(n_items), draw.beta(1.2, 0.8, n_items)
    tables = []
    for place, arm in enumerate(ARMS):
        anew = np.where(draw.random(n_items) < 0.1 * place, draw.random(n_items), luck)
        tables.append(_records(arm, anew < chances * (1 - 0.01 * place)))
    records = pl.concat([pl.DataFrame(schema=RECORD_SCHEMA), *tables], how="diagonal")
    described = run | {"arms": arms, "benchmarks": benchmarks, "failures": [], "notices": []}
    return SampleRun(described, records, pl.DataFrame(schema=TIMING_SCHEMA))


def _records(arm: str, right: np.ndarray) -> pl.DataFrame:
    item = pl.int_range(right.size).cast(pl.String)
    is_right = pl.lit(pl.Series(right))
    table = pl.select(
        arm=pl.lit(arm),
        benchmark=pl.lit(BENCHMARK),
        item_id=pl.lit("arc-") + item.str.zfill(7),
        seed=pl.lit(0),
        prompt_hash=item.str.zfill(64),
        outcome=pl.when(is_right).then(pl.lit("correct")).otherwise(pl.lit("wrong")),
        score=is_right.cast(pl.Float64),
        answer=pl.lit("A"),
        prompt_tokens=pl.lit(60),
        completion_tokens=pl.lit(0),
    )
    return table.cast({name: RECORD_SCHEMA[name] for name in table.columns})


if __name__ == "__main__":
    before_bytes = psutil.Process().memory_info().rss
    made = large_run(int(sys.argv[1]))
    started_s = time.process_time()
    build_results(*made)
    print(json.dumps({"before_mb": before_bytes / 1e6, "processor_s": time.process_time() - started_s}))
