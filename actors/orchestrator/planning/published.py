"""What `plan.json` and the results publish of a plan and its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from actors.orchestrator.plan import Plan
from actors.store import RunDirectory
from actors.stored_files import ArmFiles, ImatrixFiles, records_file
from conf.schema.pipeline import PipelineConfig

PLAN_SCHEMA_VERSION = 1


def relative(path: str, run: RunDirectory) -> str:
    """Return `path` as `plan.json` shows it: relative to the run directory if it is inside, else unchanged."""
    pure = PurePath(path)
    return pure.relative_to(run.root).as_posix() if pure.is_relative_to(run.root) else path


def plan_json(
    plan: Plan, run: RunDirectory, versions: Mapping[str, str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of `plan.json`: names, paths and settings, without the texts of the items."""
    return {
        "schema_version": PLAN_SCHEMA_VERSION,
        "pipeline_id": plan.pipeline_id,
        "plan_hash": plan.plan_hash,
        "models": [asdict(model) for model in plan.models],
        "imatrices": [
            {
                "mix": one.mix,
                "model": one.model,
                "file": relative(one.file, run),
                "manifest": relative(str(ImatrixFiles(one.file).manifest), run),
            }
            for one in plan.imatrices
        ],
        "artifacts": [
            {
                "arm": arm.name,
                "model": arm.model,
                "reference": arm.reference,
                "recipe": arm.recipe,
                "recipe_content": arm.order.recipe.identity if arm.order else None,
                "imatrix": arm.imatrix,
                "dequantized_from": arm.dequantized_from,
                "dir": None if arm.endpoint else relative(str(PurePath(arm.gguf_path).parent), run),
                "file": relative(arm.gguf_path, run),
                "manifest": relative(str(ArmFiles.in_own_folder(arm.gguf_path).manifest), run) if arm.order else None,
                "predicted_bytes": arm.predicted_bytes,
            }
            for arm in plan.arms
        ],
        "blocks": [
            {
                "arm": block.arm,
                "benchmark": block.benchmark,
                "seeds": list(block.seeds),
                "n_items": block.n_items,
                "file": relative(block.records_path, run),
            }
            for block in plan.blocks
        ],
        "cells": [
            {
                "id": f"{cell.arm}/{cell.benchmark}/{cell.seed}",
                "arm": cell.arm,
                "benchmark": cell.benchmark,
                "seed": cell.seed,
                "records_dir": relative(cell.records_dir, run),
                "blocks": [records_file(unit) for unit in cell.blocks],
            }
            for cell in plan.cells
        ],
        "versions": dict(versions),
        "settings": dict(settings),
    }


def settings_of(config: PipelineConfig) -> Mapping[str, object]:
    """Return the settings that the results and the plan publish."""
    dumped = config.model_dump(mode="json")
    wanted = (
        "runs",
        "seed",
        "limit",
        "sampling",
        "layout",
        "calibration",
        "lang",
        "execution",
        "imatrix",
        "statistics",
        "protection",
        "recipes",
    )
    return {key: dumped[key] for key in wanted} | {"judging": _published_judging(dumped["judging"])}


def _published_judging(judging: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the judging, with addresses that hold neither a password nor a query."""
    judges = [{**judge, "url": judge["url"] and _bare(judge["url"])} for judge in judging["judges"]]
    return {**judging, "judges": judges}


def _bare(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
