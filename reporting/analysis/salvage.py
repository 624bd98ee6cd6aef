"""Compute the results of a pipeline even if one arm's records of a benchmark cannot be used.

All work is done when results are computed. So an arm's findings on a benchmark that fail are left out and reported as
failed, and everything else is computed as usual.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from conf.schema.verdicts import Statistics
from reporting.analysis.cells import FindingsFailed
from reporting.analysis.early import Stop
from reporting.analysis.looks import Histories
from reporting.analysis.results import Results, build_results
from reporting.frames import RECORD_SCHEMA
from reporting.validate import InvalidDocument, validate

FINDINGS_FAILED = "findings_failed"
"""Reason of the records whose findings are left out."""
PHASE = "statistics"
_ROW = re.compile(r"\$\.(results|comparisons|score_comparisons|answer_style)\[(\d+)\]")
_KEPT = ("arm", "benchmark", "cluster", "item_id", "seed", "prompt_hash")


@dataclass(frozen=True)
class Salvaged:
    """The results, and the findings that are not in them."""

    results: Results
    failed: tuple[FindingsFailed, ...]


def salvage_results(
    run: Mapping[str, Any],
    records: pl.DataFrame,
    timings: pl.DataFrame,
    statistics: Statistics,
    stopped: Sequence[Stop] = (),
    failed: Sequence[FindingsFailed] = (),
    histories: Histories | None = None,
    *,
    judgements: pl.DataFrame | None = None,
    human_scores: pl.DataFrame | None = None,
) -> Salvaged:
    """Compute and check all results that can be computed.

    Arguments are those of `build_results`; `failed` are findings that are known to have failed, whose records are
    unscored already. Raises what was raised if no arm and benchmark can be blamed for it.
    """
    failed = list(failed)
    while True:
        told = {**run, "failures": [*run["failures"], *map(failure_row, failed)]}
        try:
            results = build_results(
                told,
                records,
                timings,
                statistics,
                stopped,
                histories,
                judgements=judgements,
                human_scores=human_scores,
            )
            return Salvaged(_checked(results), tuple(failed))
        except FindingsFailed as error:
            if (error.arm, error.benchmark) in {(one.arm, one.benchmark) for one in failed}:
                raise  # leaving its records out did not help
            failed.append(error)
            records = _without_scores(records, error)


def failure_row(failed: FindingsFailed) -> dict[str, Any]:
    """Return the entry of `failures` for findings that failed."""
    return {
        "unit": unit_of(failed),
        "phase": PHASE,
        "arm": failed.arm,
        "benchmark": failed.benchmark,
        "attempts": 1,
        "error": str(failed),
        "log_tail": [],
    }


def unit_of(failed: FindingsFailed) -> str:
    """Return the name under which findings are reported as failed."""
    return f"findings/{failed.benchmark}.{failed.arm}"


def _checked(results: Results) -> Results:
    """Return the results if they match their schemas. Raise `FindingsFailed` for a row that does not."""
    for kind, document in (
        ("quantization_comparison", results.comparison),
        ("statistical_analysis", results.analysis),
    ):
        try:
            validate(kind, document)  # type: ignore[arg-type]
        except InvalidDocument as error:
            found = _ROW.match(error.faults[0])
            if found is None:
                raise
            row = document[found[1]][int(found[2])]
            raise FindingsFailed(row["arm"], row["benchmark"], error.faults[0]) from error
    return results


def _without_scores(records: pl.DataFrame, failed: FindingsFailed) -> pl.DataFrame:
    """Return the records with those of one arm and benchmark unscored, and each of its questions once."""
    own = (pl.col("arm") == failed.arm) & (pl.col("benchmark") == failed.benchmark)
    bare = (
        records.filter(own)
        .select(_KEPT)
        .unique(["item_id", "seed"], maintain_order=True)
        .with_columns(
            outcome=pl.lit("unscored", RECORD_SCHEMA["outcome"]),
            reason=pl.lit(FINDINGS_FAILED, RECORD_SCHEMA["reason"]),
        )
    )
    return pl.concat([records.filter(~own), bare], how="diagonal")
