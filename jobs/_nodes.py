"""Read the facts of the machines that a job may use: of this one, or of every node of the cluster, each on the spot."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.machine import existing_parent
from actors.nodes import NodeFacts, Nodes, check_builds, device_notices
from actors.nodes_reading import local_cpus, local_memory_bytes, node_facts, path_sizes, read_node
from actors.orchestrator.placement.choose import check_wanted
from actors.orchestrator.plan import Plan
from actors.orchestrator.processes.actor import ACTOR_NAME
from actors.orchestrator.rooms import ACCELERATOR_LABEL
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.uploaded_copy import UPLOADED_COPY, paths_of_workers
from conf.environment import Environment
from conf.faults import BadInput, Fault
from conf.files import exists
from conf.schema.pipeline import PipelineConfig
from jobs._ray import connect
from reporting.escape import one_line
from reporting.notices import Notice

ANSWER_WITHIN_S = 90.0
"""Seconds that a node gets to start a process and to list its devices."""


@dataclass(frozen=True)
class Silent:
    """A node of the cluster that told nothing about itself."""

    node_id: str
    host: str
    reason: str


def find_nodes(config: PipelineConfig, environment: Environment, name: str) -> Nodes:
    """Return the machines that may do the work of a pipeline. The answers are kept in the storage for a short time.

    Args:
        name: what is run, for Ray's list of jobs.

    Raises:
        BadInput: the cluster does not answer, no machine can do the work or has as many GPUs as a worker shall have, or
            llama.cpp differs between them.
    """
    kept = HashCache(config.storage.absolute())
    if environment.ray_address is None:
        nodes = Nodes((this_machine(config.layout.threads, kept),))
    else:
        with _seen_by_all(config, environment) as paths, connected(config.layout.threads, environment, name):
            nodes = usable_nodes(*ask_cluster(paths, kept))
    if exists(config.storage):
        kept.save()
    check_wanted(nodes.usable, config.execution.gpus_per_worker)
    found = [notice for one in nodes.usable for notice in (*device_notices(one), *gpu_notices(one))]
    notices = (*nodes.notices, *check_builds(nodes.usable), *found)
    return Nodes(nodes.usable, nodes.avoided, notices)


def check_fetched(config: PipelineConfig, environment: Environment, plan: Plan) -> None:
    """Check that each usable node sees the files that were downloaded or converted for a plan, which is done here.

    Raises:
        BadInput: a node does not see some of them.
    """
    paths = fetched_paths(plan, config, environment)
    if environment.ray_address is None or not paths:
        return
    with connected(config.layout.threads, environment, plan.pipeline_id):
        facts, _ = ask_cluster(path_sizes(paths), HashCache(config.storage.absolute()))
    usable = {one.node_id for one in plan.nodes.usable}
    without = [one for one in facts if one.node_id in usable and one.missing_paths]
    step = "Set HF_HOME and QUANT_ASSAY_CACHE, where this job runs, to folders on a disk that all nodes share."
    allowed = "nodes that see what was downloaded and converted on the machine of this job"
    if without:
        raise BadInput(
            Fault("RAY_ADDRESS", f"{one.host} without {_listed(one.missing_paths)}", allowed, step) for one in without
        )


def fetched_paths(plan: Plan, config: PipelineConfig, environment: Environment) -> list[str]:
    """Return the files that workers of a plan read, but those that the user named, that lie in the storage, or that Ray
    brings to each machine."""
    paths = [model.path for model in plan.models]
    paths += [arm.gguf_path for arm in plan.arms if arm.order is None and arm.endpoint is None]
    paths += [judge.gguf_path for judge in plan.judges if judge.gguf_path is not None]
    paths += [text.path for one in plan.imatrices for text in one.order.texts]
    named, storage = set(paths_of_workers(config, environment)), config.storage.absolute()
    return [
        path
        for path in dict.fromkeys(paths)
        if path not in named and storage not in Path(path).parents and UPLOADED_COPY not in Path(path).parts
    ]


def this_machine(threads: int, kept: HashCache) -> NodeFacts:
    """Return the facts of this machine, without Ray.

    Args:
        threads: threads per worker; a local Ray has at least this many CPUs.
        kept: has what was read before, and keeps what is read now.
    """
    said = read_node({}, kept.kept(_name("")))
    kept.keep(_name(""), said)
    return node_facts(said, cpus=float(local_cpus(threads)), memory_bytes=local_memory_bytes())


def ask_cluster(
    paths: Mapping[str, int | None], kept: HashCache | None = None, within_s: float = ANSWER_WITHIN_S
) -> tuple[list[NodeFacts], list[Silent]]:
    """Return the facts of each node of the cluster that this process is connected to, and the nodes that tell none.

    Args:
        paths: the paths that work needs, each with the size of its file; None for a folder.
        kept: has what was read before, and keeps what is read now. None: everything is read now.
        within_s: seconds that the nodes get to answer.
    """
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [one for one in nodes if one["Alive"]]
    task = ray.remote(read_node)
    asked = {}
    for one in alive:
        there = NodeAffinitySchedulingStrategy(one["NodeID"], soft=False)
        known = kept.kept(_name(one["NodeManagerHostname"])) if kept else None
        options = task.options(name=f"{ACTOR_NAME} facts", num_cpus=0, max_retries=0, scheduling_strategy=there)
        asked[options.remote(paths, known)] = one
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=within_s)
    facts, without = [], [_silent(asked[ref], f"it gave no answer within {within_s:.0f} s") for ref in silent]
    for ref in answered:
        try:
            said = ray.get(ref)
            facts.append(_facts_of(asked[ref], said))
        except (RayError, BadInput) as error:
            without.append(_silent(asked[ref], one_line(str(error), 300)))
            continue
        if kept:
            kept.keep(_name(asked[ref]["NodeManagerHostname"]), said)
    return sorted(facts, key=lambda one: (one.host, one.node_id)), without


def usable_nodes(facts: list[NodeFacts], silent: list[Silent]) -> Nodes:
    """Return the nodes on which work can be placed: those with CPUs that see all paths.

    Raises:
        BadInput: there is none.
    """
    working = [one for one in facts if one.cpus > 0]
    blind = [one for one in working if one.missing_paths]
    usable = tuple(one for one in working if not one.missing_paths)
    if not usable:
        got = [f"{one.host} does not see {_listed(one.missing_paths)}" for one in blind]
        got += [f"{one.host} told nothing about itself: {one.reason}" for one in silent]
        told = "; ".join(got) or "no node has CPUs to give away"
        step = "Put storage, models and data on a disk that all nodes share, under the same path, or start nodes."
        raise BadInput(Fault("RAY_ADDRESS", told, "a cluster with a node that has CPUs and sees all paths", step))
    return Nodes(
        usable,
        avoided=(*(one.node_id for one in blind), *(one.node_id for one in silent)),
        notices=(
            *(Notice("node_blind", host=one.host, paths=_listed(one.missing_paths)) for one in blind),
            *(Notice("node_silent", host=one.host, reason=one.reason) for one in silent),
        ),
    )


@contextlib.contextmanager
def _seen_by_all(config: PipelineConfig, environment: Environment) -> Iterator[dict[str, int | None]]:
    """Yield the paths that all nodes must see, among them a new file: it tells a shared disk from one with its name."""
    paths = path_sizes(paths_of_workers(config, environment))
    folder = existing_parent(config.storage)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # `inspect` says that the storage cannot be written
            probe = stack.enter_context(tempfile.NamedTemporaryFile(dir=folder, prefix=".quant-assay-"))
            paths[probe.name] = 0
        yield paths


@contextlib.contextmanager
def connected(threads: int, environment: Environment, name: str) -> Iterator[None]:
    """Connect this process to the cluster while the block runs. The arguments are those of `connect`."""
    connect(environment, threads, name)
    try:
        yield
    finally:
        ray.shutdown()


def _facts_of(node: Mapping[str, Any], said: str) -> NodeFacts:
    resources, labels = node["Resources"], node.get("Labels") or {}
    return node_facts(
        said,
        node_id=node["NodeID"],
        cpus=resources.get("CPU", 0.0),
        memory_bytes=resources.get("memory", 0.0),
        gpus=resources.get("GPU", 0.0),
        accelerator_type=labels.get(ACCELERATOR_LABEL) or None,
    )


def _silent(node: Mapping[str, Any], reason: str) -> Silent:
    return Silent(node["NodeID"], node["NodeManagerHostname"], reason)


def _listed(paths: tuple[str, ...]) -> str:
    more = len(paths) - 3
    return f"{', '.join(paths[:3])}{f' and {more} more' if more > 0 else ''}"


def gpu_notices(node: NodeFacts) -> Iterator[str]:
    """Yield a notice if only one of Ray and llama.cpp has GPUs on a node. Ray knows the cards of some makers only."""
    if node.gpus and not node.devices and not device_notices(node):
        yield Notice("gpus_without_devices", host=node.host, n=round(node.gpus))
    if node.devices and not node.gpus:
        yield Notice("uncounted_devices", host=node.host, n=len(node.devices))


def _name(host: str) -> str:
    """Return the name under which the facts of a machine are kept; an empty host is this machine without Ray."""
    return f"node|{host}"
