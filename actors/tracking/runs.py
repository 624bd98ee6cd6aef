"""Read a run directory as the runs that MLflow shows, with their parameters, metrics and files.

This module only reads files of the run directory and does not import MLflow, so the same directory always gives the
same runs. `actors.tracking.mirror` writes them into an MLflow store.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from actors.llama.gguf_layout import part_names
from actors.store import (
    ArmFiles,
    RecordsFolder,
    RunDirectory,
    content_hash,
    exists,
    file_sha256,
    files_below,
    read_json,
    records_file,
    timings_path,
)
from actors.tracking.timings import timing_metrics

RunStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
STATUS_OF_STATE: Mapping[str, RunStatus] = {
    "running": "RUNNING",
    "done": "FINISHED",
    "failed": "FAILED",
    "stopped": "KILLED",
}
SETTING_KEYS = {"key", "settings", "versions", "ctx", "schema_version"}
"""Branches of manifests and plan whose numbers are settings (MLflow parameters), not results (MLflow metrics)."""
MAX_VALUE_LENGTH = 500
"""Characters of a parameter's value. Longer text is cut, and longer lists are left out."""
LONGEST_NAME = 250
"""Characters of a name in MLflow."""
PARENT_UNIT = "pipeline"
_RECORDS_ARTIFACT = "records.jsonl"
"""A cell's records in MLflow: those of its seed, from all of its blocks."""


@dataclass(frozen=True)
class TrackedFile:
    """A file that becomes an MLflow artifact: either a file on disk, or bytes collected from several files."""

    name: str
    """Path among the run's artifacts, with `/`."""
    sha256: str
    path: Path | None = None
    """The file on disk, if there is one."""
    content: bytes | None = None
    """The content, if there is no such file on disk."""


@dataclass(frozen=True)
class TrackedRun:
    """Everything that one MLflow run shows."""

    unit: str
    """Identifies the run in the store: `pipeline`, `imatrix/<file>`, `artifacts/<arm>` or
    `cells/<arm>/<benchmark>/<seed>`."""
    name: str
    kind: Literal["pipeline", "imatrix", "quantization", "cell"]
    status: RunStatus
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    files: tuple[TrackedFile, ...]
    start_ms: int | None
    end_ms: int | None
    notes: Mapping[str, str] = field(default_factory=dict)
    """Tags that may change from one update to the next."""


@dataclass(frozen=True)
class TrackedPipeline:
    """Everything that MLflow shows of a run directory."""

    pipeline_id: str
    experiment: str
    parent: TrackedRun
    children: tuple[TrackedRun, ...]


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
    children = [
        *(_imatrix_run(run.root, one, status, gguf_limit_bytes) for one in plan.get("imatrices", ())),
        *(_arm_run(run.root, one, status, gguf_limit_bytes) for one in plan.get("artifacts", ())),
        *(_cell_run(run.root, one, status, spared) for one in plan.get("cells", ())),
    ]
    return TrackedPipeline(
        pipeline_id=plan["pipeline_id"],
        experiment="+".join(model["name"] for model in plan["models"]),
        parent=_parent_run(run, plan, status),
        children=tuple(child for child in children if child is not None),
    )


def valid_name(name: str) -> str:
    """Spell the characters of `name` that MLflow does not allow in names of parameters and metrics.

    It allows letters of every script. Names of arms may contain `+` and `~`, which become words; any other character
    becomes its number, and the end of a long name its hash, so two names never become one.
    """
    spelled = name.replace("+", ".plus.").replace("~", ".of.")
    spelled = re.sub(r"[^\w\-. :/]", lambda match: f".x{ord(match[0]):x}.", spelled)
    return spelled if len(spelled) <= LONGEST_NAME else f"{spelled[: LONGEST_NAME - 9]}.{content_hash(spelled)[:8]}"


# --- the four kinds of runs ---------------------------------------------------------------------


def _parent_run(run: RunDirectory, plan: Mapping[str, Any], status: RunStatus) -> TrackedRun:
    shown = [path for path in (run.config, run.plan, run.manifest, run.failures) if exists(path)]
    for folder in (run.results, run.charts, run.methodology.parent, run.report.parent, run.scorecard.parent):
        shown += [path for path in files_below(folder) if not path.name.startswith(".")]
    metrics: dict[str, float] = {}
    notes = {"quant_assay.run_dir": str(run.root.absolute())}
    if exists(run.comparison):
        comparison = read_json(run.comparison)
        metrics |= _row_metrics(comparison.get("arms", ()), lambda row: f"arms/{row['name']}")
        metrics |= _row_metrics(
            comparison.get("results", ()), lambda row: f"{row['benchmark']}/{row['arm']}/{row['metric']}"
        )
    if exists(run.analysis):
        analysis = read_json(run.analysis)
        metrics |= _row_metrics(
            (*analysis.get("comparisons", ()), *analysis.get("score_comparisons", ())),
            lambda row: f"{row['benchmark']}/{row['arm']}/{row['metric']}/vs_{row['reference']}",
        )
        metrics |= _row_metrics(
            analysis.get("pooled", ()), lambda row: f"on_average/{row['arm']}/vs_{row['reference']}"
        )
        notes |= _verdict_notes(analysis)
    branches = {name: plan[name] for name in ("settings", "versions") if name in plan}
    ended = status != "RUNNING" and exists(run.progress)
    return TrackedRun(
        unit=PARENT_UNIT,
        name=plan["pipeline_id"],
        kind="pipeline",
        status=status,
        params={name: value for name, value in _scalars(branches) if isinstance(value, str)},
        metrics=metrics,
        files=tuple(_tracked_file(path, path.relative_to(run.root).as_posix()) for path in shown),
        start_ms=_mtime_ms(run.plan),
        end_ms=_mtime_ms(run.progress) if ended else None,
        notes=notes,
    )


