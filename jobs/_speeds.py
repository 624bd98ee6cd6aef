"""Measure how fast the models of a plan work on the nodes of a cluster, each in a place that its work will take.

A worker like those of the run is started for each model and ended after it. It asks Ray for the CPUs and GPUs of the
plan, so it waits while others use them; a cluster that stays busy gives no speed, and the message says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from actors.evaluation.actor import EvaluationWorker
from actors.evaluation.speed import answer_question
from actors.nodes import NodeFacts, Nodes
from actors.orchestrator.placed import Ask, Placed
from actors.orchestrator.processes.actor import ACTOR_NAME, labels_of, on_nodes
from actors.orchestrator.rooms import Room
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.speeds import Source, SpeedUnknown, Timed, read_answer
from actors.ray_process.actor import node_id, prepare
from jobs._placement_text import where_text
from reporting.escape import one_line

START_WITHIN_S = 60.0
"""Seconds for which a worker waits for its CPUs and GPUs. On an idle cluster it starts within a few."""
TOLD_EVERY_S = 15.0


@dataclass(frozen=True)
class Measured:
    """What was found out about the files of a plan."""

    timed: Mapping[str, Timed]
    """The speed of each file that could be measured, by its path."""
    unknown: Mapping[str, str]
    """Why the others have none, by path."""


def measure_on_nodes(
    sources: Sequence[Source],
    nodes: Nodes,
    usual: Placed,
    hashes: HashCache,
    report: Callable[[str], None],
    start_within_s: float = START_WITHIN_S,
) -> Measured:
    """Return the speed of each file, measured on the cluster that this process is connected to.

    Args:
        sources: the files.
        nodes: the machines that may do the work.
        usual: the place of a worker for files that have no place of their own.
        hashes: keeps the measurements.
        report: is told what is being measured, and what cannot be.
        start_within_s: seconds for which a worker waits for its place.
    """
    timed: dict[str, Timed] = {}
    unknown: dict[str, str] = {}
    busy: dict[Ask, str] = {}
    for source in sources:
        placed = source.placed or usual
        able = [node for node in nodes.usable if _room(node).suits(placed.ask)]
        kept = next(filter(None, (source.kept(hashes, machine_of(node, placed)) for node in able)), None)
        try:
            if kept is None and placed.ask in busy:  # nobody waits for the same place twice
                raise _ClusterBusy(busy[placed.ask])
            timed[source.path] = kept or _measured(source, placed, nodes, hashes, report, start_within_s)
        except SpeedUnknown as error:
            unknown[source.path] = one_line(str(error), 300)
            report(f"The speed of {source.name} is not known: {unknown[source.path]}")
            if isinstance(error, _ClusterBusy):
                busy[placed.ask] = str(error)
    return Measured(timed, unknown)


def machine_of(node: NodeFacts, placed: Placed) -> list[Any]:
    """Return what of a node counts for the speed of work in a place: its kind of devices, or its processors."""
    return [placed.devices.kind if placed.devices else [node.host, node.cpus], dict(node.build)]


class _ClusterBusy(SpeedUnknown):
    """No place for the worker got free in time."""


def _measured(
    source: Source,
    placed: Placed,
    nodes: Nodes,
    hashes: HashCache,
    report: Callable[[str], None],
    start_within_s: float,
) -> Timed:
    """Measure one file. Raise `SpeedUnknown` if that fails."""
    report(f"Measuring how fast {source.name} works on {where_text(placed)}")
    handle: Any = (
        ray.remote(EvaluationWorker)
        .options(name=f"{ACTOR_NAME} speed {source.name}", max_restarts=0, **_options(placed, nodes))
        .remote()
    )
    try:
        started = handle.__ray_call__.remote(node_id)
        if not _wait(started, start_within_s, report, f"Waiting for {_asked(placed)}"):
            raise _ClusterBusy(_why_busy(placed, start_within_s))
        node = next(one for one in nodes.usable if one.node_id == ray.get(started))
        handle.__ray_call__.remote(prepare)
        answer = handle.__ray_call__.remote(_answer, source.question)
        if not _wait(answer, source.wall_s, report, f"Measuring {source.name} on {node.host}"):
            raise SpeedUnknown(f"no answer from {node.host} within {source.wall_s:.0f} s")
        timed = read_answer(ray.get(answer))
    except RayError as error:
        cause = getattr(error, "cause", None)  # Ray gives one only if the worker is alive
        why = f"ended ({type(error).__name__})" if cause is None else f"failed ({type(cause).__name__}: {cause})"
        raise SpeedUnknown(f"the worker that measured it {why}") from error
    finally:
        ray.kill(handle)
    source.keep(hashes, machine_of(node, placed), timed)
    return timed


def _answer(_worker: Any, question: Mapping[str, Any]) -> str:
    return answer_question(question)


def _wait(ref: Any, within_s: float, report: Callable[[str], None], doing: str) -> bool:
    """Wait for a result, and tell now and then for how long. Return False if it does not come in time."""
    began = time.monotonic()
    while (left_s := began + within_s - time.monotonic()) > 0:
        if ray.wait([ref], timeout=min(left_s, TOLD_EVERY_S))[0]:
            return True
        if (waited_s := time.monotonic() - began) < within_s:
            report(f"{doing}: {waited_s:.0f} s, {within_s:.0f} s at most")
    return False


def _options(placed: Placed, nodes: Nodes) -> dict[str, Any]:
    """Return what Ray is asked for: processors, GPUs, and labels of the nodes that suit."""
    labels = on_nodes(one.node_id for one in nodes.usable) | labels_of(placed)
    return {"num_cpus": placed.cpus, "num_gpus": placed.gpus, "label_selector": labels}


def _why_busy(placed: Placed, within_s: float) -> str:
    """Say that no place got free, and how much of the cluster is in use."""
    total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    kinds = [("GPU", "GPUs")] * bool(placed.gpus) + [("CPU", "CPUs")]
    in_use = " and ".join(
        f"{total.get(kind, 0) - free.get(kind, 0):g} of {total.get(kind, 0):g} {name}" for kind, name in kinds
    )
    return f"{_asked(placed)} were not free within {within_s:.0f} s: {in_use} are in use. Try again later"


def _asked(placed: Placed) -> str:
    """Return what a worker asks Ray for, in words."""
    cpus = f"{placed.cpus:g} CPU{'' if placed.cpus == 1 else 's'}"
    return f"{where_text(placed)} with {cpus}" if placed.gpus else cpus


def _room(node: NodeFacts) -> Room:
    return Room(node.node_id, node.cpus, node.gpus, node.memory_bytes, node.accelerator_type)
