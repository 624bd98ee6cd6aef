"""Reads the records and timings of a plan's blocks as tables. `results` computes the findings from them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from actors.items import Item
from actors.json_lines import read_jsonl
from actors.orchestrator.choice_scores import choice_scores
from actors.orchestrator.early_stop import EarlyStop
from actors.orchestrator.own_files import timings
from actors.orchestrator.plan import Plan, PlannedBlock, seeds_of
from conf.files import exists
from conf.schema.pipeline import PipelineConfig
from reporting.analysis.cells import FindingsFailed, findings_of
from reporting.analysis.salvage import FINDINGS_FAILED
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA, Column, class_column


@dataclass(frozen=True)
class ReadRecords:
    """The records of a plan, and the arms and benchmarks of which some cannot be read."""

    records: pl.DataFrame
    failed: tuple[FindingsFailed, ...]


def read_records(plan: Plan, config: PipelineConfig, early: EarlyStop) -> ReadRecords:
    """Return all planned records, one row each. Those of failed blocks are `unscored`, with reason `block_failed`.

    Those of a block whose file cannot be read are `unscored`, with reason `findings_failed`. If a benchmark ended
    early, only the records of the items up to the deciding one are returned.
    """
    tables: dict[str, list[pl.DataFrame]] = {}
    failed: dict[tuple[str, str], FindingsFailed] = {}
    unneeded = early.unneeded()
    ends = {one.of_arm: early.decision(one).n_places for one in early.comparisons}
    for block in plan.blocks:
        if block.unit in unneeded:
            continue
        benchmark = plan.benchmark(block.model, block.benchmark)
        wanted = set(seeds_of(config, benchmark))
        end = ends.get((block.arm, block.benchmark))
        after = set() if end is None else {item.item_id for item in benchmark.items[end:]}
        path, own = Path(block.records_path), tables.setdefault(block.benchmark, [])
        # One table per block: rows of Python objects take seven times the memory of a table.
        try:
            with findings_of(block.arm, block.benchmark):
                found = read_jsonl(path) if exists(path) else _unscored(plan, block, "block_failed")
                own.append(_table_of_block(plan, block, found, wanted, after))
        except FindingsFailed as error:
            why = f"{path} cannot be read ({error.why}). Delete it, and run the same command again"
            failed[block.arm, block.benchmark] = FindingsFailed(block.arm, block.benchmark, why)
            own.append(_table_of_block(plan, block, _unscored(plan, block, FINDINGS_FAILED), wanted, after))
    return ReadRecords(joined_records(tables.values()), tuple(failed.values()))


def joined_records(tables: Iterable[Sequence[pl.DataFrame]]) -> pl.DataFrame:
    """Return one table of records from the tables of all blocks, one sequence per benchmark.

    A column that a benchmark does not have takes no memory: polars fills it with nulls, which it never writes.
    """
    of_benchmarks = [pl.concat(own, how="diagonal", rechunk=True) for own in tables]
    return pl.concat([table_of([], RECORD_SCHEMA), *of_benchmarks], how="diagonal", rechunk=False)


def _table_of_block(
    plan: Plan, block: PlannedBlock, found: Sequence[Mapping[str, Any]], wanted: Container[int], after: Container[str]
) -> pl.DataFrame:
    """Return the records of a block under the wanted seeds, without those of the items in `after`.

    The table has only the columns that have a value: most of the schema belongs to other kinds of benchmarks.
    """
    items = {item.item_id: item for item in _items_of(plan, block)}
    rows = [
        {
            "arm": block.arm,
            "benchmark": block.benchmark,
            "cluster": items[record["item_id"]].cluster if record["item_id"] in items else None,
            "item_category": _category_of(items.get(record["item_id"])),
            **record,
            **_class_columns(record),
            **choice_scores(record, items.get(record["item_id"])),
        }
        for record in found
        if record["seed"] in wanted and record["item_id"] not in after
    ]
    known = {name: kind for name, kind in RECORD_SCHEMA.items() if any(row.get(name) is not None for row in rows)}
    return table_of(rows, known)


def _category_of(item: Item | None) -> str | None:
    """Return the category of an item within its benchmark, which only judged items name."""
    return item.target["category"] if item is not None and isinstance(item.target, dict) else None


def _class_columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sums of each class of tokens of a record, by column."""
    classes = record.get("token_classes") or {}
    return {class_column(label, name): value for label, sums in classes.items() for name, value in sums.items()}


def _items_of(plan: Plan, block: PlannedBlock) -> tuple[Item, ...]:
    return plan.benchmark(block.model, block.benchmark).items[block.first : block.first + block.n_items]


def _unscored(plan: Plan, block: PlannedBlock, reason: str) -> list[dict[str, Any]]:
    """Return the records that stand for a block without usable ones."""
    return [
        {
            "item_id": item.item_id,
            "seed": seed,
            "prompt_hash": item.prompt_hash,
            "outcome": "unscored",
            "reason": reason,
        }
        for item in _items_of(plan, block)
        for seed in block.seeds
    ]


def read_timings(plan: Plan) -> pl.DataFrame:
    """Return how long each finished block took, one row per line of its timings file."""
    rows: list[dict[str, Any]] = []
    for block in plan.blocks:
        name = Path(block.records_path).stem
        lines = timings(block.records_path)
        rows += [{"arm": block.arm, "benchmark": block.benchmark, "block": name, **line} for line in lines]
    return table_of(rows, TIMING_SCHEMA)


def table_of(rows: Sequence[Mapping[str, Any]], schema: Mapping[str, Column]) -> pl.DataFrame:
    """Return a table with exactly the columns of the schema. What a row does not have is null."""
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=dict(schema))
