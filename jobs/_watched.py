"""What a dashboard's answers say about one pipeline: pure functions from JSON and log lines to a `PipelineView`.

The PowerShell module `ps/QuantAssay` does the same. `tests/monitor` holds both to the same conversations.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

METADATA_KEY = "quant_assay_pipeline"
"""Key of a job's metadata that holds the pipeline id."""
PROGRAM = "jobs.pipeline"

ViewState = Literal["pending", "running", "done", "failed", "stopped", "unknown"]
_ENDED: dict[str, ViewState] = {"SUCCEEDED": "done", "FAILED": "failed", "STOPPED": "stopped"}


@dataclass(frozen=True)
class Gpu:
    """Use of one GPU; null where the driver does not tell."""

    index: int
    name: str
    percent: float | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None


@dataclass(frozen=True)
class Node:
    """Use of one machine of the cluster, by everything that runs on it."""

    name: str
    cpu_percent: float
    memory_used_bytes: int
    memory_total_bytes: int
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True)
class PipelineView:
    """One pipeline as seen through the dashboard. Values of its progress are null until the first one is printed."""

    pipeline_id: str
    state: ViewState = "unknown"
    job_status: str | None = None
    submission_id: str | None = None
    attempts: int = 0
    """Jobs of this pipeline: more than one after a resume. The newest one counts."""
    phase: str | None = None
    percent: float | None = None
    cells_done: int | None = None
    cells_total: int | None = None
    tokens_per_second: float | None = None
    elapsed_s: float | None = None
    seconds_left: float | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    process_id: int | None = None
    workers: int | None = None
    working_on: tuple[str, ...] = ()
    phases: tuple[Mapping[str, str], ...] = ()
    """Name and state (passed, now, to_come) of each phase."""
    arms: tuple[Mapping[str, Any], ...] = ()
    benchmarks: tuple[Mapping[str, Any], ...] = ()
    """Cells done and in all, by name."""
    failures: tuple[Mapping[str, str], ...] = ()
    updated_at: str | None = None
    nodes: tuple[Node, ...] = ()
    headlines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Which file to take, by language; empty before the end."""
    verdicts: tuple[Mapping[str, str], ...] = ()
    log_end: tuple[str, ...] = ()
    """The last lines of the log, if the job ended without any progress: they say why."""
    problem: str | None = None
    """Why something is missing: a code of `jobs._dashboard.Problem`, or one of this module."""

    def as_json(self) -> dict[str, Any]:
        """Return the view as a JSON object."""
        value: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return value


MOST_LAST_LINES = 5
_LARGEST = 9e18
NO_SUCH_PIPELINE = "no_such_pipeline"
NOT_STARTED = "not_started"
NO_PROGRESS_YET = "no_progress_yet"


# --- which job ------------------------------------------------------------------------------------


def jobs_of(jobs: Iterable[Mapping[str, Any]], pipeline_id: str) -> list[Mapping[str, Any]]:
    """Return the jobs that say of themselves that they belong to a pipeline, from the oldest to the newest.

    They say so in their metadata, as their submission id, or in their command (`--pipeline-id ID`).
    """
    found = [job for job in jobs if _belongs(job, pipeline_id)]
    return sorted(found, key=lambda job: (job.get("start_time") or 0, str(job.get("submission_id"))))


def nameless_jobs(jobs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return jobs whose pipeline id only their progress can tell, from the newest to the oldest."""
    found = [
        job
        for job in jobs
        if job.get("submission_id")
        and PROGRAM in str(job.get("entrypoint"))
        and not re.search(r"--pipeline-id[ =]", str(job.get("entrypoint")))
        and not (job.get("metadata") or {}).get(METADATA_KEY)
    ]
    return sorted(found, key=lambda job: -(job.get("start_time") or 0))


def _belongs(job: Mapping[str, Any], pipeline_id: str) -> bool:
    if not job.get("submission_id"):
        return False
    if (job.get("metadata") or {}).get(METADATA_KEY) == pipeline_id or job["submission_id"] == pipeline_id:
        return True
    named = rf"--pipeline-id[ =]['\"]?{re.escape(pipeline_id)}['\"]?(?:\s|$)"
    entrypoint = str(job.get("entrypoint"))
    return PROGRAM in entrypoint and re.search(named, entrypoint) is not None


# --- what it prints -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """The newest lines for programs in a piece of log."""

    progress: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None


def said(log: str, pipeline_id: str | None) -> Said:
    """Return the newest progress and the result of a pipeline in a log. Broken lines and those of others are skipped.

    Args:
        log: the end of a log; its first and its last line may be cut.
        pipeline_id: of the pipeline; None: whichever comes last.
    """
    progress = result = None
    for line in reversed(re.split(r"\r?\n", log)):
        kind, _, text = line.partition(" ")
        if kind == "PROGRESS" and progress is None:
            progress = _parsed(text, pipeline_id)
        if kind == "RESULT" and result is None:
            result = _parsed(text, pipeline_id)
        if progress is not None:
            break
    return Said(progress, result)


def _parsed(text: str, pipeline_id: str | None) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("pipeline_id"), str):
        return None
    return value if pipeline_id is None or value["pipeline_id"] == pipeline_id else None


