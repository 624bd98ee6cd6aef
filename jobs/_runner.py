"""Carries a plan out: owns the run directory, starts Ray, follows the orchestrator, and keeps the mirror.

The driver is the only writer of `progress.json` and of MLflow. Killed at any point, the same command goes on
where it was: what is done has its done-mark on disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import ray
from ray.exceptions import RayTaskError

from actors.errors import NoPlaceError
from actors.llama import library
from actors.orchestrator.actor import Ending, Job, Orchestrator, View
from actors.orchestrator.done import adopt, find_done, known_seed_groups, remove_leftovers, write_meta
from actors.orchestrator.placement import Cluster, evaluation_bytes, place
from actors.orchestrator.plan import Plan
from actors.orchestrator.planning.make_plan import make_plan
from actors.orchestrator.planning.published import plan_json, settings_of
from actors.orchestrator.room import (
    check_disk,
    check_local_memory,
    quantization_bytes,
    with_half_of_largest_cache,
    with_kept_cache_limit,
)
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.inspect import inspect
from actors.ownership import owned
from actors.store import RunDirectory, exists, mlflow_database_path, read_json, remove, write_json, write_text
from actors.tracking.mirror import check_reachable
from conf import VERSION
from conf.environment import Environment, let_waiting_threads_sleep, protect_local_ray, silence_ray
from conf.faults import BadInput, Fault
from conf.load import dump_yaml
from conf.schema import PipelineConfig
from jobs._counter import TerminalReporter
from jobs._display import make_display
from jobs._follower import Follower
from jobs._mirror import BackgroundMirror
from jobs._preflight import check_pango

POLL_S = 0.5
STOP_WITHIN_S = 2.0
"""`ray job stop` kills 3 seconds after it has asked."""
LOCAL_OBJECT_STORE_BYTES = 256 * 2**20
VERSIONED_PACKAGES = ("ray", "mlflow", "numpy", "scipy", "polars", "altair", "vl-convert-python", "weasyprint", "gguf")


class Stopped(Exception):
    """SIGTERM or SIGINT arrived; carries the exit code."""

    def __init__(self, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(signal.Signals(signal_number).name)


@dataclass(frozen=True)
class Request:
    """One pipeline to run."""

    config: PipelineConfig
    pipeline_id: str
    environment: Environment
    command: str
    make_documents: bool
    mlflow_home: Path
    """Folder of the SQLite store and the artifacts, where no MLFLOW_TRACKING_URI is set."""


@dataclass(frozen=True)
class Finished:
    """How it ended."""

    run: RunDirectory
    failures: tuple[Mapping[str, Any], ...]
    notices: tuple[str, ...]
    nothing_to_do: bool


def prepare(request: Request) -> Plan:
    """All checks and the plan; nothing is written but a cache of file hashes. Raises `BadInput`."""
    run = RunDirectory(request.config.storage.absolute() / request.pipeline_id)
    if request.environment.mlflow_tracking_uri:
        check_reachable(request.environment.mlflow_tracking_uri)
    if request.make_documents:
        check_pango()
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
        with contextlib.suppress(OSError):  # a cache: a storage that cannot take it will say so where it matters
            hashes.save()
    return plan


def carry_out(request: Request, plan: Plan, announce: Callable[[Plan, RunDirectory], None]) -> Finished:
    """Run a prepared plan to its end. Raises `BadInput` where another live job owns it, `Stopped` on a signal."""
    run = RunDirectory(request.config.storage.absolute() / request.pipeline_id)
    mirror = _make_mirror(request)
    with owned(run, request.environment.submission_id) as token:
        remove_leftovers(run)
        adopt(plan, run)
        changed = (*changed_margins(run, request.config), *looked_before(run, request.config))
        plan = replace(plan, notices=(*plan.notices, *changed))
        done = find_done(plan)
        if _is_finished(plan, run, done, request):
            return Finished(run, mirror.close(run), (), nothing_to_do=True)
        announce(plan, run)
        _write_start(request, plan, run)
        outcome = _follow(request, plan, run, token, mirror, ends_without_room=True)
        while outcome.without_room:
            smaller = _with_smaller_caches(request, plan, run)
            if smaller is not None:
                plan = replace(smaller, notices=(*smaller.notices, *changed))
                _write_start(request, plan, run)
            # With nothing smaller, what has room is done and the rest recorded as failed.
            outcome = _follow(request, plan, run, token, mirror, ends_without_room=smaller is not None)
        return _finish(plan, run, outcome, mirror)


def _with_smaller_caches(request: Request, plan: Plan, run: RunDirectory) -> Plan | None:
    """The plan with half of its largest KV cache; None where a benchmark would not fit into that."""
    config = with_half_of_largest_cache(request.config, plan)
    if config is None:
        return None
    try:
        smaller = _prepare(request, config, run)
    except BadInput:
        return None
    # Before anything is done under it: the same command, started again, begins with it.
    write_json(run.cache_limit, {"kv_cache_mib": config.layout.kv_cache_mib})
    adopt(smaller, run)
    return smaller


def changed_margins(run: RunDirectory, config: PipelineConfig) -> list[str]:
    """Margins belong to what is fixed before anything is seen: a notice where this run has been started with others."""
    if not exists(run.plan):
        return []
    before = read_json(run.plan)["settings"].get("statistics", {}).get("margins")
    now = config.statistics.margins.model_dump()
    if before is None or before == now:
        return []
    return [f"The margins were changed after this run was first started: {before} before, {now} now."]


def looked_before(run: RunDirectory, config: PipelineConfig) -> list[str]:
    """A notice where items were looked at as they came in, and this time nothing allows for that."""
    if config.statistics.early_stop or not exists(run.plan):
        return []
    if not read_json(run.plan)["settings"].get("statistics", {}).get("early_stop"):
        return []
    return [
        "This run was started with --early-stop before: whoever goes on because of what was seen then should know that"
        " the intervals here do not allow for it."
    ]


def _follow(
    request: Request, plan: Plan, run: RunDirectory, token: str, mirror: BackgroundMirror, *, ends_without_room: bool
) -> Ending:
    """Have the plan carried out, and show how it goes."""
    progress = Follower(request.pipeline_id, run)
    with make_display() as display:
        try:
            outcome = _orchestrate(
                request, plan, run, token, ends_without_room, lambda view: progress.show(view, display, mirror)
            )
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


def _finish(plan: Plan, run: RunDirectory, outcome: Ending, mirror: BackgroundMirror) -> Finished:
    failures = tuple({"unit": one.unit, "phase": one.phase, "error": one.error} for one in outcome.failures)
    write_json(run.failures, [dict(failure) for failure in failures])
    _write_manifest(plan, run, failures, outcome)
    return Finished(run, (*failures, *mirror.close(run)), outcome.notices, nothing_to_do=False)


def _orchestrate(
    request: Request,
    plan: Plan,
    run: RunDirectory,
    token: str,
    ends_without_room: bool,
    show: Callable[[View], None],
) -> Ending:
    """Start Ray and the orchestrator, and show its view until it is through."""
    config = request.config
    connect(request.environment, config.layout.threads)
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    use_gpu = any(block.layout.gpu_layers for block in plan.blocks)
    placement = place(
        Cluster(resources.get("CPU", 1.0), resources.get("GPU", 0.0), resources.get("memory", 8.0 * 2**30)),
        threads=config.layout.threads,
        gpus_per_worker=config.execution.gpus_per_worker,
        use_gpu=use_gpu,
        worker_bytes={"quantization": quantization_bytes(plan), "evaluation": evaluation_bytes(plan)},
        max_workers=config.execution.max_workers,
    )
    job = Job(
        config=config,
        plan=plan,
        run_root=str(run.root),
        owner_token=token,
        placement=placement,
        done=find_done(plan),
        description=_description(request),
        make_documents=request.make_documents,
        ends_without_room=ends_without_room,
    )
    # Ray puts a handler of its own on SIGTERM while it starts, so ours comes after.
    with _signals() as arrived:
        handle: Any = ray.remote(Orchestrator)
        handle = handle.options(num_cpus=0, max_concurrency=8).remote(job)
        ref = handle.run.remote(handle)
        while not ray.wait([ref], timeout=POLL_S)[0]:
            if arrived:
                raise Stopped(arrived[0])
            show(ray.get(handle.view.remote()))
        show(ray.get(handle.view.remote()))
        return _outcome(ref)


def _outcome(ref: Any) -> Ending:
    """How the orchestrator ended. Raises what it raised itself, where that is for people to read."""
    try:
        return cast(Ending, ray.get(ref))
    except RayTaskError as error:
        if isinstance(error.cause, NoPlaceError):
            raise NoPlaceError(str(error.cause)) from None
        raise


def connect(environment: Environment, threads: int) -> None:
    """Join the cluster of RAY_ADDRESS, else start a local Ray. Raises `BadInput` where the cluster does not answer."""
    silence_ray()
    let_waiting_threads_sleep()
    if environment.ray_address is None:
        protect_local_ray()
        cores = os.cpu_count() or 1
        ray.init(
            address="local",
            num_cpus=max(cores, threads),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=LOCAL_OBJECT_STORE_BYTES,
        )
        return
    try:
        ray.init(address=environment.ray_address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BadInput(
            Fault(
                "RAY_ADDRESS",
                environment.ray_address,
                "the address of a running Ray cluster: host:6379, or auto",
                "The dashboard's http address is for `ray job submit`. Start one with `ray start --head`, or unset "
                f"RAY_ADDRESS for a local Ray. ({error})",
            )
        ) from None


def _description(request: Request) -> dict[str, Any]:
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": request.command,
        "settings": dict(settings_of(request.config)),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of everything that a result depends on."""
    packages = {name.replace("-", "_"): metadata.version(name) for name in VERSIONED_PACKAGES}
    return {"quant_assay": VERSION, "python": platform.python_version(), **library.build(), **packages}