def _verdict_notes(analysis: Mapping[str, Any]) -> dict[str, str]:
    """Return the verdict of each arm as tags: over the benchmarks that must each hold, and on average."""
    notes = {}
    for row in analysis.get("verdicts", ()):
        notes[valid_name(f"quant_assay.verdict/{row['arm']}")] = str(row["verdict"])
        if row.get("on_average"):
            notes[valid_name(f"quant_assay.verdict_on_average/{row['arm']}")] = str(row["on_average"])
    return notes


def _imatrix_run(root: Path, planned: Mapping[str, Any], status: RunStatus, gguf_limit_bytes: int) -> TrackedRun | None:
    identity = {name: str(planned[name]) for name in ("mix", "model") if planned.get(name)}
    unit = f"imatrix/{Path(planned['file']).stem}"
    return _gguf_run(root, planned, unit, "imatrix", f"imatrix {planned['mix']}", identity, status, gguf_limit_bytes)


def _arm_run(root: Path, planned: Mapping[str, Any], status: RunStatus, gguf_limit_bytes: int) -> TrackedRun | None:
    named = ("arm", "model", "recipe", "imatrix", "reference", "dequantized_from")
    identity = {name: str(planned[name]) for name in named if planned.get(name)}
    unit = f"artifacts/{planned['arm']}"
    return _gguf_run(root, planned, unit, "quantization", planned["arm"], identity, status, gguf_limit_bytes)


def _gguf_run(
    root: Path,
    planned: Mapping[str, Any],
    unit: str,
    kind: Literal["imatrix", "quantization"],
    name: str,
    identity: Mapping[str, str],
    status: RunStatus,
    gguf_limit_bytes: int,
) -> TrackedRun | None:
    """Return the run of an importance matrix or an arm's GGUF. None while it is still to be made."""
    manifest_path = root / planned["manifest"] if planned.get("manifest") else None
    is_made = manifest_path is None or exists(manifest_path)
    if not is_made and status == "RUNNING":
        return None
    manifest = read_json(manifest_path) if manifest_path and is_made else {}
    leaves = dict(_scalars(manifest))
    params = {key: value for key, value in leaves.items() if isinstance(value, str)}
    params |= identity
    files = [_tracked_file(manifest_path, manifest_path.name)] if manifest_path and is_made else []
    gguf = root / planned["file"]
    if manifest_path and kind == "quantization":
        extras = ArmFiles.in_own_folder(gguf).extras
        files += [_tracked_file(file, file.name) for file in extras if exists(file)]
    if is_made and exists(gguf):
        # The first part of a split file is useless by itself.
        if len(part_names(gguf.name)) == 1 and gguf.stat().st_size <= gguf_limit_bytes:
            files.append(_tracked_file(gguf, gguf.name, known_sha256=manifest.get("sha256")))
        else:
            params["path"] = str(gguf.absolute())
    end_ms = _mtime_ms(manifest_path) if manifest_path and is_made else None
    # `n_processes` processes decoded the groups of a matrix side by side, so the start can only be estimated.
    seconds = manifest["seconds"] / manifest.get("n_processes", 1) if is_made and "seconds" in manifest else None
    return TrackedRun(
        unit=unit,
        name=name,
        kind=kind,
        status="FINISHED" if is_made else "FAILED",
        params=params,
        metrics={key: value for key, value in leaves.items() if isinstance(value, float)},
        files=tuple(files),
        start_ms=end_ms - round(1000 * seconds) if end_ms and seconds is not None else end_ms,
        end_ms=end_ms,
    )


