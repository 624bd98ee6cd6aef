"""Read a run directory as the runs that MLflow shows, with their parameters, metrics and files.

This module only reads files of the run directory and does not import MLflow, so the same directory always gives the
same runs. `actors.tracking.mirror` writes them into an MLflow store.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from actors.llama.gguf_layout import part_names
from actors.store import RunDirectory
from actors.stored_files import ArmFiles, RecordsFolder, records_file
from actors.tracking.cells import cell_runs
from actors.tracking.description import LONGEST_DESCRIPTION
from actors.tracking.entities import (
    PARENT_UNIT,
    RunStatus,
    TrackedDataset,
    TrackedFile,
    TrackedPipeline,
    TrackedRun,
    tracked_file,
)
from actors.tracking.judged import read_judged_scores
from actors.tracking.outcome import Outcome, read_outcome
from actors.tracking.scalars import scalars, valid_model_name
from conf.files import exists, files_below, read_json
from conf.schema.pipeline import Language

STATUS_OF_STATE: Mapping[str, RunStatus] = {
    "running": "RUNNING",
    "done": "FINISHED",
    "failed": "FAILED",
    "stopped": "KILLED",
}
_COMPARED = {"size_bytes": "size_bytes", "bits_per_weight": "bits_per_weight", "seconds": "quantize_s"}
"""Numbers of an arm's manifest that people compare, and their names as metrics. The others become parameters."""
JUDGING_TAG = "quant_assay.settings.judging"
MODEL = "model"
"""Tag with the model's name, so that the runs of several models can be told apart and filtered."""
LONGEST_EXPERIMENT_NAME = 200
"""Characters. MLflow's databases hold 256."""
_REPORT_FOLDER = "0_report"
"""Holds the HTML reports among the artifacts: MLflow shows folders first, and sorts them by name."""

LARGEST_COPY_BYTES = 256 * 2**20
"""Larger results and documents stay in the run directory only."""


def read_pipeline(run_dir: Path, gguf_limit_bytes: int) -> TrackedPipeline:
    """Read a run directory.

    Args:
        run_dir: a pipeline's directory, with a `plan.json` in it.
        gguf_limit_bytes: GGUFs up to this size become files of their run. A larger one shows only its path and sha256.
    """
    run = RunDirectory(run_dir)
    plan = read_json(run.plan)
    status = STATUS_OF_STATE.get(_read_if_made(run.progress).get("state", "running"), "RUNNING")
    spared = frozenset(map(records_file, _read_if_made(run.manifest).get("spared", ())))
    lang = plan.get("settings", {}).get("lang")
    outcome = read_outcome(run, lang if lang in get_args(Language) else "en")
    model_of = {one["arm"]: str(one["model"]) for one in plan.get("artifacts", ())}
    cells = [
        replace(cell, notes={MODEL: model_of[cell.params["arm"]], **cell.notes})
        for cell in cell_runs(run.root, plan.get("cells", ()), status, spared, read_judged_scores(run))
    ]
    several = len(plan["models"]) > 1
    made = [
        *(
            _imatrix_run(run.root, one, status, gguf_limit_bytes, name_model=several)
            for one in plan.get("imatrices", ())
        ),
        *(_arm_run(run.root, one, status, gguf_limit_bytes, plan, outcome) for one in plan.get("artifacts", ())),
    ]
    return TrackedPipeline(
        pipeline_id=plan["pipeline_id"],
        experiment=_experiment_name([model["name"] for model in plan["models"]]),
        parent=_parent_run(run, plan, status, outcome, cells),
        children=(*(one for one in made if one is not None), *cells),
    )


# --- the pipeline -------------------------------------------------------------------------------


