"""Findings: what was measured, as the two result files and two tables.

`build_results` puts the statistics of `stats` under the names that programs outside the project read
(`reporting/schemas/` describes each). It reads no file and writes none; charts and documents are made from
what it returns, never from records.

Undefined numbers are null, with `<name>_reason` beside them (codes of `stats.reasons`); no number is NaN or
infinite. The same input gives the same output, to the last bit.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conf.custom_benchmarks import WHOLE
from reporting.performance import performance_rows
from stats.intervals import CONFIDENCE, Interval, fixed_benchmark_interval, mean_interval
from stats.paired import PairedDifference, Pairing, pair_items, paired_difference
from stats.permutation import DRAWS
from stats.reasons import Reason
from stats.reduce import per_item, with_value
from stats.runs import RunSpread, run_spread, sigma_items

SCHEMA_VERSION = 1
PERMUTATION_SEED = 0
"""Seed of the sign-flip tests; each comparison draws from a stream of its own."""

ANSWER_COLUMNS = ["arm", "benchmark", "item_id", "seed", "outcome", "score", "reason", "text", "answer"]
ANSWER_COLUMNS += ["finish_reason", "completion_tokens"]


@dataclass(frozen=True)
class Results:
    """What the pipeline found."""

    comparison: dict[str, Any]
    """`quantization_comparison.json`"""
    analysis: dict[str, Any]
    """`statistical_analysis.json`"""
    tables: dict[str, pl.DataFrame]
    """`items` and `answers`, for `report_data/<name>.parquet`."""


@dataclass(frozen=True)
class _Cell:
    """One arm on one benchmark."""

    arm: str
    benchmark: Mapping[str, Any]
    records: pl.DataFrame
    """Planned records, with `value`."""
    items: pl.DataFrame
    """Planned items (`stats.reduce.per_item`)."""

    @property
    def scored_items(self) -> pl.DataFrame:
        return self.items.drop_nulls("mean")

    @property
    def proportion(self) -> bool:
        """True where the scores are shares of right: their scale ends at 0 and 1.

        Judged scores (1 to 5, say) are told by their values: one above 1 is enough.
        """
        if self.one_number:
            return False
        values = self.records["value"].drop_nulls()
        return self.benchmark["kind"] != "measure" and bool(((values >= 0) & (values <= 1)).all())

    @property
    def one_number(self) -> bool:
        """True where a function of the user's gave a result and no items: nothing says how sure it is."""
        return self.benchmark["kind"] == "function" and self.items["item_id"].to_list() == [WHOLE]


def build_results(run: Mapping[str, Any], records: pl.DataFrame, timings: pl.DataFrame) -> Results:
    """Compute all findings of a pipeline.

    An item that was scored under only some of its seeds counts with the seeds it has.

    Args:
        run: the pipeline's description: models, arms, imatrices, benchmarks, settings, versions, failures,
            notices; copied into the comparison.
        records: one row a planned record (`reporting.frames.RECORD_SCHEMA`); those that a failed block never
            wrote are there too, as `unscored`.
        timings: one row a finished block (`reporting.frames.TIMING_SCHEMA`).

    Raises:
        ValueError: a record is there twice, or belongs to no arm or benchmark of the run.
    """
    _check(run, records)
    values = with_value(records)
    cells = _cells(run, values)
    results = [row for cell in cells.values() for row in _result_rows(cell)]
    comparisons, notices = _comparison_rows(run, cells)
    comparison = {
        "schema_version": SCHEMA_VERSION,
        **run,
        "notices": [*run["notices"], *notices],
        "results": results,
        "performance": performance_rows([arm["name"] for arm in run["arms"]], timings),
    }
    analysis = {
        "schema_version": SCHEMA_VERSION,
        "pipeline_id": run["pipeline_id"],
        "confidence": CONFIDENCE,
        "permutation": {"draws": DRAWS, "seed": PERMUTATION_SEED},
        "comparisons": comparisons,
    }
    tables = {
        "items": pl.concat([cell.items for cell in cells.values()])
        .select("arm", "benchmark", "item_id", "mean", "n_runs")
        .sort("benchmark", "arm", "item_id"),
        "answers": records.select(ANSWER_COLUMNS).sort("benchmark", "arm", "item_id", "seed"),
    }
    return Results(comparison, analysis, tables)


