"""How many workers of one kind run side by side on a cluster, if nothing else runs there. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from actors.nodes import NodeFacts
from actors.orchestrator.placed import Placed
from actors.orchestrator.placement import MEMORY_SHARE
from actors.orchestrator.rooms import Room, Tenant, find_spot

_MOST_COUNTED = 256


def side_by_side(nodes: Iterable[NodeFacts], placed: Placed, max_workers: int | None = None) -> int:
    """Return how many workers like this run side by side. There is at least one: it waits until it has room.

    Args:
        nodes: the machines that may do the work.
        placed: what each worker takes.
        max_workers: upper limit from the configuration.
    """
    rooms = [
        Room(one.node_id, one.cpus, one.gpus, one.memory_bytes * MEMORY_SHARE, one.accelerator_type) for one in nodes
    ]
    tenants: list[Tenant] = []
    most = min(max_workers or _MOST_COUNTED, _MOST_COUNTED)
    while len(tenants) < most and (spot := find_spot(rooms, tenants, placed)):
        tenants.append((placed, spot))
    return max(len(tenants), 1)


def workers_of_units(
    nodes: Iterable[NodeFacts], placed: Mapping[str, Placed], max_workers: int | None
) -> dict[str, int]:
    """Return for each unit how many workers like its own run side by side, each as fast as it is alone.

    Workers that share a GPU share its speed, so all that are on one GPU count as one.
    """
    machines = tuple(nodes)
    counts = {one: _as_fast_as_alone(side_by_side(machines, one, max_workers), one) for one in set(placed.values())}
    return {unit: counts[one] for unit, one in placed.items()}


def _as_fast_as_alone(workers: int, placed: Placed) -> int:
    if not 0 < placed.gpus < 1:
        return workers
    on_one_gpu = math.floor(1 / placed.gpus)
    return math.ceil(workers / on_one_gpu)
