"""Every key of a fault is spelled as the user writes it: a flag, a configuration key or an environment variable."""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from pydantic import BaseModel

from conf.faults import BadInput, Fault
from conf.flags import FLAGS, spelled
from conf.schema.pipeline import PipelineConfig
from jobs import collect_imatrix, document, evaluate, judge, pipeline, quantize, visualize, watch
from jobs._arguments import fail

ROOT = Path(__file__).parents[2]
PARSERS = (
    pipeline.parser(),
    collect_imatrix.parser(),
    quantize.parser(),
    evaluate.parser(),
    judge.parser(),
    visualize.parser(),
    document.parser(),
    watch.parser(),
)
OTHER_KEYS = {
    *("memory", "Pango (system library)", "llama.cpp", "llama-cpp-python"),
    *("RAY_ADDRESS", "MLFLOW_TRACKING_URI", "QUANT_ASSAY_CACHE"),
}
"""What can be wrong although neither a flag nor the configuration names it."""


def flags_of(parser: argparse.ArgumentParser) -> set[str]:
    return {flag for action in parser._actions for flag in action.option_strings}


def schema_keys(schema: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in schema.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from schema_keys(field.annotation, f"{prefix}{name}.")


def literal_keys(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and text of each literal that is the key of a `Fault`, or a parameter or argument called `key`."""
    for node in ast.walk(tree):
        found: list[ast.expr | None] = []
        if isinstance(node, ast.Call):
            found += node.args[:1] if isinstance(node.func, ast.Name) and node.func.id == "Fault" else []
            found += [keyword.value for keyword in node.keywords if keyword.arg == "key"]
        elif isinstance(node, ast.arguments):
            names = [argument.arg for argument in node.kwonlyargs]
            found += [default for name, default in zip(names, node.kw_defaults, strict=True) if name == "key"]
        for value in found:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.lineno, value.value


def test_literal_keys_are_flags_or_keys_of_the_schema_without_a_flag() -> None:
    keys_without_flag = set(schema_keys(PipelineConfig)) - FLAGS.keys()
    known = {flag for parser in PARSERS for flag in flags_of(parser)} | keys_without_flag | OTHER_KEYS
    seen: dict[str, str] = {}
    for folder in ("conf", "stats", "reporting", "actors", "jobs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for line, key in literal_keys(ast.parse(path.read_text(encoding="utf-8"))):
                seen[f"{path.relative_to(ROOT)}:{line}"] = key
    assert len(seen) > 40
    assert {place: key for place, key in seen.items() if key not in known} == {}


def test_the_main_job_has_every_flag_and_the_schema_every_key() -> None:
    assert set(FLAGS.values()) <= flags_of(pipeline.parser())
    assert FLAGS.keys() <= set(schema_keys(PipelineConfig))


def test_the_evaluation_job_renames_flags_that_it_does_not_have() -> None:
    own, main = flags_of(evaluate.parser()), flags_of(pipeline.parser())
    assert set(evaluate.RENAMED_FLAGS) <= main - own
    assert set(evaluate.RENAMED_FLAGS.values()) <= own


def a_file_with_every_fault(path: Path) -> Path:
    """Write a configuration in which every setting that has a flag has a value that nothing takes."""
    values: dict[str, object] = {}
    for key in FLAGS:
        *sections, name = key.split(".")
        node = values
        for section in sections:
            node = cast("dict[str, object]", node.setdefault(section, {}))
        node[name] = {"no": "such value"}
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (pipeline, ["--model", "m.gguf"]),
        (evaluate, ["--models", "m.gguf", "--output", "out"]),
        (quantize, ["--model", "m.gguf", "--output", "out"]),
        (collect_imatrix, ["--model", "m.gguf", "--output", "m-imatrix.gguf", "--weight-tokens"]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, ModuleType) else "",
)
def test_faults_in_a_file_name_no_flag_that_the_job_does_not_have(
    job: ModuleType, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = a_file_with_every_fault(tmp_path / "c.yaml")
    assert job.main([*words, "--config", str(config)]) == 2
    said = capsys.readouterr().err
    named = {word for line in said.splitlines() for word in re.findall(r"--[a-z-]+", line)}
    assert named <= flags_of(job.parser()), named
    keys = {line.partition(": got ")[0].strip(" -") for line in said.splitlines()[1:]}
    assert len(keys) > 15
    assert {"runs", "lang", "calibration.texts"} <= keys | {key for key, flag in FLAGS.items() if flag[2:] in keys}


def test_a_next_step_names_the_flags_of_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    step = "Choose another --storage, fewer --quantizations, a smaller --limit, or --arm NAME=FILE (see --help)."
    fault = BadInput(Fault("--storage", "x", "a folder with room for --model", step))
    fail(fault, evaluate.parser(), evaluate.RENAMED_FLAGS)
    said = capsys.readouterr().err.splitlines()[1]
    assert said == (
        "  - --output: got 'x'; allowed: a folder with room for --models. "
        "Choose another --output, fewer quantizations, a smaller --limit, or --models NAME=FILE (see --help)."
    )


@pytest.mark.parametrize(
    ("location", "key"),
    [
        (("runs",), "--runs"),
        (("layout", "threads"), "--threads"),
        (("models", 1, "name"), "--model"),
        (("calibration", "texts", 0), "--calibration"),
        (("statistics", "margins", "accuracy"), "statistics.margins.accuracy"),
        (("recipes", "mine", "method"), "recipes.mine.method"),
    ],
)
def test_a_setting_is_named_by_its_flag_or_else_with_dots(location: tuple[str | int, ...], key: str) -> None:
    assert spelled(location) == key
