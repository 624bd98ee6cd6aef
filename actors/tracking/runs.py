"""What the MLflow mirror shows: a run directory read as runs with parameters, metrics and files.

Pure reading: only files of the run directory are looked at, and no MLflow is imported, so the same directory
always gives the same runs. `actors.tracking.mirror` brings them into a store.
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
from actors.store import RunDirectory, file_sha256, read_json, timings_path

RunStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
STATUS_OF_STATE: Mapping[str, RunStatus] = {
    "running": "RUNNING",
    "done": "FINISHED",
    "failed": "FAILED",
    "stopped": "KILLED",
}
SETTING_KEYS = {"key", "settings", "versions", "ctx", "schema_version"}
"""Branches of manifests and plan whose numbers are settings (parameters), not results (metrics)."""
MAX_VALUE_LENGTH = 500
PARENT_UNIT = "pipeline"


@dataclass(frozen=True)
class MirroredFile:
    """A file that becomes an artifact: one on disk, or bytes made of parts of several."""

    name: str
    """Place among the run's artifacts, with `/`."""
    sha256: str
    path: Path | None = None
    content: bytes | None = None


@dataclass(frozen=True)
class MirroredRun:
    """One MLflow run, whole."""

    unit: str
    """What finds the run again: `pipeline`, `imatrix/<file>`, `artifacts/<arm>`, `cells/<arm>/<benchmark>/<seed>`."""
    name: str
    kind: Literal["pipeline", "imatrix", "quantization", "cell"]
    status: RunStatus
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    files: tuple[MirroredFile, ...]
    start_ms: int | None
    end_ms: int | None
    notes: Mapping[str, str] = field(default_factory=dict)
    """Tags that may change from one look to the next."""


@dataclass(frozen=True)
class MirroredPipeline:
    """A run directory as MLflow shows it."""

    pipeline_id: str
    experiment: str
    parent: MirroredRun
    children: tuple[MirroredRun, ...]


def read_pipeline(run_dir: Path, gguf_limit_bytes: int) -> MirroredPipeline:
    """Read a run directory.

    Args:
        run_dir: a pipeline's directory; `plan.json` must stand in it.
        gguf_limit_bytes: GGUFs up to this size are files of their run; larger ones only their path and sha256.
    """
    run = RunDirectory(run_dir)
    plan = read_json(run.plan)
    progress = read_json(run.progress) if run.progress.exists() else {}
    status = STATUS_OF_STATE.get(progress.get("state", "running"), "RUNNING")
    spared = frozenset(read_json(run.manifest).get("spared", ()) if run.manifest.exists() else ())
    children = [
        *(_imatrix_run(run.root, one, status, gguf_limit_bytes) for one in plan.get("imatrices", ())),
        *(_arm_run(run.root, one, status, gguf_limit_bytes) for one in plan.get("artifacts", ())),
        *(_cell_run(run.root, one, status, spared) for one in plan.get("cells", ())),
    ]
    return MirroredPipeline(
        pipeline_id=plan["pipeline_id"],
        experiment="+".join(model["name"] for model in plan["models"]),
        parent=_parent_run(run, plan, status),
        children=tuple(child for child in children if child is not None),
    )


def valid_name(name: str) -> str:
    """`name` with only those characters that MLflow allows in names of parameters and metrics.

    Arms may carry `+` and `~`, which MLflow refuses; they are spelled out, so that two arms stay two.
    """
    spelled = name.replace("+", ".plus.").replace("~", ".of.")
    return re.sub(r"[^A-Za-z0-9_\-. :/]", "_", spelled)[:250]


# --- the four kinds of runs ---------------------------------------------------------------------


