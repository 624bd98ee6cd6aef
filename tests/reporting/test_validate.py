"""The published schemas: they are valid, every field has a description, and wrong values are refused."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from reporting.analysis.results import Results, build_results
from reporting.validate import SCHEMAS, InvalidDocument, validate
from stats.reasons import Reason
from stats.verdict import Ground
from tests.reporting.sample_run import sample_run

FILES = sorted(SCHEMAS.glob("*.schema.json"))
PROGRESS: dict[str, Any] = {
    "schema_version": 1,
    "pipeline_id": "demo",
    "state": "running",
    "phase": "evaluate",
    "done": 3,
    "total": 12,
    "cells_done": 1,
    "cells_total": 6,
    "percent": 25.0,
    "tokens_per_second": None,
    "elapsed_s": 12.5,
    "seconds_left": 40.0,
    "cpu_percent": 180.0,
    "memory_bytes": 1_000_000,
    "process_id": 4000,
    "workers": 2,
    "failures": [{"unit": "gsm8k.q4_k_m", "error": "LlamaError: no room"}],
    "notices": [],
    "updated_at": "2025-11-22T04:30:00+00:00",
}
RECORD: dict[str, Any] = {
    "item_id": "gsm8k-0001",
    "seed": 0,
    "prompt_hash": "ab",
    "rendered_hash": None,
    "outcome": "correct",
    "score": 1.0,
    "reason": None,
    "text": "#### 4",
    "answer": "4",
    "prompt_tokens": 80,
    "completion_tokens": 4,
    "finish_reason": "stop",
    "choice_logliks": None,
    "nll_sum": None,
    "n_tokens": None,
}


@pytest.fixture(scope="module")
def results() -> Results:
    return build_results(*sample_run())


def _fields(schema: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        for name, field in schema.get("properties", {}).items():
            yield f"{path}.{name}", field
        for key, part in schema.items():
            if key not in ("if", "then", "allOf"):
                yield from _fields(part, f"{path}.{key}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_schema_is_valid_and_describes_every_field(path: Path) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    fields = list(_fields(schema))
    assert fields
    assert [name for name, field in fields if not field.get("description")] == []


def test_the_sample_results_are_valid(results: Results) -> None:
    validate("quantization_comparison", results.comparison)
    validate("statistical_analysis", results.analysis)


@pytest.mark.parametrize("name", ["quantization_comparison", "statistical_analysis"])
def test_the_schemas_know_every_reason(name: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert schema["$defs"]["reason"]["enum"] == [reason.value for reason in Reason]


def test_the_schema_knows_every_ground_of_a_verdict() -> None:
    schema = json.loads((SCHEMAS / "statistical_analysis.schema.json").read_text(encoding="utf-8"))
    assert schema["$defs"]["ground"]["enum"] == [ground.value for ground in Ground]
    assert json.dumps(schema).count("#/$defs/ground") == 3


def test_a_fault_is_named_by_its_path(results: Results) -> None:
    bad = copy.deepcopy(results.comparison)
    bad["results"][3]["ci95"] = [0.5]
    del bad["arms"][0]["size_bytes"]
    bad["results"][0]["mean"] = float("nan")
    with pytest.raises(InvalidDocument) as caught:
        validate("quantization_comparison", bad)
    text = str(caught.value)
    for path in ("$.results[3].ci95", "$.arms[0]: 'size_bytes'", "$.results[0].mean: nan"):
        assert path in text


def test_a_fault_in_a_large_object_stays_readable() -> None:
    with pytest.raises(InvalidDocument) as caught:
        validate("statistical_analysis", ["x" * 10_000])
    assert len(str(caught.value)) < 500


def test_the_error_survives_pickling() -> None:
    error = InvalidDocument("progress", ("$.done: 'x' is not of type 'integer'",))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.faults) == (str(error), error.faults)


def test_progress_is_checked() -> None:
    validate("progress", PROGRESS)
    with pytest.raises(InvalidDocument, match=r"\$\.phase"):
        validate("progress", PROGRESS | {"phase": "sleeping"})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"outcome": "unscored", "score": None, "reason": "context_too_long"},
        {"outcome": "measured", "score": None, "nll_sum": 640.2, "n_tokens": 256},
    ],
)
def test_a_record_of_each_outcome_is_valid(fields: dict[str, Any]) -> None:
    validate("record", RECORD | fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"score": None},
        {"outcome": "unscored", "score": None},
        {"outcome": "unscored", "reason": "engine", "score": 0.0},
        {"outcome": "measured", "score": None, "nll_sum": None},
        {"outcome": "right"},
    ],
)
def test_a_record_that_contradicts_its_outcome_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidDocument):
        validate("record", RECORD | fields)
