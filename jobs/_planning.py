"""Make the plan of a pipeline, with all checks that come before the work."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from actors.nodes import Nodes
from actors.orchestrator.done import find_done, known_seed_groups
from actors.orchestrator.human_answers import human_scores_of
from actors.orchestrator.memory_limits import MemoryLimits, limit_notices, read_limits, with_device_share
from actors.orchestrator.plan import Plan
from actors.orchestrator.planning.make_plan import make_plan
from actors.orchestrator.planning.published import settings_of
from actors.orchestrator.results import check_results
from actors.orchestrator.room import check_disk, check_local_memory, with_kept_cache_limit
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.inspect import inspect
from actors.orchestrator.sources.reporter import Reporter
from actors.ownership import check_place
from actors.store import RunDirectory
from actors.tracking.reachable import check_reachable
from conf.faults import BadInput, Fault
from conf.files import exists
from jobs._counter import TerminalReporter
from jobs._nodes import check_fetched, find_nodes
from jobs._ray import devices_of
from jobs._request import Request
from jobs._run_files import versions
from reporting.documents.requirements import check_documents
from reporting.notices import Notice


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
    plan = plan_within(request, run, nodes, read_limits(run), TerminalReporter())
    _check_room(request, plan)
    check_fetched(request.config, request.environment, plan)
    human_scores_of(plan, request.config)  # only to tell its faults before the start
    check_results(plan, request.config, description_of(request, plan))
    return plan


def plan_within(request: Request, run: RunDirectory, nodes: Nodes, limits: MemoryLimits, reporter: Reporter) -> Plan:
    """Return the plan that fills no more memory than the limits allow. Raises `BadInput`.

    Args:
        request: what is asked for.
        run: its run directory.
        nodes: the machines that may do the work.
        limits: how much memory may be filled.
        reporter: shows downloads and conversions.
    """
    config = with_kept_cache_limit(request.config, run)
    hashes = HashCache(config.storage.absolute(), reporter)
    usable = with_device_share(nodes.usable, limits.share)
    inputs = inspect(config, hashes, reporter, nodes=usable, limits=limits)
    plan = make_plan(config, request.pipeline_id, run, inputs, known_seed_groups(run))
    plan = replace(plan, nodes=nodes)
    notices = [*plan.notices, *nodes.notices]
    if config is not request.config:
        notices.append(Notice("cache_limit", mib=config.layout.kv_cache_mib))
    notices += limit_notices(limits, on_devices=devices_of(plan) > 0)
    if exists(config.storage):
        with contextlib.suppress(OSError):  # only a cache: if the storage cannot be written, a later check reports it
            hashes.save()
    return replace(plan, notices=tuple(notices))


def _check_room(request: Request, plan: Plan) -> None:
    done = find_done(plan)
    if request.only_judging:
        done |= {arm.unit for arm in plan.arms if arm.unit} | {one.unit for one in plan.imatrices}
        done |= {name for one in plan.imatrices for name in one.group_units}
    check_disk(request.config, plan, done)
    if request.environment.ray_address is None:
        check_local_memory(plan, done)


def description_of(request: Request, plan: Plan) -> dict[str, Any]:
    """Return settings, versions and the like, which are copied into the results."""
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": request.command,
        "settings": dict(settings_of(request.config)),
        "versions": versions(plan.nodes),
    }
