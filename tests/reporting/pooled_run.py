"""Runs of made-up right and wrong answers on several benchmarks and of one text, for tests of the claim on average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from conf.custom_benchmarks import WHOLE
from conf.schema.verdicts import Statistics
from reporting.analysis.looks import Histories
from reporting.analysis.results import Results, build_results
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA
from reporting.terminal.summary import summary_table
from reporting.validate import validate
from tests.reporting.sample_run import SampleRun

Scores = Mapping[str, Mapping[str, np.ndarray]]
"""Benchmark -> arm -> right (1) or wrong (0) for each item; NaN is unscored. The first arm is the reference."""


def flipped(n: int, lost: int, gained: int) -> dict[str, np.ndarray]:
    """Return a reference that is right on 70% of its items, and an arm that differs on some of them."""
    reference = (np.arange(n) < 0.7 * n).astype(float)
    arm = reference.copy()
    arm[:lost] = 0.0
    arm[n - gained :] = 1.0
    return {"f16": reference, "q8_0": arm}


def pooled_results(
    sample: SampleRun,
    scores: Scores,
    *,
    sizes: Mapping[str, int] | None = None,
    questions: Mapping[str, str] | None = None,
    scales: Mapping[str, list[float]] | None = None,
    text_loss: float = 0.0,
    kinds: Mapping[str, str] | None = None,
    unjudged: Mapping[str, str] | None = None,
    histories: Histories | None = None,
    **settings: Any,
) -> Results:
    """Return checked results of made-up scores, and of a text on which each arm loses `text_loss` nats per token.

    `unjudged` names judged benchmarks, each with the reason of its unscored records. Their items have two categories.
    """
    arms = list(next(iter(scores.values())))
    described = [
        sample.run["arms"][1]
        | {"name": arm, "recipe": arm, "size_bytes": (sizes or {}).get(arm, 100 - place), "failed": None}
        | {"reference": None if place == 0 else arms[0]}
        for place, arm in enumerate(arms)
    ]
    benchmarks = [
        sample.run["benchmarks"][1]
        | {"name": name, "kind": (kinds or {}).get(name, "choose")}
        | ({"questions": questions[name]} if questions else {})
        | ({"scale": scales[name]} if scales and name in scales else {})
        | ({"rubrics": ["r"], "metric": "judge_score", "scale": [1, 5]} if unjudged and name in unjudged else {})
        for name in scores
    ]
    rows = [
        _row(arm, name, item, values, (unjudged or {}).get(name))
        for name, of in scores.items()
        for arm, values in of.items()
        for item in range(values.size)
    ]
    text = sample.run["benchmarks"][2]
    for place, arm in enumerate(arms):
        for chunk in range(60):
            noise = 0.001 * ((chunk * 7 + place) % 5 - 2) + text_loss * (place > 0)
            fields = {"outcome": "measured", "nll_sum": (3.0 + noise) * 256, "n_tokens": 256, "prompt_hash": str(chunk)}
            rows.append(
                dict.fromkeys(RECORD_SCHEMA)
                | {"arm": arm, "benchmark": text["name"], "seed": 0}
                | fields
                | {"item_id": f"{chunk:06d}"}
            )
    run = sample.run | {"arms": described, "benchmarks": [*benchmarks, text], "failures": [], "notices": []}
    made = build_results(
        run,
        pl.DataFrame(rows, schema=RECORD_SCHEMA),
        pl.DataFrame(schema=TIMING_SCHEMA),
        Statistics.model_validate(settings),
        histories=histories,
    )
    validate("statistical_analysis", made.analysis)
    validate("quantization_comparison", made.comparison)
    summary_table(made.comparison, made.analysis)
    return made


def _row(arm: str, benchmark: str, item: int, values: np.ndarray, unjudged: str | None) -> dict[str, Any]:
    value = float(values[item])
    row = dict.fromkeys(RECORD_SCHEMA) | {"arm": arm, "benchmark": benchmark, "seed": 0}
    row |= {"item_id": WHOLE if values.size == 1 else f"{item:05d}", "prompt_hash": f"{benchmark} {item}"}
    if unjudged:
        row |= {"item_category": ("math", "writing")[item % 2]}
    if np.isnan(value):
        return row | {"outcome": "unscored", "reason": unjudged or "block_failed"}
    return row | {"outcome": "judged" if unjudged else "correct" if value else "wrong", "score": value}


NOTHING_LOST: Scores = {
    "gsm8k": flipped(1319, 13, 13),
    "math": flipped(500, 5, 5),
    "arc_challenge": flipped(1172, 12, 12),
}
