"""The driver's own files in a run directory: configuration and plan at the start, the manifest at the end.

Also whether an earlier start of the same pipeline has finished it.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from actors.hashing import file_sha256
from actors.nodes import Nodes, build_of
from actors.orchestrator.actor import Ending
from actors.orchestrator.done import write_meta
from actors.orchestrator.looks import note_begun
from actors.orchestrator.plan import Plan
from actors.orchestrator.planning.published import plan_json, settings_of
from actors.store import RunDirectory
from conf import VERSION
from conf.files import exists, is_file, read_object, remove, write_json, write_text
from conf.load import dump_yaml
from conf.schema.pipeline import PipelineConfig
from conf.yaml_files import read_yaml
from jobs._request import Request
from reporting.documents.requirements import read_methodology
from reporting.file_names import in_languages

VERSIONED_PACKAGES = ("ray", "mlflow", "numpy", "scipy", "polars", "altair", "vl-convert-python", "weasyprint", "gguf")


def versions(nodes: Nodes) -> dict[str, str]:
    """Return the versions of everything that results depend on. Those of llama.cpp are of where the work runs."""
    packages = {name.replace("-", "_"): metadata.version(name) for name in VERSIONED_PACKAGES}
    return {"quant_assay": VERSION, "python": platform.python_version(), **build_of(nodes.usable, None), **packages}


def write_start(request: Request, plan: Plan, run: RunDirectory) -> None:
    """Write the configuration, the plan and the keys of the records, before any work."""
    remove(run.manifest)
    write_text(run.config, dump_yaml(request.config))
    write_json(run.plan, plan_json(plan, run, versions(plan.nodes), settings_of(request.config)))
    for directory in plan.directories:
        write_meta(directory)
    note_begun(plan, request.config, run)


def write_manifest(plan: Plan, run: RunDirectory, failures: tuple[Mapping[str, Any], ...], outcome: Ending) -> None:
    """Write the manifest. It is written last and marks the pipeline as done."""
    write_json(
        run.manifest,
        {
            "schema_version": 1,
            "pipeline_id": plan.pipeline_id,
            "plan_hash": plan.plan_hash,
            "state": "failed" if failures else "done",
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": versions(plan.nodes),
            "files": sorted(str(Path(path).relative_to(run.root)) for path in outcome.files),
            "sha256": {str(path.relative_to(run.root)): file_sha256(path) for path in _data_files(run)},
            "failures": [dict(failure) for failure in failures],
            "notices": list(outcome.notices),
            "spared": list(outcome.spared),
        },
    )


def is_finished(plan: Plan, run: RunDirectory, done: frozenset[str], request: Request) -> bool:
    """Return True if the same plan has been carried out completely, and all of its files are still as they were.

    Of charts and documents, which people may edit, only the existence counts.
    """
    manifest = _manifest(run)
    if manifest is None or manifest["state"] != "done" or manifest["plan_hash"] != plan.plan_hash:
        return False
    needed = {arm.unit for arm in plan.arms if arm.unit} | {block.unit for block in plan.blocks}
    needed |= {one.unit for one in plan.judgings}
    if request.only_judging:
        needed &= {one.unit for one in plan.judgings if one.block in done}
    if not needed - set(manifest["spared"]) <= done or (read_object(run.progress) or {}).get("state") != "done":
        return False
    if not all(is_file(run.root / name) for name in (*manifest["files"], *manifest["sha256"])):
        return False
    if any(file_sha256(run.root / name) != sha256 for name, sha256 in manifest["sha256"].items()):
        return False
    scorecards = in_languages(run.scorecard, request.config.lang)
    written = all(is_file(path) for path in scorecards) and _has_methodology(run, request.config)
    return written or not request.make_documents


def _manifest(run: RunDirectory) -> dict[str, Any] | None:
    """Return the manifest of an earlier start; None if it is missing or damaged, or from a version without hashes."""
    manifest = read_object(run.manifest)
    if manifest is None or not isinstance(manifest.get("sha256"), dict):
        return None
    names = (manifest.get("files"), manifest.get("spared"), list(manifest["sha256"].values()))
    whole = all(isinstance(one, list) and all(isinstance(name, str) for name in one) for one in names)
    return manifest if whole and {"state", "plan_hash"} <= manifest.keys() else None


def _data_files(run: RunDirectory) -> list[Path]:
    """Return the files of a finished run that programs read, and nobody edits."""
    files = (run.config, run.plan, run.failures, run.comparison, run.analysis, run.all_answers)
    return [*(path for path in files if is_file(path)), *run.tables()]


def _has_methodology(run: RunDirectory, config: PipelineConfig) -> bool:
    """Return True if the documents were written with the methodology that is wanted now."""
    written = in_languages(run.methodology, config.lang)
    if not (exists(run.config) and all(exists(path) for path in written)):
        return False
    before = read_yaml(run.config, key=str(run.config)).get("methodology")
    if config.methodology is None or before is None:
        return before is None and config.methodology is None
    own = read_methodology(config.methodology).encode()
    return all(path.read_bytes() == own for path in written)