def _write_start(request: Request, plan: Plan, run: RunDirectory) -> None:
    """Configuration, plan and the records' keys, before any work."""
    remove(run.manifest)
    write_text(run.config, dump_yaml(request.config))
    write_json(run.plan, plan_json(plan, run, versions(), settings_of(request.config)))
    for directory in plan.directories:
        write_meta(directory)


def _write_manifest(plan: Plan, run: RunDirectory, failures: tuple[Mapping[str, Any], ...], outcome: Ending) -> None:
    """The pipeline's done-mark, written last."""
    write_json(
        run.manifest,
        {
            "schema_version": 1,
            "pipeline_id": plan.pipeline_id,
            "plan_hash": plan.plan_hash,
            "state": "failed" if failures else "done",
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": versions(),
            "files": sorted(str(Path(path).relative_to(run.root)) for path in outcome.files),
            "failures": [dict(failure) for failure in failures],
            "notices": list(outcome.notices),
            "spared": list(outcome.spared),
        },
    )


def _is_finished(plan: Plan, run: RunDirectory, done: frozenset[str], request: Request) -> bool:
    """True where the same plan ran to its end before and all of its files are still there."""
    if not exists(run.manifest):
        return False
    manifest = read_json(run.manifest)
    needed = {arm.unit for arm in plan.arms if arm.unit} | {block.unit for block in plan.blocks}
    needed -= set(manifest.get("spared", ()))
    same = manifest["state"] == "done" and manifest["plan_hash"] == plan.plan_hash and needed <= done
    documents = request.make_documents <= exists(run.scorecard)
    return bool(same and documents and all(exists(run.root / name) for name in manifest["files"]))


def _make_mirror(request: Request) -> BackgroundMirror:
    limit = request.config.tracking.gguf_limit_mib * 2**20
    if request.environment.mlflow_tracking_uri:
        return BackgroundMirror(request.environment.mlflow_tracking_uri, None, limit)
    home = request.mlflow_home.absolute()
    return BackgroundMirror(f"sqlite:///{mlflow_database_path(home)}", home / "mlartifacts", limit)


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals SIGTERM and SIGINT that arrive while the block runs: `ray job stop` leaves 3 seconds before SIGKILL.

    They are noted, not raised: an exception out of a handler would break Ray's calls in the middle.
    """
    arrived: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda got, _frame: arrived.append(got)) for number in numbers}
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def new_pipeline_id(model: str) -> str:
    """`YYYYmmdd-HHMMSS-<model>`, by local time."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{model}"[:128]
