"""Carry out a plan: own the run directory, have the orchestrator do the work, show the progress, mirror to MLflow.

The driver is the only writer of `progress.json` and of MLflow. If it is killed at any point, the same command
continues from there, because everything that is done has its done-mark on disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import ray

from actors.orchestrator.actor import Ending, Job
from actors.orchestrator.done import adopt, describe_done, find_done, remove_leftovers
from actors.orchestrator.looks import history_notices
from actors.orchestrator.memory_limits import Shortage
from actors.orchestrator.plan import Plan
from actors.ownership import owned
from actors.store import RunDirectory, mlflow_artifacts_path, mlflow_database_path
from conf.files import reserved_space, write_json
from jobs._display import make_display
from jobs._follower import Follower
from jobs._mirror import BackgroundMirror
from jobs._planning import description_of
from jobs._ray import Stopped, connect, devices_of, orchestrate, place_workers
from jobs._request import Finished, Request
from jobs._run_files import is_finished, write_manifest, write_start
from jobs._smaller import SmallerPlans

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
    smaller = SmallerPlans(request, run, plan, history)
    outcome = _follow(job, plan, smaller)
    return _finish(smaller.plan, run, outcome)


def _follow(job: _Job, plan: Plan, smaller: SmallerPlans) -> Ending:
    """Start Ray, have the orchestrator carry out the plan, and show its progress. Smaller plans replace it."""
    progress = job.progress

    def answer(shortage: Shortage) -> Job | None:
        found = smaller.make(shortage)
        return None if found is None else _order(job, found)

    with make_display() as display:
        try:
            request = job.request
            connect(request.environment, request.config.layout.threads, request.pipeline_id, devices_of(plan))
            outcome = orchestrate(_order(job, plan), lambda view: progress.show(view, display, job.mirror), answer)
        except Stopped:
            progress.end("stopped", display)
            # Before Ray is shut down, which may take longer.
            job.mirror.finish(job.run, _stop_within_s(job.request))
            raise
        finally:
            ray.shutdown()
        progress.end("failed" if outcome.failures else "done", display, outcome)
    return outcome


def _order(job: _Job, plan: Plan) -> Job:
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
        description=description_of(request, plan),
        make_documents=request.make_documents,
        methodology_path=str(methodology.absolute()) if methodology else None,
        asks_for_smaller=True,
        only_judging=request.only_judging,
    )


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
