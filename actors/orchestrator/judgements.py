"""Reads what judges said about the answers of a plan, and describes the jury of each benchmark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from actors.judging.answers import answers_of
from actors.judging.judge import missing_judgements
from actors.judging.orders import JUDGE_PROMPT_VERSION
from actors.orchestrator.own_files import judgements
from actors.orchestrator.plan import Plan, PlannedBlock, PlannedJudging, seeds_of
from actors.orchestrator.planning.judgings import judge_order
from actors.orchestrator.records import table_of
from actors.store import RunDirectory
from actors.stored_files import JudgementsFolder, RecordsFolder
from conf.files import exists
from conf.schema.pipeline import PipelineConfig
from reporting.frames import JUDGEMENT_SCHEMA
from reporting.judging_reasons import CALL_LIMIT, CUT_WHILE_THINKING, JUDGE_FAILED, NO_JUDGE, UNREADABLE
from reporting.notices import Notice

Row = Mapping[str, Any]
FEW_UNREADABLE = 0.05
"""Share of verdicts that cannot be read up to which nothing is said: a judge may fail at single answers."""


def juries_of(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return the names of the judges of each benchmark that is judged now."""
    juries: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for one in plan.judgings:
        juries[one.benchmark][one.judge.name] = None
    return {benchmark: tuple(judges) for benchmark, judges in juries.items()}


def read_judgements(plan: Plan, config: PipelineConfig, run: RunDirectory, over_limit: Collection[str]) -> pl.DataFrame:
    """Return what all judges said about the answers of a plan, also judges of earlier commands.

    A judge of the jury has its own name. One of an earlier command has a hash behind its name, if another judge of the
    same benchmark has the same name: it then asked with other settings. A judge that had another name with the same
    model and settings is the same judge, and is not named again. Where a judge of the jury has not finished a block,
    each verdict has a row without a score, also if the judge has given some of them.

    Args:
        plan: the plan.
        config: its configuration.
        run: the run directory.
        over_limit: units that were not finished because the limit of calls was reached.
    """
    names = _names(plan, run)
    planned = {(one.block, one.output_path): one for one in plan.judgings}
    tables = []
    for block in _judged_blocks(plan):
        seeds = set(seeds_of(config, plan.benchmark(block.model, block.benchmark)))
        missing = {path: one for (unit, path), one in planned.items() if unit == block.unit}
        rows: list[Row] = []
        for folder in run.all_judgements(RecordsFolder.of(block.records_path)):
            path, judge = str(folder.file(block.records_path)), names.get((block.benchmark, folder.judge))
            said = judgements(path) if judge is not None else None
            if said is not None:
                missing.pop(path, None)
                rows += [{**one, "judge": judge} for one in said]
        for one in missing.values():
            rows += _unfinished(plan, block, one, CALL_LIMIT if one.unit in over_limit else JUDGE_FAILED)
        own = [{**row, "arm": block.arm, "benchmark": block.benchmark} for row in rows if row["seed"] in seeds]
        tables.append(table_of(own, JUDGEMENT_SCHEMA))
    return pl.concat([table_of([], JUDGEMENT_SCHEMA), *tables])


def _judged_blocks(plan: Plan) -> Iterator[PlannedBlock]:
    for block in plan.blocks:
        if plan.benchmark(block.model, block.benchmark).spec.rubrics and exists(block.records_path):
            yield block


def _names(plan: Plan, run: RunDirectory) -> dict[tuple[str, str], str]:
    """Return the name of each judge in the results, by benchmark and the name of its folder.

    Of folders with the same hash only one has a name, that of the jury if it is among them.
    """
    jury = {(one.benchmark, JudgementsFolder.of(one.output_path).judge): one.judge.name for one in plan.judgings}
    found = {
        (block.benchmark, folder.judge)
        for block in _judged_blocks(plan)
        for folder in run.all_judgements(RecordsFolder.of(block.records_path))
    }
    one_by_hash = {(benchmark, folder.rpartition("-")[2]): folder for benchmark, folder in (*sorted(found), *jury)}
    kept = {(benchmark, folder) for (benchmark, _), folder in one_by_hash.items()}
    names = dict(jury)
    for benchmark, folder in sorted(kept - jury.keys()):
        name = folder.rpartition("-")[0]
        taken = [one for one in kept if one[0] == benchmark and one[1].rpartition("-")[0] == name]
        names[benchmark, folder] = name if len(taken) == 1 else folder
    return names


