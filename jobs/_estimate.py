"""Estimate how long a plan takes, from the speeds of its models: on this machine, or on the nodes of its cluster."""

from __future__ import annotations

from collections.abc import Mapping

from actors.orchestrator.capacity import workers_of_units
from actors.orchestrator.duration import Duration, NoDuration, duration_of
from actors.orchestrator.plan import Plan
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.speeds import Timed, measure_sources, sources_of
from conf.files import exists
from jobs._counter import TerminalReporter
from jobs._nodes import connected
from jobs._ray import place_workers, workers_on_cpus
from jobs._request import Request
from jobs._speeds import measure_on_nodes


def estimate(request: Request, plan: Plan, done: frozenset[str]) -> Duration | NoDuration:
    """Return how long the rest of a plan takes on its machines, or why that is not known."""
    config, report = request.config, TerminalReporter().say
    hashes = HashCache(config.storage.absolute())
    if request.environment.ray_address is None:
        timed: Mapping[str, Timed] = measure_sources(plan, hashes, report)
        why = "no model could be measured on this machine"
    else:
        with connected(config.layout.threads, request.environment, plan.pipeline_id):
            usual = place_workers(config, plan).by_role["evaluation"]
            found = measure_on_nodes(sources_of(plan), plan.nodes, usual, hashes, report)
        timed = found.timed
        why = next(iter(found.unknown.values()), "the plan has no model that could be measured")
    if exists(config.storage):
        hashes.save()
    side_by_side = workers_of_units(plan.nodes.usable, plan.placed, config.execution.max_workers)
    duration = duration_of(plan, done, timed, workers_on_cpus(config, plan), side_by_side)
    return duration or NoDuration(why)