def _cell_run(root: Path, planned: Mapping[str, Any], status: RunStatus, spared: Container[str]) -> TrackedRun | None:
    """Return the run of a cell. None while blocks are still to come. `spared` names those that an early stop saved."""
    blocks = [root / name for name in planned["blocks"] if name not in spared]
    done = [block for block in blocks if exists(block)]
    if len(done) < len(blocks) and status == "RUNNING":
        return None
    seed = planned["seed"]
    lines = [line for block in done for line in block.read_bytes().splitlines(keepends=True)]
    parsed = [(line, json.loads(line)) for line in lines]
    own = [(line, record) for line, record in parsed if record["seed"] == seed]
    timings = [_parse(line) for block in done for line in _lines(timings_path(block))]
    meta = RecordsFolder(root / planned["records_dir"]).meta
    files = [_tracked_bytes(b"".join(line for line, _ in own), _RECORDS_ARTIFACT)] if own else []
    if exists(meta):
        files.append(_tracked_file(meta, meta.name))
    share = len(own) / len(parsed) if parsed else 0.0
    metrics = _record_metrics([record for _, record in own]) | timing_metrics(timings, share)
    end_ms = max((_mtime_ms(block) for block in done), default=None)
    missing = len(blocks) - len(done)
    return TrackedRun(
        unit=f"cells/{planned['id']}",
        name=planned["id"],
        kind="cell",
        status="FAILED" if missing else "FINISHED",
        params={name: str(planned[name]) for name in ("arm", "benchmark", "seed", "records_dir")},
        metrics=metrics,
        files=tuple(files),
        start_ms=end_ms - round(1000 * metrics.get("wall_s", 0.0)) if end_ms else None,
        end_ms=end_ms,
        notes={"quant_assay.missing_blocks": str(missing)},
    )


# --- numbers ------------------------------------------------------------------------------------


def _record_metrics(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the metrics of one cell's records.

    `n` and `n_unscored` count the records. The others are the mean score; or `nll` (nats per token), the perplexity
    and the divergence from the reference.
    """
    if not records:
        return {}
    unscored = sum(record["outcome"] == "unscored" for record in records)
    metrics = {"n": float(len(records)), "n_unscored": float(unscored)}
    scores = [record["score"] for record in records if record.get("score") is not None]
    if scores:
        metrics["score"] = math.fsum(scores) / len(scores)
    measured = [record for record in records if record["outcome"] == "measured" and record["n_tokens"]]
    if measured:
        # As in the results, every item counts the same: gold solutions differ in length.
        nll = math.fsum(record["nll_sum"] / record["n_tokens"] for record in measured) / len(measured)
        n_tokens = sum(record["n_tokens"] for record in measured)
        metrics |= {"nll": nll, "perplexity": math.exp(nll), "n_tokens": float(n_tokens)}
    compared = [record for record in records if record.get("kld_sum") is not None]
    if compared:
        n_compared = sum(record["n_tokens"] for record in compared)
        metrics["kld"] = math.fsum(record["kld_sum"] for record in compared) / n_compared
        metrics["top_agreement"] = sum(record["top_agree"] for record in compared) / n_compared
    return metrics


def _row_metrics(rows: Iterable[Mapping[str, Any]], prefix_of: Callable[[Mapping[str, Any]], str]) -> dict[str, float]:
    """Return every number of the result rows, named `<prefix>/<field>`. Undefined numbers (null) are left out."""
    return {
        valid_name(f"{prefix_of(row)}/{name.replace('.', '/')}"): value
        for row in rows
        for name, value in _scalars(row)
        if isinstance(value, float)
    }


def _scalars(
    tree: Mapping[str, Any], prefix: str = "", *, are_settings: bool = False
) -> Iterator[tuple[str, str | float]]:
    """Yield the values of nested JSON with dotted names: numbers as floats (metrics), the rest as text (parameters).

    An interval `[low, high]` becomes two numbers. Other lists become text if they are short enough.

    Args:
        are_settings: all values below are settings, so numbers become text too.
    """
    for key, value in tree.items():
        name = valid_name(f"{prefix}{key}")
        below = are_settings or key in SETTING_KEYS
        if value is None:
            continue
        if isinstance(value, Mapping):
            yield from _scalars(value, f"{prefix}{key}.", are_settings=below)
        elif isinstance(value, bool | str) or (below and isinstance(value, int | float)):
            yield name, str(value)[:MAX_VALUE_LENGTH]
        elif isinstance(value, int | float):
            if math.isfinite(value):
                yield name, float(value)
        elif not below and _is_interval(value):
            yield f"{name}_low", float(value[0])
            yield f"{name}_high", float(value[1])
        elif len(text := json.dumps(value, ensure_ascii=False)) <= MAX_VALUE_LENGTH:
            yield name, text


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(end) in {int, float} for end in value)


# --- files --------------------------------------------------------------------------------------


def _tracked_file(path: Path, name: str, known_sha256: str | None = None) -> TrackedFile:
    return TrackedFile(name, known_sha256 or file_sha256(path), path=path)


def _tracked_bytes(content: bytes, name: str) -> TrackedFile:
    return TrackedFile(name, hashlib.sha256(content).hexdigest(), content=content)


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if exists(path) else []


def _parse(line: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(line)
    return value


def _read_if_made(path: Path) -> dict[str, Any]:
    return read_json(path) if exists(path) else {}


def _mtime_ms(path: Path) -> int:
    return path.stat().st_mtime_ns // 1_000_000