# --- the view -------------------------------------------------------------------------------------


def view_of(
    pipeline_id: str,
    jobs: Sequence[Mapping[str, Any]],
    log: str | None,
    nodes: Sequence[Mapping[str, Any]] = (),
    problem: str | None = None,
) -> PipelineView:
    """Return what is known of a pipeline.

    Args:
        pipeline_id: of the pipeline.
        jobs: its jobs, from the oldest to the newest.
        log: the end of the newest job's log; None if it could not be read.
        nodes: the answer of the dashboard.
        problem: why something could not be read.
    """
    shown = tuple(filter(None, map(_node, nodes)))
    if not jobs:
        return PipelineView(pipeline_id, nodes=shown, problem=problem or NO_SUCH_PIPELINE)
    job = jobs[-1]
    status = str(job.get("status"))
    spoken = said(log or "", pipeline_id)
    progress, result = spoken.progress or {}, spoken.result or {}
    ended = _ENDED.get(status)
    state = ended or ("pending" if not job.get("driver_node_id") else "running")
    if ended == "done" and progress.get("state") == "failed":
        state = "failed"
    if problem is None and not progress:
        problem = NOT_STARTED if state == "pending" else NO_PROGRESS_YET if state == "running" else None
    return replace(
        view_of_progress(pipeline_id, progress),
        state=state,
        job_status=status,
        submission_id=job.get("submission_id"),
        attempts=len(jobs),
        nodes=shown,
        headlines=_headlines(result.get("headlines")),
        verdicts=tuple(
            {"arm": _text(arm.get("name")) or "", "verdict": arm["verdict"]}
            for arm in _objects(result.get("arms"))
            if _text(arm.get("verdict"))
        ),
        log_end=_last_lines(log or "") if ended and not progress else (),
        problem=problem,
    )


def view_of_progress(pipeline_id: str, progress: Mapping[str, Any]) -> PipelineView:
    """Return what the progress of a running pipeline says."""
    return PipelineView(
        pipeline_id,
        state="running",
        phase=_text(progress.get("phase")),
        percent=_share(progress.get("percent")),
        cells_done=_count(progress.get("cells_done")),
        cells_total=_count(progress.get("cells_total")),
        tokens_per_second=_number(progress.get("tokens_per_second")),
        elapsed_s=_number(progress.get("elapsed_s")),
        seconds_left=_number(progress.get("seconds_left")),
        cpu_percent=_number(progress.get("cpu_percent")),
        memory_bytes=_count(progress.get("memory_bytes")),
        process_id=_count(progress.get("process_id")),
        workers=_count(progress.get("workers")),
        updated_at=_text(progress.get("updated_at")),
        working_on=_texts(progress.get("working_on")),
        phases=tuple(
            {"name": _text(one.get("name")) or "", "state": _text(one.get("state")) or ""}
            for one in _objects(progress.get("phases"))
        ),
        arms=_groups(progress.get("arms")),
        benchmarks=_groups(progress.get("benchmarks")),
        failures=tuple(
            {"unit": _text(one.get("unit")) or "", "error": _text(one.get("error")) or ""}
            for one in _objects(progress.get("failures"))
        ),
    )


def _last_lines(log: str) -> tuple[str, ...]:
    lines = [line for line in re.split(r"\r?\n", log) if line.strip(" ")]
    return tuple(lines[-MOST_LAST_LINES:])


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _groups(value: Any) -> tuple[dict[str, Any], ...]:
    """Return cells done and in all by name, without the entries that lack a number."""
    found = [
        {"name": _text(one.get("name")) or "", **{key: _count(one.get(key)) for key in ("cells_done", "cells_total")}}
        for one in _objects(value)
    ]
    return tuple(one for one in found if None not in one.values())


def _headlines(value: Any) -> dict[str, tuple[str, ...]]:
    return {lang: _texts(value.get(lang)) for lang in ("ja", "en")} if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    """Return a number of a log, if 64 bits hold it; None for anything else: a log may hold lines of any program."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST else None


def _share(value: Any) -> float | None:
    number = _number(value)
    return None if number is None else min(max(number, 0), 100)


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else math.floor(number)


def _node(summary: Mapping[str, Any]) -> Node | None:
    """Return the use of a node; None if the dashboard does not know it (yet)."""
    memory = summary.get("mem")
    if not isinstance(memory, list) or len(memory) < 4:
        return None
    total, used = _count(memory[0]), _count(memory[3])
    if not total or used is None:
        return None
    gpus = tuple(_gpu(place, gpu) for place, gpu in enumerate(_objects(summary.get("gpus"))))
    return Node(_text(summary.get("hostname")) or "", _number(summary.get("cpu")) or 0, used, total, gpus)


def _gpu(place: int, gpu: Mapping[str, Any]) -> Gpu:
    index = _count(gpu.get("index"))
    return Gpu(
        index=place if index is None else index,
        name=_text(gpu.get("name")) or "",
        percent=_number(gpu.get("utilizationGpu")),
        memory_used_bytes=_mib(gpu.get("memoryUsed")),
        memory_total_bytes=_mib(gpu.get("memoryTotal")),
    )


def _mib(value: Any) -> int | None:
    count = _count(value)
    return None if count is None else count * 2**20