def _parent_run(run: RunDirectory, plan: Mapping[str, Any], status: RunStatus) -> MirroredRun:
    shown = [run.config, run.plan, run.manifest, run.failures]
    for folder in (run.comparison.parent, run.charts, run.methodology.parent, run.report.parent, run.scorecard.parent):
        shown += sorted(folder.rglob("*")) if folder.is_dir() else []
    files = [path for path in shown if path.is_file() and not path.name.startswith(".")]
    metrics: dict[str, float] = {}
    if run.comparison.exists():
        comparison = read_json(run.comparison)
        metrics |= _finding_metrics(comparison.get("arms", ()), lambda row: f"arms/{row['name']}")
        metrics |= _finding_metrics(
            comparison.get("results", ()), lambda row: f"{row['benchmark']}/{row['arm']}/{row['metric']}"
        )
    if run.analysis.exists():
        metrics |= _finding_metrics(
            read_json(run.analysis).get("comparisons", ()),
            lambda row: f"{row['benchmark']}/{row['arm']}/{row['metric']}/vs_{row['reference']}",
        )
    branches = {name: plan[name] for name in ("settings", "versions") if name in plan}
    ended = status != "RUNNING" and run.progress.exists()
    return MirroredRun(
        unit=PARENT_UNIT,
        name=plan["pipeline_id"],
        kind="pipeline",
        status=status,
        params={name: value for name, value in _leaves(branches) if isinstance(value, str)},
        metrics=metrics,
        files=tuple(_file_of(path, path.relative_to(run.root).as_posix()) for path in files),
        start_ms=_mtime_ms(run.plan),
        end_ms=_mtime_ms(run.progress) if ended else None,
        notes={"quant_assay.run_dir": str(run.root.absolute())},
    )


def _imatrix_run(
    root: Path, planned: Mapping[str, Any], status: RunStatus, gguf_limit_bytes: int
) -> MirroredRun | None:
    identity = {name: str(planned[name]) for name in ("mix", "model") if planned.get(name)}
    unit = f"imatrix/{Path(planned['file']).stem}"
    return _made_file_run(
        root, planned, unit, "imatrix", f"imatrix {planned['mix']}", identity, status, gguf_limit_bytes
    )


def _arm_run(root: Path, planned: Mapping[str, Any], status: RunStatus, gguf_limit_bytes: int) -> MirroredRun | None:
    named = ("arm", "model", "recipe", "imatrix", "reference", "dequantized_from")
    identity = {name: str(planned[name]) for name in named if planned.get(name)}
    unit = f"artifacts/{planned['arm']}"
    return _made_file_run(root, planned, unit, "quantization", planned["arm"], identity, status, gguf_limit_bytes)