def _unfinished(plan: Plan, block: PlannedBlock, judging: PlannedJudging, reason: str) -> list[Row]:
    """Return a row with the reason for each verdict of a block that a judge has not finished."""
    order = judge_order(judging, block, plan, calls_left=0)
    try:
        answers = answers_of(order)
    except (OSError, ValueError, TypeError):  # `records` tells that they are damaged
        return []
    return [asdict(one) for one in missing_judgements(order, answers, reason)]


def unreadable_notices(plan: Plan, said: pl.DataFrame) -> list[Notice]:
    """Return one notice for each judge of a jury of whose verdicts many cannot be read, by benchmark."""
    notices = []
    for benchmark, judges in juries_of(plan).items():
        for judge in judges:
            own = said.filter((pl.col("benchmark") == benchmark) & (pl.col("judge") == judge))
            unreadable = own.filter(pl.col("reason") == UNREADABLE).height
            asked = unreadable + own.filter(pl.col("score").is_not_null() & pl.col("reason").is_null()).height
            if unreadable > asked * FEW_UNREADABLE:
                notices.append(
                    Notice(
                        "unreadable_verdicts", judge=judge, benchmark=benchmark, n_unreadable=unreadable, n_asked=asked
                    )
                )
    return notices


def earlier_judge_notices(plan: Plan, run: RunDirectory, records: pl.DataFrame, said: pl.DataFrame) -> list[Notice]:
    """Return one notice for each judge of an earlier command that has judged a part of a benchmark's answers.

    Those that have finished no block have one notice together: there may be many, after attempts that failed.

    Args:
        plan: the plan.
        run: the run directory.
        records: the records, before they get the scores of the jury.
        said: the judgements.
    """
    jury = {(benchmark, judge) for benchmark, judges in juries_of(plan).items() for judge in judges}
    answers = records.filter(pl.col("reason").cast(pl.String).is_in([NO_JUDGE, CUT_WHILE_THINKING]))
    known = dict.fromkeys((benchmark, judge) for (benchmark, _), judge in _names(plan, run).items())
    notices, without_blocks = [], set[str]()
    for benchmark, judge in known.keys() - jury:
        n_answers = answers.filter(pl.col("benchmark") == benchmark).height
        own = said.filter((pl.col("benchmark") == benchmark) & (pl.col("judge") == judge))
        n_judged = own.select("arm", "item_id", "seed").n_unique()
        if n_answers and not n_judged:
            without_blocks.add(judge)
        elif n_judged < n_answers:
            notices.append(
                Notice("earlier_judge", judge=judge, benchmark=benchmark, n_judged=n_judged, n_answers=n_answers)
            )
    if without_blocks:
        notices.append(Notice("earlier_judges_without_blocks", judges=sorted(without_blocks)))
    return sorted(notices)


def with_judges(described: Mapping[str, Any], plan: Plan, said: pl.DataFrame) -> dict[str, Any]:
    """Return the description of a benchmark with its jury; of one that is not judged, without any.

    Args:
        described: the benchmark in `quantization_comparison.json`.
        plan: the plan.
        said: the judgements.
    """
    name = described["name"]
    if not any(one.name == name and one.spec.rubrics for own in plan.benchmarks.values() for one in own):
        return dict(described)
    jury = {one.judge.name: one for one in plan.judgings if one.benchmark == name}
    if not jury:
        return {**described, "judges": None, "judges_reason": NO_JUDGE}
    own = said.filter(pl.col("benchmark") == name)
    judges = [_describe_judge(one, own.filter(pl.col("judge") == judge)) for judge, one in jury.items()]
    return {**described, "judges": judges, "judges_reason": None}


def _describe_judge(planned: PlannedJudging, said: pl.DataFrame) -> dict[str, Any]:
    judge, rules = planned.judge, planned.rules
    return {
        "name": judge.name,
        "model": _all_of(said, "model"),
        "requested": judge.endpoint.model if judge.endpoint else judge.gguf_path,
        "fingerprint": _all_of(said, "fingerprint"),
        "host": urlsplit(judge.endpoint.url).netloc if judge.endpoint else None,
        "sha256": judge.gguf_sha256,
        "temperature": rules.temperature,
        "repeats": rules.repeats,
        "rubric": rules.rubric,
        "prompt_version": JUDGE_PROMPT_VERSION,
    }


def _all_of(said: pl.DataFrame, column: str) -> str | None:
    """Return what a judge reported, each different value once: a server may change its model during a run."""
    values: Sequence[str] = said[column].drop_nulls().cast(pl.String).unique().sort().to_list()
    return ", ".join(values) or None
