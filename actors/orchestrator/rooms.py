"""The nodes of a cluster as rooms for workers: what each can give away, what is taken, and where one more fits. Pure.

It counts as Ray counts: processors of a node are one sum, but each GPU is counted by itself, because a share must lie
on one card and whole cards must be free. Memory is ours to count: Ray is not asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.orchestrator.placed import Ask, Placed
from actors.orchestrator.placement import MEMORY_SHARE

ACCELERATOR_LABEL = "ray.io/accelerator-type"
"""Ray's label of a node with GPUs, which names their kind."""
_PARTS = 10_000
"""Ray counts in ten-thousandths of a CPU or a GPU."""


@dataclass(frozen=True)
class Room:
    """What one node can give to workers."""

    node_id: str
    cpus: float
    gpus: float
    memory_bytes: float
    """Memory that workers may fill."""
    accelerator_type: str | None = None

    def suits(self, ask: Ask) -> bool:
        """Return whether a worker that asks for this could run here if nothing else did."""
        return (
            ask.cpus <= self.cpus
            and ask.gpus <= self.gpus
            and ask.accelerator_type in (None, self.accelerator_type)
            and (ask.nodes is None or self.node_id in ask.nodes)
        )


@dataclass(frozen=True)
class Spot:
    """Where a worker runs."""

    node_id: str
    cards: tuple[int, ...] = ()
    """Numbers of the GPUs that it uses, or uses a share of."""


Tenant = tuple[Placed, Spot]
"""A worker as a room knows it: what it takes, and where."""


def rooms_of(nodes: Iterable[Mapping[str, Any]], closed: frozenset[str] = frozenset()) -> tuple[Room, ...]:
    """Return the rooms of a cluster.

    Args:
        nodes: the nodes, as `ray.nodes()` returns them.
        closed: ids of nodes where nothing of ours can run.
    """
    return tuple(
        Room(
            node["NodeID"],
            node["Resources"].get("CPU", 0.0),
            node["Resources"].get("GPU", 0.0),
            node["Resources"].get("memory", 0.0) * MEMORY_SHARE,
            (node.get("Labels") or {}).get(ACCELERATOR_LABEL),
        )
        for node in nodes
        if node["Alive"] and node["NodeID"] not in closed
    )


def find_spot(rooms: Sequence[Room], tenants: Sequence[Tenant], placed: Placed) -> Spot | None:
    """Return the best place for one more worker; None if it has to wait.

    Work on GPUs goes where the fewest are free, so that other nodes keep room for work that needs many at once. Other
    work goes to nodes without GPUs first, so that processors are left for those that use GPUs.
    """
    found = [
        (_preference(room, tenants, placed), spot)
        for room in rooms
        if (spot := _spot_in(room, [one for one in tenants if one[1].node_id == room.node_id], placed))
    ]
    return min(found, key=lambda one: one[0])[1] if found else None


def _preference(room: Room, tenants: Sequence[Tenant], placed: Placed) -> tuple[float, float, int]:
    here = [one for one in tenants if one[1].node_id == room.node_id]
    free_cpus = room.cpus - sum(one.cpus for one, _ in here)
    gpus = room.gpus - sum(one.gpus for one, _ in here) if placed.gpus else room.gpus
    return gpus, -free_cpus, len(here)


def _spot_in(room: Room, here: Sequence[Tenant], placed: Placed) -> Spot | None:
    """Return a place in one room, or None. A worker that is alone in a room may need more memory than was estimated."""
    if not room.suits(placed.ask):
        return None
    if _parts(room.cpus) < _parts(placed.cpus) + sum(_parts(one.cpus) for one, _ in here):
        return None
    if here and room.memory_bytes < placed.node_bytes + sum(one.node_bytes for one, _ in here):
        return None
    cards = _cards(room, here, placed.gpus)
    return None if cards is None else Spot(room.node_id, cards)


def _cards(room: Room, here: Sequence[Tenant], gpus: float) -> tuple[int, ...] | None:
    """Return the cards for a worker; None if there are not enough. A share lies on the fullest card that has room."""
    if not gpus:
        return ()
    free = dict.fromkeys(range(int(room.gpus)), _PARTS)
    for placed, spot in here:
        for number in free.keys() & set(spot.cards):
            free[number] -= _parts(placed.gpus) if placed.gpus < 1 else _PARTS
    if gpus < 1:
        with_room = [number for number in free if free[number] >= _parts(gpus)]
        return (min(with_room, key=lambda number: free[number]),) if with_room else None
    whole = [number for number in free if free[number] == _PARTS]
    return tuple(whole[: round(gpus)]) if len(whole) >= round(gpus) else None


def _parts(amount: float) -> int:
    return round(amount * _PARTS)
