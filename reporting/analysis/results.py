"""The results of a pipeline: two result files and three tables.

`build_results` puts the statistics of `stats` under the names that programs outside the project read
(`reporting/schemas/` describes each). It reads and writes no files. Charts and documents are made from what it returns,
never from records.

An undefined number is null, with its reason in `<name>_reason` (codes of `stats.reasons`). No number is NaN or
infinite. The same input gives the same output, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from conf.schema.verdicts import Statistics
from reporting.analysis.answer_style import answer_styles
from reporting.analysis.categories import category_rows
from reporting.analysis.cells import findings_of
from reporting.analysis.comparisons import Comparisons, compare
from reporting.analysis.draws import SEED
from reporting.analysis.early import Stop, Stops, by_arm_and_benchmark, savings, uneven_notices
from reporting.analysis.fields import Json
from reporting.analysis.grids import grid_rows
from reporting.analysis.item_categories import item_category_rows
from reporting.analysis.judging import judging_rows
from reporting.analysis.looks import Histories
from reporting.analysis.performance import performance_rows
from reporting.analysis.result_rows import checked, primary_row, result_rows
from reporting.analysis.rules import margin_names, rule_changes
from reporting.analysis.scored_arms import ScoredArms, scored_arms, within_scales
from reporting.analysis.scores import (
    Scored,
    by_verdict_score,
    other_rows,
    other_scores,
    with_answers,
    with_verdict_scores,
)
from reporting.analysis.style_models import shifts_across_models
from reporting.analysis.style_rows import style_rows
from reporting.analysis.verdicts import verdict_rows
from reporting.frames import RECORD_SCHEMA, STYLE_SCHEMA
from reporting.notices import codes_of
from stats import bootstrap, permutation
from stats.intervals import CONFIDENCE
from stats.power import POWER
from stats.reduce import with_value

SCHEMA_VERSION = 1

ANSWER_COLUMNS = ["arm", "benchmark", "item_id", "seed", "outcome", "score", "reason", "text", "answer"]
ANSWER_COLUMNS += ["finish_reason", "completion_tokens", "earlier_texts", "earlier_cuts", "thoughts", "thought_tokens"]


@dataclass(frozen=True)
class Results:
    """The results of a pipeline."""

    comparison: Json
    """Content of `quantization_comparison.json`."""
    analysis: Json
    """Content of `statistical_analysis.json`."""
    tables: dict[str, pl.DataFrame]
    """`items`, `answers` and `answer_style`, the content of `report_data/<name>.parquet`."""


def build_results(
    run: Mapping[str, Any],
    records: pl.DataFrame,
    timings: pl.DataFrame,
    statistics: Statistics | None = None,
    stopped: Sequence[Stop] = (),
    histories: Histories | None = None,
    *,
    judgements: pl.DataFrame | None = None,
    human_scores: pl.DataFrame | None = None,
) -> Results:
    """Compute all results of a pipeline.

    An item that was scored under only some of its seeds counts with the seeds it has.

    Args:
        run: the pipeline's description: models, arms, imatrices, benchmarks, settings, versions, failures,
            notices. It is copied into the comparison, with the score of each benchmark's verdict.
        records: one row per planned record (`reporting.frames.RECORD_SCHEMA`). Records that a failed block never
            wrote are included as `unscored`.
        timings: one row per finished block (`reporting.frames.TIMING_SCHEMA`).
        statistics: the margins and tiers for the verdicts; None: the default ones.
        stopped: one entry for each arm and benchmark that could end early. `records` contains nothing of the items
            after an end.
        histories: the looks before this one, by arm and benchmark. None: nothing is known of them.
        judgements: what all judges said (`JUDGEMENT_SCHEMA`); `records` has the scores of this command's jury already.
        human_scores: scores that people gave some answers (`HUMAN_SCORE_SCHEMA`).

    Raises:
        ValueError: a record belongs to no arm or benchmark of the run.
        FindingsFailed: the records of one arm on one benchmark cannot be used; one of them appears twice, say.
    """
    _check(run, records)
    settings = statistics or Statistics()
    run = with_verdict_scores(run, settings)
    stops = by_arm_and_benchmark(stopped)
    found = _findings(run, records, timings, settings, stops, histories or {})
    found.analysis["judging"] = judging_rows(run, records, judgements, human_scores, histories or {})
    styles = answer_styles(run, records)
    rows = style_rows(run, styles, stops)
    analysis = {**found.analysis, "answer_style": rows, "length_across_models": shifts_across_models(run, rows)}
    tables = {**found.tables, "answer_style": styles.select(*STYLE_SCHEMA).sort("benchmark", "arm", "item_id", "seed")}
    # Last, when the tables of the single arms are gone: this one is as long as the records.
    answers = records.select(ANSWER_COLUMNS).sort("benchmark", "arm", "item_id", "seed")
    return Results(found.comparison, analysis, {**tables, "answers": answers})


def _findings(
    run: Mapping[str, Any],
    records: pl.DataFrame,
    timings: pl.DataFrame,
    settings: Statistics,
    stops: Stops,
    histories: Histories,
) -> Results:
    """Return the results without the table of the answers."""
    main, views = _scored(run, records)
    scored = main.arms
    references = {arm["name"]: arm["reference"] for arm in run["arms"]}
    results: list[Json] = []
    for (name, benchmark), arm in scored.items():
        with findings_of(name, benchmark):
            results += result_rows(arm, scored.get((references[name], benchmark)), stops)
            own = [view.arms[name, benchmark] for view in views if (name, benchmark) in view.arms]
            results += [checked({**primary_row(one, stops.get((name, benchmark))), "primary": False}) for one in own]
    n_items = {key: arm.items.height for key, arm in scored.items()}
    by_verdict, *rest = by_verdict_score(main, views)
    others = [compare(view.run, view.arms, stops, {}) for view in rest]
    compared = with_answers(compare(by_verdict.run, by_verdict.arms, stops, histories), others)
    verdicts = verdict_rows(by_verdict.run, compared, settings)
    by_blocks, by_workload = performance_rows(run["arms"], timings)
    notices = [*run["notices"], *compared.notices, *uneven_notices(stops, n_items)]
    comparison = {
        "schema_version": SCHEMA_VERSION,
        **run,
        "arms": [
            arm | ({"performance": found} if found else {}) for arm, found in zip(run["arms"], by_workload, strict=True)
        ],
        "notices": notices,
        "notice_codes": codes_of(notices),
        "results": results,
        "categories": category_rows(run, results, scored),
        "item_categories": item_category_rows(run, records, scored, compared),
        "performance": by_blocks,
    }
    analysis = {
        "schema_version": SCHEMA_VERSION,
        "pipeline_id": run["pipeline_id"],
        "confidence": CONFIDENCE,
        "permutation": {"draws": permutation.DRAWS, "seed": SEED},
        "bootstrap": {"draws": bootstrap.DRAWS, "seed": SEED},
        "margins": settings.margins.model_dump(),
        "tiers": verdicts.tiers,
        **_rule_fields(compared),
        "power": POWER,
        "comparisons": verdicts.comparisons,
        "score_comparisons": other_rows(others, settings.margins),
        "pooled": verdicts.pooled,
        "verdicts": verdicts.arms,
        "selections": verdicts.selections,
        "out_of_order": verdicts.out_of_order,
        "factorial": grid_rows(run, compared),
        "early_stop": savings(stops),
    }
    return Results(comparison, analysis, {"items": _items_table(scored)})


def _items_table(scored: ScoredArms) -> pl.DataFrame:
    """Return the items of all arms, sorted by benchmark, arm and item."""
    return pl.concat(
        scored[arm, benchmark].items.select(
            pl.lit(arm, RECORD_SCHEMA["arm"]).alias("arm"),
            pl.lit(benchmark, RECORD_SCHEMA["benchmark"]).alias("benchmark"),
            "item_id",
            "mean",
            "n_runs",
        )
        for benchmark, arm in sorted((benchmark, arm) for arm, benchmark in scored)
    )


def _scored(run: Mapping[str, Any], records: pl.DataFrame) -> tuple[Scored, list[Scored]]:
    """Return the arms by the metrics of the benchmarks, and by the other scores."""
    values = within_scales(run, with_value(records))
    return Scored(run, scored_arms(run, values)), other_scores(run, values)


def _rule_fields(compared: Comparisons) -> Json:
    """Return whether the rules of the verdicts were fixed before the run, and how they changed; null if unknown."""
    seen = [(one, one.look) for one in compared.rows if one.look is not None]
    if not seen:
        return {"rules_fixed": None, "rule_changes": []}
    changes = rule_changes(
        (one.row["benchmark"], margin_names(one.row["metric"], one.proportion), look.history) for one, look in seen
    )
    return {"rules_fixed": not changes, "rule_changes": changes}


def _check(run: Mapping[str, Any], records: pl.DataFrame) -> None:
    for column, known in (("arm", run["arms"]), ("benchmark", run["benchmarks"])):
        unknown = set(records[column].unique()) - {entry["name"] for entry in known}
        if unknown:
            raise ValueError(f"records of {column} {', '.join(sorted(unknown))}, which the run does not name")