def _made_file_run(
    root: Path,
    planned: Mapping[str, Any],
    unit: str,
    kind: Literal["imatrix", "quantization"],
    name: str,
    identity: Mapping[str, str],
    status: RunStatus,
    gguf_limit_bytes: int,
) -> MirroredRun | None:
    """The run of a GGUF that is described by a manifest. None while it is still to be made."""
    manifest_path = root / planned["manifest"] if planned.get("manifest") else None
    is_made = manifest_path is None or manifest_path.exists()
    if not is_made and status == "RUNNING":
        return None
    manifest = read_json(manifest_path) if manifest_path and is_made else {}
    leaves = dict(_leaves(manifest))
    params = {key: value for key, value in leaves.items() if isinstance(value, str)}
    params |= identity
    files = [_file_of(manifest_path, manifest_path.name)] if manifest_path and is_made else []
    if manifest_path and kind == "quantization":
        beside = (manifest_path.parent / name for name in ("log.txt", "allocation.json", "losses.json"))
        files += [_file_of(file, file.name) for file in beside if file.exists()]
    gguf = root / planned["file"]
    if is_made and gguf.exists():
        # A split file is of no use by its first part alone.
        if len(part_names(gguf.name)) == 1 and gguf.stat().st_size <= gguf_limit_bytes:
            files.append(_file_of(gguf, gguf.name, known_sha256=manifest.get("sha256")))
        else:
            params["path"] = str(gguf.absolute())
    end_ms = _mtime_ms(manifest_path) if manifest_path and is_made else None
    # The groups of a matrix were decoded side by side: about so long ago the work began.
    seconds = manifest["seconds"] / manifest.get("n_processes", 1) if is_made and "seconds" in manifest else None
    return MirroredRun(
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


def _cell_run(root: Path, planned: Mapping[str, Any], status: RunStatus, spared: Container[str]) -> MirroredRun | None:
    """The run of a cell. None while blocks of it are still to come; `spared`: blocks that an early stop saved."""
    blocks = [root / name for name in planned["blocks"] if name.removesuffix(".jsonl") not in spared]
    there = [block for block in blocks if block.exists()]
    if len(there) < len(blocks) and status == "RUNNING":
        return None
    seed = planned["seed"]
    lines = [line for block in there for line in block.read_bytes().splitlines(keepends=True)]
    parsed = [(line, json.loads(line)) for line in lines]
    own = [(line, record) for line, record in parsed if record["seed"] == seed]
    timings = [_parse(line) for block in there for line in _lines(timings_path(block))]
    meta = root / planned["records_dir"] / "meta.json"
    files = [_bytes_of(b"".join(line for line, _ in own), "records.jsonl")] if own else []
    if meta.exists():
        files.append(_file_of(meta, "meta.json"))
    share = len(own) / len(parsed) if parsed else 0.0
    metrics = _record_metrics([record for _, record in own]) | _timing_metrics(timings, share)
    end_ms = max((_mtime_ms(block) for block in there), default=None)
    missing = len(blocks) - len(there)
    return MirroredRun(
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
    """Of one cell: the mean score, or nll (nats a token), perplexity and divergence; how many records, and unscored."""
    if not records:
        return {}
    unscored = sum(record["outcome"] == "unscored" for record in records)
    metrics = {"n": float(len(records)), "n_unscored": float(unscored)}
    scores = [record["score"] for record in records if record.get("score") is not None]
    if scores:
        metrics["score"] = math.fsum(scores) / len(scores)
    n_tokens = sum(record["n_tokens"] for record in records if record["outcome"] == "measured")
    if n_tokens:
        nll = math.fsum(record["nll_sum"] for record in records if record["outcome"] == "measured") / n_tokens
        metrics |= {"nll": nll, "perplexity": math.exp(nll), "n_tokens": float(n_tokens)}
    compared = [record for record in records if record.get("kld_sum") is not None]
    if compared:
        n_compared = sum(record["n_tokens"] for record in compared)
        metrics["kld"] = math.fsum(record["kld_sum"] for record in compared) / n_compared
        metrics["top_agreement"] = sum(record["top_agree"] for record in compared) / n_compared
    return metrics


def _timing_metrics(timings: Sequence[Mapping[str, Any]], share: float) -> dict[str, float]:
    """Rates and peak memory of the cell's blocks.

    The seeds of a group are decoded together, so a block's seconds are split by the number of its records:
    `share` is this cell's part of them.
    """
    if not timings:
        return {}

    def total(key: str) -> float:
        return math.fsum(timing.get(key) or 0.0 for timing in timings)

    metrics = {
        "wall_s": total("wall_s") * share,
        "load_s": total("load_s"),
        "peak_rss_bytes": float(max(timing.get("peak_rss_bytes") or 0 for timing in timings)),
    }
    if total("prompt_s") > 0:
        metrics["prompt_tokens_per_s"] = total("prompt_tokens") / total("prompt_s")
    if total("decode_s") > 0:
        metrics["completion_tokens_per_s"] = total("completion_tokens") / total("decode_s")
    if total("wall_s") > 0:
        metrics["tokens_per_s"] = (total("prompt_tokens") + total("completion_tokens")) / total("wall_s")
    return metrics


def _finding_metrics(
    rows: Iterable[Mapping[str, Any]], prefix_of: Callable[[Mapping[str, Any]], str]
) -> dict[str, float]:
    """Every number of the findings' rows under `<prefix>/<field>`; undefined ones (null) are left out."""
    return {
        valid_name(f"{prefix_of(row)}/{name.replace('.', '/')}"): value
        for row in rows
        for name, value in _leaves(row)
        if isinstance(value, float)
    }


def _leaves(tree: Mapping[str, Any], prefix: str = "", *, settings: bool = False) -> Iterator[tuple[str, str | float]]:
    """Scalars of nested JSON with dotted names: numbers as floats (metrics), the rest as text (parameters).

    An interval `[low, high]` becomes two numbers; other lists are text, where they are short enough to be read.
    """
    for key, value in tree.items():
        name = valid_name(f"{prefix}{key}")
        below = settings or key in SETTING_KEYS
        if value is None:
            continue
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.", settings=below)
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


def _file_of(path: Path, name: str, known_sha256: str | None = None) -> MirroredFile:
    return MirroredFile(name, known_sha256 or file_sha256(path), path=path)


def _bytes_of(content: bytes, name: str) -> MirroredFile:
    return MirroredFile(name, hashlib.sha256(content).hexdigest(), content=content)


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []


def _parse(line: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(line)
    return value


def _mtime_ms(path: Path) -> int:
    return path.stat().st_mtime_ns // 1_000_000