def _parent_run(
    run: RunDirectory, plan: Mapping[str, Any], status: RunStatus, outcome: Outcome, cells: Sequence[TrackedRun]
) -> TrackedRun:
    shown = [path for path in (run.config, run.plan, run.manifest, run.failures) if exists(path)]
    for folder in (run.results, run.charts, run.methodology.parent, run.report.parent, run.scorecard.parent):
        shown += [path for path in files_below(folder) if not path.name.startswith(".") and _is_copied(path)]
    settings = dict(plan.get("settings", {}))
    judging = settings.pop("judging", None)
    branches = {"settings": settings, **({"versions": plan["versions"]} if "versions" in plan else {})}
    ended = status != "RUNNING" and exists(run.progress)
    return TrackedRun(
        unit=PARENT_UNIT,
        name=plan["pipeline_id"],
        kind="pipeline",
        status=status,
        params={name: value for name, value in scalars(branches) if isinstance(value, str)},
        metrics=_counts(plan, cells) | outcome.pipeline_metrics(),
        files=tuple(tracked_file(path, _artifact_name(run, path)) for path in shown),
        start_ms=_mtime_ms(run.plan),
        end_ms=_mtime_ms(run.progress) if ended else None,
        parent=None,
        notes={"quant_assay.run_dir": str(run.root.absolute()), **_judging_note(judging)} | outcome.pipeline_notes(),
        datasets=outcome.datasets(),
    )


def _judging_note(judging: object) -> dict[str, str]:
    """Return how answers are judged as a tag.

    Answers may be judged again later, and MLflow can change a tag of a run, but no parameter.
    """
    return {} if judging is None else {JUDGING_TAG: json.dumps(judging, ensure_ascii=False)[:LONGEST_DESCRIPTION]}


def _is_copied(path: Path) -> bool:
    """Return whether a result or a document is small enough for a copy. Tables of very many answers are not."""
    return path.stat().st_size <= LARGEST_COPY_BYTES


def _artifact_name(run: RunDirectory, path: Path) -> str:
    """Return a file's place among the artifacts: as in the run directory, but HTML reports on top."""
    if path.parent == run.report.parent and path.suffix == ".html":
        return f"{_REPORT_FOLDER}/{path.name}"
    return path.relative_to(run.root).as_posix()


def _counts(plan: Mapping[str, Any], cells: Sequence[TrackedRun]) -> dict[str, float]:
    """Return how much was planned, and how much of it is evaluated."""

    def total(name: str) -> float:
        return math.fsum(cell.metrics.get(name, 0.0) for cell in cells)

    return {
        "arms": float(len(plan.get("artifacts", ()))),
        "benchmarks": float(len({cell["benchmark"] for cell in plan.get("cells", ())})),
        "cells": float(len(plan.get("cells", ()))),
        "cells_done": float(sum(cell.status == "FINISHED" for cell in cells)),
        "records": total("n"),
        "records_unscored": total("n_unscored"),
        "evaluation_s": total("wall_s"),
    }


def _experiment_name(models: Sequence[str]) -> str:
    """Return the names of the models joined; if that is too long for MLflow, the first and how many there are."""
    name = "+".join(models)
    return name if len(name) <= LONGEST_EXPERIMENT_NAME else f"{models[0]}+{len(models) - 1}-more"


# --- importance matrices and arms ---------------------------------------------------------------


def _imatrix_run(
    root: Path, planned: Mapping[str, Any], status: RunStatus, gguf_limit_bytes: int, *, name_model: bool
) -> TrackedRun | None:
    manifest = _manifest_of(root, planned)
    if manifest is None and status == "RUNNING":
        return None
    leaves = dict(scalars(manifest or {}))
    identity = {name: str(planned[name]) for name in ("mix", "model") if planned.get(name)}
    files, place = _files_of(root, planned, manifest, gguf_limit_bytes)
    end_ms, start_ms = _times(root, planned, manifest)
    return TrackedRun(
        unit=f"imatrix/{Path(planned['file']).stem}",
        name=f"imatrix {planned['model']}~{planned['mix']}" if name_model else f"imatrix {planned['mix']}",
        kind="imatrix",
        status="FAILED" if manifest is None else "FINISHED",
        params={key: value for key, value in leaves.items() if isinstance(value, str)} | identity | place,
        metrics={key: value for key, value in leaves.items() if isinstance(value, float)},
        files=files,
        start_ms=start_ms,
        end_ms=end_ms,
        notes={MODEL: str(planned["model"])},
        datasets=tuple(
            TrackedDataset(str(text["name"]), str(text["sha256"]), "calibration", {**text})
            for text in (manifest or {}).get("texts", ())
        ),
    )


