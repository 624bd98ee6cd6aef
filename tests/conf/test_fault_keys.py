"""Every key of a fault is spelled as the user writes it: a flag, a configuration key or an environment variable."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from conf.flags import FLAGS, spelled
from conf.schema import PipelineConfig
from jobs import collect_imatrix, document, evaluate, pipeline, quantize, visualize

ROOT = Path(__file__).parents[2]
PARSERS = (
    pipeline.parser(),
    collect_imatrix.parser(),
    quantize.parser(),
    evaluate.parser(),
    visualize.parser(),
    document.parser(),
)
OTHER_KEYS = {"memory", "Pango (system library)", "RAY_ADDRESS", "MLFLOW_TRACKING_URI", "QUANT_ASSAY_CACHE"}
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
