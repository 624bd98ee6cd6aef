"""Carry out a plan: own the run directory, have the orchestrator do the work, show the progress, mirror to MLflow.

The driver is the only writer of `progress.json` and of MLflow. If it is killed at any point, the same command
continues from there, because everything that is done has its done-mark on disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import ray

from actors.nodes import Nodes
from actors.orchestrator.actor import Ending, Job
from actors.orchestrator.done import adopt, describe_done, find_done, known_seed_groups, remove_leftovers
from actors.orchestrator.human_answers import human_scores_of
from actors.orchestrator.looks import history_notices
from actors.orchestrator.plan import Plan
from actors.orchestrator.planning.make_plan import make_plan
from actors.orchestrator.planning.published import settings_of
from actors.orchestrator.results import check_results
from actors.orchestrator.room import (
    check_disk,
    check_local_memory,
    kept_device_share,
    smaller_share,
    with_device_share,
    with_half_of_largest_cache,
    with_kept_cache_limit,
)
from actors.orchestrator.smaller import ShortOf
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.inspect import inspect
from actors.ownership import check_place, owned
from actors.store import RunDirectory, exists, mlflow_artifacts_path, mlflow_database_path, reserved_space, write_json
from actors.tracking.reachable import check_reachable
from conf.faults import BadInput, Fault
from conf.schema import PipelineConfig
from jobs._counter import TerminalReporter
from jobs._display import make_display
from jobs._follower import Follower
from jobs._mirror import BackgroundMirror
from jobs._nodes import check_fetched, find_nodes
from jobs._ray import Stopped, connect, devices_of, orchestrate, place_workers
from jobs._request import Finished, Request
from jobs._run_files import is_finished, versions, write_manifest, write_start
from reporting.documents.requirements import check_documents
from reporting.notices import Notice

Announce = Callable[[Plan, RunDirectory, str], None]
"""Prints what is about to be done: the plan, its run directory, and what earlier runs have done of it."""
MIRROR_WITHIN_S = 30.0
"""Time to bring MLflow up to date at the end, when everything else is done."""
RESERVE_BYTES = 4 * 2**20
"""Disk space that is kept for the last progress and for MLflow, in case the disk gets full."""
STOP_WITHIN_S = 10.0
"""Time to report a stop to MLflow. A busy machine needs several seconds for it."""
STOP_RAY_JOB_WITHIN_S = 2.0
"""The same in a Ray job: `ray job stop` kills the process 3 seconds after its SIGTERM."""


def prepare(request: Request) -> Plan:
    """Make all checks and the plan. Nothing is written except a cache of file hashes. Raises `BadInput`."""
    run = RunDirectory(request.config.storage.absolute() / request.pipeline_id)
    check_place(run)
    for folder in run.folders_in_place_of_files():
        raise BadInput(Fault("--storage", str(folder), "a file, or nothing (this is a folder)", "Move it away."))
    if request.environment.mlflow_tracking_uri and request.wait_for_mlflow:
        check_reachable(request.environment.mlflow_tracking_uri)
    if request.make_documents:
        check_documents(request.config.methodology)
    nodes = find_nodes(request.config, request.environment, request.pipeline_id)
    plan = _prepare(request, with_kept_cache_limit(request.config, run), run, nodes, kept_device_share(run))
    check_fetched(request.config, request.environment, plan)
    human_scores_of(plan, request.config)  # only to tell its faults before the start
    check_results(plan, request.config, _description(request, plan))
    return plan


def _prepare(request: Request, config: PipelineConfig, run: RunDirectory, nodes: Nodes, device_share: float) -> Plan:
    reporter = TerminalReporter()
    hashes = HashCache(config.storage.absolute(), reporter)
    inputs = inspect(config, hashes, reporter, nodes=with_device_share(nodes.usable, device_share))
    plan = make_plan(config, request.pipeline_id, run, inputs, known_seed_groups(run))
    plan = replace(plan, nodes=nodes, notices=(*plan.notices, *nodes.notices))
    if config is not request.config:
        limit = Notice("cache_limit", mib=config.layout.kv_cache_mib)
        plan = replace(plan, notices=(*plan.notices, limit))
    if device_share < 1.0 and devices_of(plan):
        share = Notice("device_share", percent=round(100 * device_share))
        plan = replace(plan, notices=(*plan.notices, share))
    done = find_done(plan)
    if request.only_judging:
        done |= {arm.unit for arm in plan.arms if arm.unit} | {one.unit for one in plan.imatrices}
        done |= {name for one in plan.imatrices for name in one.group_units}
    check_disk(config, plan, done)
    if request.environment.ray_address is None:
        check_local_memory(plan, done)
    if exists(config.storage):
        with contextlib.suppress(OSError):  # only a cache: if the storage cannot be written, a later check reports it
            hashes.save()
    return plan


@dataclass(frozen=True)
class Mirrored:
    """How MLflow was left at the end of a job."""

    missing: str | None
    """Why it is not up to date; None if it is. The next start of the same pipeline brings what is missing."""
    address: str | None
    """Where a browser shows the runs, if that is known."""


@dataclass(frozen=True)
class _Job:
    """One start of a pipeline, as its driver sees it."""

    request: Request
    run: RunDirectory
    token: str
    """Proof that this process owns the run directory."""
    progress: Follower
    mirror: BackgroundMirror


def carry_out(
    request: Request,
    plan: Plan,
    announce: Announce,
    conclude: Callable[[Finished], None],
) -> Mirrored:
    """Run a prepared plan to its end, tell the caller how it ended, and then bring MLflow up to date.

    Raises:
        BadInput: another live job owns the run directory, or it cannot be owned.
        Stopped: a signal arrived.
        WriteFailed: the disk is full or fails. Progress and MLflow then say `failed`, as after any other error.
    """
    run = RunDirectory(request.config.storage.absolute() / request.pipeline_id)
    mirror = _make_mirror(request)
    progress = Follower(request.pipeline_id, run)
    with (
        owned(run, request.environment.submission_id) as token,
        reserved_space(run.root, RESERVE_BYTES) as give_back_reserve,
    ):
        job = _Job(request, run, token, progress, mirror)
        try:
            conclude(_carry_out(job, plan, announce))
        except Stopped:
            raise
        except BaseException as error:
            give_back_reserve()
            with contextlib.suppress(OSError), make_display() as display:
                progress.end("failed", display)
            mirror.finish(run, MIRROR_WITHIN_S if isinstance(error, Exception) else _stop_within_s(request))
            raise
        return Mirrored(mirror.finish(run, MIRROR_WITHIN_S), mirror.address)


def _stop_within_s(request: Request) -> float:
    return STOP_RAY_JOB_WITHIN_S if request.environment.submission_id else STOP_WITHIN_S


def _carry_out(job: _Job, plan: Plan, announce: Announce) -> Finished:
    request, run = job.request, job.run
    remove_leftovers(run)
    adopted = adopt(plan, run)
    history = history_notices(plan, request.config, run)
    plan = replace(plan, notices=(*plan.notices, *history))
    done = find_done(plan)
    if is_finished(plan, run, done, request):
        return Finished(run, (), (), nothing_to_do=True)
    announce(plan, run, describe_done(plan, done, adopted))
    write_start(request, plan, run)
    outcome = _follow(job, plan, ends_without_room=True)
    while outcome.short_of:
        smaller = _smaller_plan(request, plan, run, outcome.short_of)
        if smaller is not None:
            plan = replace(smaller, notices=(*smaller.notices, *history))
            write_start(request, plan, run)
        # If the plan cannot get smaller, everything that fits is done and the rest is recorded as failed.
        outcome = _follow(job, plan, ends_without_room=smaller is not None)
    return _finish(plan, run, outcome)


def _smaller_plan(request: Request, plan: Plan, run: RunDirectory, short_of: ShortOf) -> Plan | None:
    """Plan again with less memory on devices, or with smaller KV caches on the host. None if that is not possible.

    The limit is written before any work with it, so that the same command begins with it when it is started again.
    """
    share: float | None = kept_device_share(run)
    config: PipelineConfig | None = with_kept_cache_limit(request.config, run)
    if short_of == "devices":
        share = smaller_share(kept_device_share(run))
    else:
        config = with_half_of_largest_cache(request.config, plan)
    if config is None or share is None:
        return None
    try:
        smaller = _prepare(request, config, run, plan.nodes, share)
    except BadInput:
        return None
    if short_of == "devices":
        write_json(run.device_limit, {"share": share})
    else:
        write_json(run.cache_limit, {"kv_cache_mib": config.layout.kv_cache_mib})
    adopt(smaller, run)
    return smaller


def _follow(job: _Job, plan: Plan, *, ends_without_room: bool) -> Ending:
    """Start Ray, have the orchestrator carry out the plan, and show its progress."""
    progress = job.progress
    with make_display() as display:
        try:
            request = job.request
            connect(request.environment, request.config.layout.threads, request.pipeline_id, devices_of(plan))
            order = _order(job, plan, ends_without_room)
            outcome = orchestrate(order, lambda view: progress.show(view, display, job.mirror))
        except Stopped:
            progress.end("stopped", display)
            # Before Ray is shut down, which may take longer.
            job.mirror.finish(job.run, _stop_within_s(job.request))
            raise
        finally:
            ray.shutdown()
        if not outcome.short_of:
            progress.end("failed" if outcome.failures else "done", display, outcome)
    return outcome


def _order(job: _Job, plan: Plan, ends_without_room: bool) -> Job:
    """Return what the orchestrator needs."""
    request = job.request
    methodology = request.config.methodology
    return Job(
        config=request.config,
        plan=plan,
        run_root=str(job.run.root),
        owner_token=job.token,
        places=place_workers(request.config, plan),
        done=find_done(plan),
        description=_description(request, plan),
        make_documents=request.make_documents,
        methodology_path=str(methodology.absolute()) if methodology else None,
        ends_without_room=ends_without_room,
        only_judging=request.only_judging,
    )


def _description(request: Request, plan: Plan) -> dict[str, Any]:
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": request.command,
        "settings": dict(settings_of(request.config)),
        "versions": versions(plan.nodes),
    }


def _finish(plan: Plan, run: RunDirectory, outcome: Ending) -> Finished:
    """Write the failures and the manifest."""
    failures = tuple({"unit": one.unit, "phase": one.phase, "error": one.error} for one in outcome.failures)
    write_json(run.failures, [dict(failure) for failure in failures])
    write_manifest(plan, run, failures, outcome)
    return Finished(run, failures, outcome.notices, nothing_to_do=False)


def _make_mirror(request: Request) -> BackgroundMirror:
    limit = request.config.tracking.gguf_limit_mib * 2**20
    if request.environment.mlflow_tracking_uri:
        return BackgroundMirror(request.environment.mlflow_tracking_uri, None, limit)
    home = request.mlflow_home.absolute()
    return BackgroundMirror(f"sqlite:///{mlflow_database_path(home)}", mlflow_artifacts_path(home), limit)
