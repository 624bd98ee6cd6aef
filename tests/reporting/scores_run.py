"""The sample run, whose records of ARC-Challenge also have the scores that come from log-likelihoods."""

from __future__ import annotations

import random

import polars as pl

from tests.reporting.sample_run import SampleRun, sample_run


def scores_run() -> SampleRun:
    """Return the run. On average q4_k_m loses 5 points of the probability of the right choice, and q8_0 nothing."""
    made, draw = sample_run(), random.Random(1)
    rows = made.records.to_dicts()
    of_item: dict[str, float] = {}
    for row in rows:
        if row["benchmark"] == "arc_challenge":
            base = of_item.setdefault(row["item_id"], draw.uniform(0.1, 0.9))
            lost = {"f16": 0.0, "q8_0": draw.gauss(0, 0.01), "q4_k_m": draw.gauss(-0.05, 0.03)}[row["arm"]]
            row |= {"gold_probability": base + lost, "gold_loglik": 10 * (base + lost) - 20}
    return made._replace(records=pl.DataFrame(rows, schema=made.records.schema))
