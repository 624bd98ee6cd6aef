"""Carry out a plan: own the run directory, have the orchestrator do the work, show the progress, mirror to MLflow.

The driver is the only writer of `progress.json` and of MLflow. If it is killed at any point, the same command
continues from there, because everything that is done has its done-mark on disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import ray

from actors.llama import library
from actors.orchestrator.actor import Ending, Job
from actors.orchestrator.done import adopt, find_done, known_seed_groups, remove_leftovers
from actors.orchestrator.plan import Plan
from actors.orchestrator.planning.make_plan import make_plan
from actors.orchestrator.planning.published import settings_of
from actors.orchestrator.room import (
    check_disk,
    check_local_memory,
    with_half_of_largest_cache,
    with_kept_cache_limit,
)
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.inspect import inspect
from actors.ownership import owned
from actors.store import RunDirectory, exists, mlflow_database_path, write_json
from actors.tracking.mirror import check_reachable
from conf.faults import BadInput, Fault
from conf.schema import PipelineConfig
from jobs._counter import TerminalReporter
from jobs._display import make_display
from jobs._follower import Follower
from jobs._mirror import BackgroundMirror
from jobs._ray import Stopped, connect, orchestrate, place_workers
from jobs._request import Finished, Request
from jobs._run_files import changed_margins, is_finished, looked_before, versions, write_manifest, write_start
from reporting.documents.requirements import check_documents

STOP_WITHIN_S = 2.0
"""Time to report a stop to MLflow. `ray job stop` kills the process 3 seconds after its SIGTERM."""


def prepare(request: Request) -> Plan:
    """Make all checks and the plan. Nothing is written except a cache of file hashes. Raises `BadInput`."""
    run = RunDirectory(request.config.storage.absolute() / request.pipeline_id)
    for folder in run.folders_in_place_of_files():
        raise BadInput(Fault("--storage", str(folder), "a file, or nothing (this is a folder)", "Move it away."))
    if request.environment.mlflow_tracking_uri:
        check_reachable(request.environment.mlflow_tracking_uri)
    if request.make_documents:
        check_documents(request.config.methodology)
    return _prepare(request, with_kept_cache_limit(request.config, run), run)


def _prepare(request: Request, config: PipelineConfig, run: RunDirectory) -> Plan:
    hashes = HashCache(config.storage.absolute())
    inputs = inspect(config, hashes, TerminalReporter(), use_gpu=library.supports_gpu())
    plan = make_plan(config, request.pipeline_id, run, inputs, known_seed_groups(run))
    if config is not request.config:
        limit = f"KV caches are kept within {config.layout.kv_cache_mib} MiB: llama.cpp got no memory for more."
        plan = replace(plan, notices=(*plan.notices, limit))
    done = find_done(plan)
    check_disk(config, plan, done)
    if request.environment.ray_address is None:
        check_local_memory(plan, done)
    if exists(config.storage):
        with contextlib.suppress(OSError):  # only a cache: if the storage cannot be written, a later check reports it
            hashes.save()
    return plan


def carry_out(request: Request, plan: Plan, announce: Callable[[Plan, RunDirectory], None]) -> Finished:
    """Run a prepared plan to its end. Raises `BadInput` if another live job owns it, `Stopped` on a signal."""
    run = RunDirectory(request.config.storage.absolute() / request.pipeline_id)
    mirror = _make_mirror(request)
    with owned(run, request.environment.submission_id) as token:
        remove_leftovers(run)
        adopt(plan, run)
        changed = (*changed_margins(run, request.config), *looked_before(run, request.config))
        plan = replace(plan, notices=(*plan.notices, *changed))
        done = find_done(plan)
        if is_finished(plan, run, done, request):
            return Finished(run, mirror.close(run), (), nothing_to_do=True)
        announce(plan, run)
        write_start(request, plan, run)
        outcome = _follow(request, plan, run, token, mirror, ends_without_room=True)
        while outcome.without_room:
            smaller = _with_smaller_caches(request, plan, run)
            if smaller is not None:
                plan = replace(smaller, notices=(*smaller.notices, *changed))
                write_start(request, plan, run)
            # If caches cannot get smaller, everything that fits is done and the rest is recorded as failed.
            outcome = _follow(request, plan, run, token, mirror, ends_without_room=smaller is not None)
        return _finish(plan, run, outcome, mirror)


def _with_smaller_caches(request: Request, plan: Plan, run: RunDirectory) -> Plan | None:
    """Plan again with half of the largest KV cache; None if a benchmark would not fit into it."""
    config = with_half_of_largest_cache(request.config, plan)
    if config is None:
        return None
    try:
        smaller = _prepare(request, config, run)
    except BadInput:
        return None
    # Written before any work with this limit, so that the same command begins with it when it is started again.
    write_json(run.cache_limit, {"kv_cache_mib": config.layout.kv_cache_mib})
    adopt(smaller, run)
    return smaller


def _follow(
    request: Request, plan: Plan, run: RunDirectory, token: str, mirror: BackgroundMirror, *, ends_without_room: bool
) -> Ending:
    """Start Ray, have the orchestrator carry out the plan, and show its progress."""
    progress = Follower(request.pipeline_id, run)
    with make_display() as display:
        try:
            connect(request.environment, request.config.layout.threads)
            job = _make_job(request, plan, run, token, ends_without_room)
            outcome = orchestrate(job, lambda view: progress.show(view, display, mirror))
        except Stopped:
            progress.end("stopped", display)
            mirror.hurry(run, STOP_WITHIN_S)
            raise
        except BaseException:
            progress.end("failed", display)
            raise
        finally:
            ray.shutdown()
        if not outcome.without_room:
            progress.end("failed" if outcome.failures else "done", display, outcome)
    return outcome


def _make_job(request: Request, plan: Plan, run: RunDirectory, token: str, ends_without_room: bool) -> Job:
    methodology = request.config.methodology
    return Job(
        config=request.config,
        plan=plan,
        run_root=str(run.root),
        owner_token=token,
        placement=place_workers(request.config, plan),
        done=find_done(plan),
        description=_description(request),
        make_documents=request.make_documents,
        methodology_path=str(methodology.absolute()) if methodology else None,
        ends_without_room=ends_without_room,
    )


def _description(request: Request) -> dict[str, Any]:
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": request.command,
        "settings": dict(settings_of(request.config)),
        "versions": versions(),
    }


def _finish(plan: Plan, run: RunDirectory, outcome: Ending, mirror: BackgroundMirror) -> Finished:
    """Write the failures and the manifest, and bring MLflow up to date."""
    failures = tuple({"unit": one.unit, "phase": one.phase, "error": one.error} for one in outcome.failures)
    write_json(run.failures, [dict(failure) for failure in failures])
    write_manifest(plan, run, failures, outcome)
    return Finished(run, (*failures, *mirror.close(run)), outcome.notices, nothing_to_do=False)


def _make_mirror(request: Request) -> BackgroundMirror:
    limit = request.config.tracking.gguf_limit_mib * 2**20
    if request.environment.mlflow_tracking_uri:
        return BackgroundMirror(request.environment.mlflow_tracking_uri, None, limit)
    home = request.mlflow_home.absolute()
    return BackgroundMirror(f"sqlite:///{mlflow_database_path(home)}", home / "mlartifacts", limit)