def _arm_run(
    root: Path,
    planned: Mapping[str, Any],
    status: RunStatus,
    gguf_limit_bytes: int,
    plan: Mapping[str, Any],
    outcome: Outcome,
) -> TrackedRun | None:
    """Return the run of an arm. None while its GGUF is still to be made."""
    arm, manifest = planned["arm"], _manifest_of(root, planned)
    if manifest is None and status == "RUNNING":
        return None
    leaves = dict(scalars(manifest or {}))
    named = ("arm", "model", "recipe", "imatrix", "reference", "dequantized_from")
    files, place = _files_of(root, planned, manifest, gguf_limit_bytes)
    end_ms, start_ms = _times(root, planned, manifest)
    folders = sorted({cell["records_dir"] for cell in plan.get("cells", ()) if cell["arm"] == arm})
    metas = [RecordsFolder(root / folder).meta for folder in folders]
    return TrackedRun(
        unit=f"artifacts/{arm}",
        name=arm,
        kind="arm",
        status="FAILED" if manifest is None else "FINISHED",
        params={key: _as_param(value) for key, value in leaves.items() if key not in _COMPARED}
        | {name: str(planned[name]) for name in named if planned.get(name)}
        | place,
        metrics={_COMPARED[key]: float(value) for key, value in leaves.items() if key in _COMPARED}
        | outcome.arm_metrics(arm),
        files=(*files, *(tracked_file(path, path.relative_to(root).as_posix()) for path in metas if exists(path))),
        start_ms=start_ms,
        end_ms=end_ms,
        notes={MODEL: str(planned["model"]), **outcome.arm_notes(arm)},
        datasets=outcome.datasets(),
        model=None if manifest is None else valid_model_name(arm),
    )


def _as_param(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"


def _manifest_of(root: Path, planned: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the manifest of a GGUF; an empty one if the file was given, not made; None while it is not made."""
    if not planned.get("manifest"):
        return {}
    path = root / planned["manifest"]
    return read_json(path) if exists(path) else None


def _files_of(
    root: Path, planned: Mapping[str, Any], manifest: Mapping[str, Any] | None, gguf_limit_bytes: int
) -> tuple[tuple[TrackedFile, ...], dict[str, str]]:
    """Return the manifest, what stands beside the GGUF, and the GGUF; if that is too large, its path as a parameter."""
    files, gguf = [], root / planned["file"]
    if planned.get("manifest"):
        beside = ArmFiles.in_own_folder(gguf).extras if "arm" in planned else ()
        files = [tracked_file(path, path.name) for path in (root / planned["manifest"], *beside) if exists(path)]
    if manifest is None or not exists(gguf):
        return tuple(files), {}
    # The first part of a split file is useless by itself.
    if len(part_names(gguf.name)) == 1 and gguf.stat().st_size <= gguf_limit_bytes:
        return (*files, tracked_file(gguf, gguf.name, known_sha256=manifest.get("sha256"))), {}
    return tuple(files), {"path": str(gguf.absolute())}


def _times(root: Path, planned: Mapping[str, Any], manifest: Mapping[str, Any] | None) -> tuple[int | None, int | None]:
    """Return when a GGUF was finished and when its work began, in milliseconds; None if that is not known.

    `n_processes` processes decoded the groups of a matrix side by side, so the start can only be estimated.
    """
    if not manifest:
        return None, None
    end_ms = _mtime_ms(root / planned["manifest"])
    return end_ms, end_ms - round(1000 * manifest.get("seconds", 0.0) / manifest.get("n_processes", 1))


def _read_if_made(path: Path) -> dict[str, Any]:
    return read_json(path) if exists(path) else {}


def _mtime_ms(path: Path) -> int:
    return path.stat().st_mtime_ns // 1_000_000
