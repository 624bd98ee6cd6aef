"""Writes the two result files, and the tables beside them, from the records of a plan's blocks.

Only blocks that the plan names are read. If a block failed, its planned records are added as unscored, so that they are
counted and shown. If the findings of one arm on one benchmark fail, they are reported as failed and the others are
written. The arithmetic is in `reporting.analysis.results` and `stats`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from actors.orchestrator.early_stop import read_early_stop
from actors.orchestrator.human_answers import human_scores_of
from actors.orchestrator.ignored_thinking import ignored_thinking
from actors.orchestrator.judgements import (
    earlier_judge_notices,
    juries_of,
    read_judgements,
    unreadable_notices,
    with_judges,
)
from actors.orchestrator.looks import note_looks, read_looks
from actors.orchestrator.own_files import losses
from actors.orchestrator.plan import Plan
from actors.orchestrator.questions import languages_of_questions, questions_of
from actors.orchestrator.records import read_records, read_timings, table_of
from actors.orchestrator.run_facts import describe_run
from actors.orchestrator.schedule import Failure
from actors.quantization.imatrix_file import read_imatrix
from actors.quantization.imatrix_statistics import statistics_of
from actors.store import RunDirectory
from actors.stored_files import ArmFiles
from conf.custom_benchmarks import WHOLE
from conf.faults import BadInput, Fault
from conf.files import atomic_path, exists, remove, write_json
from conf.schema.pipeline import PipelineConfig
from reporting.analysis.judged import with_judgements
from reporting.analysis.salvage import PHASE, salvage_results, unit_of
from reporting.frames import IMPORTANCE_SCHEMA, LOSS_SCHEMA, RECORD_SCHEMA, TIMING_SCHEMA
from reporting.validate import InvalidDocument

ROWS_READ_AT_ONCE = 5000
"""Rows that a table holds together: who reads a part of a table of answers must not read all of their texts."""


@dataclass(frozen=True)
class WrittenResults:
    """The files of the results, the findings that could not be computed, and notices that only the records tell."""

    paths: tuple[str, ...]
    failures: tuple[Failure, ...]
    notices: tuple[str, ...]


def write_results(
    plan: Plan,
    run: RunDirectory,
    config: PipelineConfig,
    description: Mapping[str, Any],
    failures: Sequence[Failure],
    notices: Sequence[str],
    over_limit: Collection[str] = (),
) -> WrittenResults:
    """Write both JSON files and the tables beside them, the comparison last.

    `over_limit`: the units whose answers were not judged because the limit of calls was reached.
    """
    known = read_looks(plan, config, run)
    early = read_early_stop(plan, config, {failure.unit for failure in failures})
    read = read_records(plan, config, early)
    judgements = read_judgements(plan, config, run, over_limit)
    records = with_judgements(read.records, judgements, juries_of(plan))
    of_judges = (
        *unreadable_notices(plan, judgements),
        *earlier_judge_notices(plan, run, read.records, judgements),
    )
    found = (*known.notices, *of_judges, *ignored_thinking(plan, records))
    found = tuple(notice for notice in found if notice not in notices)
    facts = describe_run(plan, config, description, failures, (*notices, *found))
    spoken = languages_of_questions(plan)
    facts["benchmarks"] = [
        with_judges(_with_items_of_function(one, records), plan, judgements) | {"language": spoken.get(one["name"])}
        for one in facts["benchmarks"]
    ]
    salvaged = salvage_results(
        facts,
        records,
        read_timings(plan),
        config.statistics,
        early.stops(),
        read.failed,
        known.histories,
        judgements=judgements,
        human_scores=human_scores_of(plan, config),
    )
    results = salvaged.results
    beside = {"importance": read_importance(plan), "losses": read_losses(plan), "questions": questions_of(plan)}
    if judgements.height:
        beside["judgements"] = judgements
    else:
        remove(run.table("judgements"))  # of an earlier command, whose judges nobody asks any more
    # Before the results can be seen: a job that is killed in between must not hide a look.
    note_looks(plan, config, run, results.analysis["comparisons"])
    written = []
    for name, table in {**results.tables, **beside}.items():
        path = run.table(name)
        with atomic_path(path) as temporary:
            # Categories become texts piece by piece: a whole table of texts would take as much memory again.
            frame = table.lazy().cast({pl.Categorical: pl.String})
            frame.sink_parquet(temporary, row_group_size=ROWS_READ_AT_ONCE)
        written.append(str(path))
    write_json(run.analysis, results.analysis)
    write_json(run.comparison, results.comparison)
    failed = (Failure(unit_of(one), PHASE, one.arm, one.benchmark, 1, str(one), ()) for one in salvaged.failed)
    return WrittenResults((*written, str(run.analysis), str(run.comparison)), tuple(failed), found)


def read_importance(plan: Plan) -> pl.DataFrame:
    """Return statistics of each tensor in the importance matrices that arms were made with, collected or given."""
    paths: dict[str, Path] = {}
    for arm in plan.arms:
        if arm.order is not None and arm.order.imatrix_path is not None:
            name = f"{arm.model}~{arm.imatrix}" if len(plan.models) > 1 else str(arm.imatrix)
            paths[name] = Path(arm.order.imatrix_path)
    rows = [
        {"matrix": name, **asdict(figures)}
        for name, path in paths.items()
        if exists(path)
        for figures in statistics_of(read_imatrix(path).entries)
    ]
    return table_of(rows, IMPORTANCE_SCHEMA)


def read_losses(plan: Plan) -> pl.DataFrame:
    """Return the quantization error of each tensor of all arms made here.

    Arms that were made before these errors were kept have no rows.
    """
    paths = {arm.name: ArmFiles.in_own_folder(arm.gguf_path).losses for arm in plan.arms if arm.order is not None}
    rows = [{"arm": name, **row} for name, path in paths.items() for row in losses(path) or ()]
    return table_of(rows, LOSS_SCHEMA)


def check_results(plan: Plan, config: PipelineConfig, description: Mapping[str, Any]) -> None:
    """Try before the start what else could only fail at the end: put the plan into the result files, without records.

    Raises:
        BadInput: a value of the plan does not match the schemas of these files.
    """
    facts = describe_run(plan, config, description, (), plan.notices)
    no_records, no_timings = table_of([], RECORD_SCHEMA), table_of([], TIMING_SCHEMA)
    try:
        salvage_results(facts, no_records, no_timings, config.statistics)
    except InvalidDocument as error:
        raise BadInput(
            [Fault(f"{error.kind}.json", fault, "values that the result files can hold") for fault in error.faults]
        ) from error


def _with_items_of_function(described: dict[str, Any], records: pl.DataFrame) -> dict[str, Any]:
    """Return a benchmark with the number of items that its function scored, which no plan can know."""
    if described["kind"] != "function":
        return described
    own = set(records.filter(pl.col("benchmark") == described["name"])["item_id"].cast(pl.String).unique())
    n_items = len(own - {WHOLE}) or described["n_items"]
    return {**described, "n_items": n_items, "n_items_total": n_items}
