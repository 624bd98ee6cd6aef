"""Reads what finished work has written. A damaged file counts as missing, so that the work is done again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from actors.json_lines import is_whole_jsonl, read_jsonl
from actors.judging.rubrics import RUBRICS
from actors.stored_files import ArmFiles, ImatrixFiles, timings_path
from conf.files import exists, read_json, read_object
from reporting.analysis.performance import workload_is_readable
from reporting.frames import JUDGEMENT_SCHEMA, LOSS_SCHEMA, TIMING_SCHEMA, Column
from reporting.validate import fits_entry

_OF_ARM = {
    "size_bytes": "size_bytes",
    "bits_per_weight": "bits_per_weight",
    "sha256": "sha256",
    "fallbacks": "fallbacks",
    "budget": "budget",
    "types": "types",
    "seconds": "quantize_seconds",
}
"""Fields of an arm's manifest that are in the results, with their names there."""
OF_MATRIX = (
    *("sha256", "n_tokens", "n_chunks", "ctx", "group_chunks", "rules", "texts", "n_tensors"),
    *("tokens_per_second", "seconds", "n_processes"),
)
"""Fields of a matrix's manifest that are in the results."""
_SCORES = {score for variants in RUBRICS.values() for rubric in variants.values() for score in rubric.scores}
_UNREADABLE = (OSError, ValueError, TypeError, RecursionError, AttributeError, pl.exceptions.PolarsError)


def arm_manifest(files: ArmFiles) -> Mapping[str, Any] | None:
    """Return the manifest of a finished arm; None if it, or the list of the arm's errors, is missing or damaged."""
    manifest = read_object(files.manifest) if files.are_complete() else None
    if manifest is None or (exists(files.losses) and losses(files.losses) is None):
        return None
    facts = {name: manifest.get(field) for field, name in _OF_ARM.items()}
    return manifest if fits_entry("quantization_comparison", "arms", facts) else None


def matrix_manifest(files: ImatrixFiles) -> Mapping[str, Any] | None:
    """Return the manifest of a finished matrix; None if it is missing or damaged."""
    manifest = read_object(files.manifest) if files.are_complete() else None
    if manifest is None or not manifest.keys() >= set(OF_MATRIX):
        return None
    facts = {name: manifest[name] for name in OF_MATRIX}
    return manifest if fits_entry("quantization_comparison", "imatrices", facts) else None


def performance(path: str | Path) -> Mapping[str, Any] | None:
    """Return an arm's speed and memory; None if they were not measured, or their file is damaged."""
    found = read_object(path)
    return found if workload_is_readable(found) else None


def losses(path: Path) -> Sequence[Mapping[str, Any]] | None:
    """Return the errors of an arm's tensors, one row each; None if their file is missing or damaged."""
    try:
        rows = read_json(path)
        _check_rows(rows, LOSS_SCHEMA)
    except _UNREADABLE:
        return None
    return [*rows]


def timings(records_path: str | Path) -> Sequence[Mapping[str, Any]]:
    """Return how long a block took, one row per line; nothing if the file is missing or damaged."""
    try:
        rows = read_jsonl(timings_path(records_path))
        _check_rows(rows, TIMING_SCHEMA)
    except _UNREADABLE:
        return []
    return rows


def judgements(path: str | Path) -> Sequence[Mapping[str, Any]] | None:
    """Return what a judge said about a block, one row per judgement; None if the file is missing or damaged."""
    schema = {name: kind for name, kind in JUDGEMENT_SCHEMA.items() if name not in ("arm", "benchmark")}
    try:
        # An empty file says that the block has no answer to judge.
        rows = read_jsonl(path) if is_whole_jsonl(path) or not os.path.getsize(path) else None
        _check_rows(rows, schema)
        return rows if all(schema.keys() <= row.keys() for row in rows or ()) and _are_possible(rows or ()) else None
    except _UNREADABLE:
        return None


def _are_possible(judgements: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether these can be judgements: with scores on the scale of some rubric, and none said twice."""
    places = [(one["item_id"], one["seed"], one["turn"], one["repeat"]) for one in judgements]
    scores = [one["score"] for one in judgements if one["score"] is not None]
    return (
        all(None not in place and min(place[2:]) >= 0 for place in places)
        and len(set(places)) == len(places)
        and all(score in _SCORES for score in scores)
    )


def _check_rows(rows: Any, schema: Mapping[str, Column]) -> None:
    """Raise one of `_UNREADABLE` unless these are rows of a table."""
    if not isinstance(rows, list):
        raise TypeError("a list of rows")
    pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=dict(schema))