def _check(run: Mapping[str, Any], records: pl.DataFrame) -> None:
    for column, known in (("arm", run["arms"]), ("benchmark", run["benchmarks"])):
        strange = set(records[column]) - {entry["name"] for entry in known}
        if strange:
            raise ValueError(f"records of {column} {', '.join(sorted(strange))}, which the run does not name")
    twice = records.filter(records.select("arm", "benchmark", "item_id", "seed").is_duplicated())
    if twice.height:
        row = twice.row(0, named=True)
        raise ValueError(
            f"two records of item {row['item_id']} under seed {row['seed']}: {row['benchmark']} on {row['arm']}"
        )


def _cells(run: Mapping[str, Any], values: pl.DataFrame) -> dict[tuple[str, str], _Cell]:
    items = per_item(values)
    cells = {}
    for benchmark in run["benchmarks"]:
        for arm in run["arms"]:
            own = (pl.col("arm") == arm["name"]) & (pl.col("benchmark") == benchmark["name"])
            key = (arm["name"], benchmark["name"])
            cells[key] = _Cell(arm["name"], benchmark, values.filter(own), items.filter(own))
    return cells


# --- one arm on one benchmark ---------------------------------------------------------------------


def _result_rows(cell: _Cell) -> list[dict[str, Any]]:
    row = _primary_row(cell)
    if cell.benchmark["metric"] != "nll":
        return [row]
    return [row, _perplexity_row(row)]


def _primary_row(cell: _Cell) -> dict[str, Any]:
    items, records = cell.scored_items, cell.records
    means = items["mean"].to_numpy()
    spread = _spread(cell)
    interval = mean_interval(means, proportion=cell.proportion)
    outcomes = records["outcome"]
    return {
        "arm": cell.arm,
        "benchmark": cell.benchmark["name"],
        "metric": cell.benchmark["metric"],
        "primary": True,
        "higher_is_better": cell.benchmark["higher_is_better"],
        **_number("mean", float(np.mean(means)) if means.size else Reason.NO_SCORED_ITEMS),
        **_number("sigma_items", sigma_items(means)),
        **_number("sigma_runs", spread.sigma_runs if isinstance(spread, RunSpread) else spread),
        **_number("error_bar_runs", spread.error_bar_runs if isinstance(spread, RunSpread) else spread),
        **_interval("ci95", interval),
        "ci_method": _method(interval),
        **_interval("ci95_fixed_benchmark", _fixed_benchmark(cell)),
        "deterministic": cell.benchmark["deterministic"],
        "n_items": items.height,
        "n_items_planned": cell.items.height,
        "n_runs": records.drop_nulls("value")["seed"].n_unique(),
        "n_records": records.height,
        "n_correct": int((outcomes == "correct").sum()),
        "n_wrong": int((outcomes == "wrong").sum()),
        "n_unscored": records["value"].null_count(),
        "unscored_reasons": _reason_counts(records.filter(pl.col("value").is_null())),
        "wrong_reasons": _reason_counts(records.filter(pl.col("outcome") == "wrong")),
    }


def _spread(cell: _Cell) -> RunSpread | Reason:
    if cell.benchmark["deterministic"]:
        return Reason.NO_SAMPLING
    return run_spread(_scores_by_run(cell.records))


def _scores_by_run(records: pl.DataFrame) -> NDArray[np.float64]:
    """Shape (items, runs), NaN where unscored."""
    if records.height == 0:
        return np.empty((0, 0))
    wide = records.sort("item_id", "seed").pivot("seed", index="item_id", values="value")
    return wide.drop("item_id").cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _fixed_benchmark(cell: _Cell) -> Interval | Reason:
    if cell.benchmark["deterministic"]:
        return Reason.NO_SAMPLING
    items = cell.scored_items
    variances = items["variance"].fill_null(float("nan")).to_numpy()
    return fixed_benchmark_interval(
        items["mean"].to_numpy(), variances, items["n_runs"].to_numpy(), proportion=cell.proportion
    )


def _perplexity_row(nll: Mapping[str, Any]) -> dict[str, Any]:
    """The exponential of the mean loss and of its interval's ends: perplexity, beside nats per token."""
    derived: dict[str, Any] = {"metric": "perplexity", "primary": False, "higher_is_better": False}
    derived["mean"] = None if nll["mean"] is None else math.exp(nll["mean"])
    for name in ("ci95", "ci95_fixed_benchmark"):
        derived[name] = None if nll[name] is None else [math.exp(end) for end in nll[name]]
    for name in ("sigma_items", "sigma_runs", "error_bar_runs"):
        derived[name] = None
        derived[f"{name}_reason"] = nll[f"{name}_reason"] or Reason.DERIVED.value
    derived["ci_method"] = None if nll["ci_method"] is None else f"exp_{nll['ci_method']}"
    return {**nll, **derived}


def _reason_counts(records: pl.DataFrame) -> dict[str, int]:
    """Records by reason. A wrong answer needs none: it is simply another than the right one."""
    counts = records["reason"].fill_null("other_answer").value_counts().sort("reason")
    return dict(zip(counts["reason"].to_list(), counts["count"].to_list(), strict=True))


# --- against the reference ------------------------------------------------------------------------


def _comparison_rows(
    run: Mapping[str, Any], cells: Mapping[tuple[str, str], _Cell]
) -> tuple[list[dict[str, Any]], list[str]]:
    rows, notices = [], []
    for benchmark in run["benchmarks"]:
        for arm in run["arms"]:
            if arm["reference"] is None:
                continue
            cell = cells[arm["name"], benchmark["name"]]
            reference = cells.get((arm["reference"], benchmark["name"]))
            if reference is None:
                raise ValueError(f"arm {arm['name']} has the reference {arm['reference']}, which is no arm of the run")
            row = _comparison_row(cell, reference)
            rows.append(row)
            if row["difference_reason"] == Reason.PLANNED_SETS_DIFFER:
                notices.append(
                    f"{cell.arm} is not compared with {reference.arm} on {benchmark['name']}:"
                    " they were planned on different items."
                )
    return rows, notices


def _comparison_row(cell: _Cell, reference: _Cell) -> dict[str, Any]:
    pairing = pair_items(cell.items, reference.items)
    found = _difference(cell, reference, pairing)
    n_unscored = pairing.n_unscored if isinstance(pairing, Pairing) else 0
    n_prompt_mismatch = pairing.n_prompt_mismatch if isinstance(pairing, Pairing) else 0
    planned = set(cell.items["item_id"]) | set(reference.items["item_id"])
    return {
        "arm": cell.arm,
        "reference": reference.arm,
        "benchmark": cell.benchmark["name"],
        "metric": cell.benchmark["metric"],
        "higher_is_better": cell.benchmark["higher_is_better"],
        **_number("difference", found.difference),
        **_interval("ci95", found.interval),
        "ci_method": _method(found.interval),
        **_number("p_value", found.p_value),
        "test": found.test,
        **_number("cohens_d", found.cohens_d),
        "n_items": found.n_items,
        "n_runs": pairing.n_runs if isinstance(pairing, Pairing) else 0,
        "n_unpaired": len(planned) - found.n_items,
        "n_unpaired_unscored": n_unscored,
        "n_unpaired_prompt": n_prompt_mismatch,
        "deterministic": cell.benchmark["deterministic"],
    }


def _difference(cell: _Cell, reference: _Cell, pairing: Pairing | Reason) -> PairedDifference:
    if isinstance(pairing, Reason):
        return PairedDifference(pairing, pairing, pairing, None, pairing, 0)
    stream = zlib.crc32(f"{cell.arm}/{cell.benchmark['name']}".encode())
    rng = np.random.default_rng([PERMUTATION_SEED, stream])
    proportion = cell.proportion and reference.proportion
    return paired_difference(pairing.differences, proportion=proportion, rng=rng)


# --- null and its reason --------------------------------------------------------------------------


def _number(name: str, value: float | Reason) -> dict[str, Any]:
    if isinstance(value, Reason):
        return {name: None, f"{name}_reason": value.value}
    return {name: value, f"{name}_reason": None}


def _interval(name: str, value: Interval | Reason) -> dict[str, Any]:
    if isinstance(value, Reason):
        return {name: None, f"{name}_reason": value.value}
    return {name: [value.low, value.high], f"{name}_reason": None}


def _method(value: Interval | Reason) -> str | None:
    return value.method if isinstance(value, Interval) else None
