"""The places of all workers of a plan. Plain data: placement decides it once, before the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from actors.orchestrator.placed import Memory, Placed
from actors.orchestrator.units import PLACED, Role, Unit


@dataclass(frozen=True)
class Places:
    """What a worker takes while it works on a unit."""

    by_role: Mapping[Role, Placed] = field(hash=False)
    """For units that have no place of their own."""
    by_unit: Mapping[str, Placed] = field(default_factory=dict, hash=False)
    """All units of a pass have the place of the whole pass."""
    max_workers: int | None = None
    """Most workers at the same time, from the configuration. Those that ask an endpoint do not count."""
    closed_nodes: frozenset[str] = frozenset()
    """Ids of nodes where nothing can run, because they do not see the files."""

    def of(self, unit: Unit) -> Placed:
        """Return the place of a unit."""
        return self.by_unit.get(unit.id) or self.by_role[unit.role]


def equal_places(
    cpus: float,
    worker_bytes: Mapping[Role, int],
    by_unit: Mapping[str, Placed],
    max_workers: int | None,
    closed_nodes: frozenset[str] = frozenset(),
) -> Places:
    """Return places in which all workers ask for the same, except those of the units in `by_unit`.

    Args:
        cpus: CPUs of each worker.
        worker_bytes: memory of a worker, by role.
        by_unit: the places of units that need others.
        max_workers: most workers at the same time.
        closed_nodes: nodes where nothing can run.
    """
    return Places(
        {
            role: Placed(
                cpus=cpus,
                gpus=0.0,
                devices=None,
                gpu_layers=0,
                host=Memory(worker_bytes.get(role, 0), 0, 0),
                device=Memory(0, 0, 0),
            )
            for role in PLACED
        },
        by_unit,
        max_workers,
        closed_nodes,
    )


def kept_to(nodes: frozenset[str], places: Places) -> Places:
    """Return the places with all work on these nodes, given by their ids.

    What a node can do is known from facts that it told before the plan. One that joins later may have another build of
    llama.cpp, which no key names, or may not see the files.
    """
    every = {*places.by_role.values(), *places.by_unit.values()}
    kept = {one: replace(one, nodes=nodes if one.nodes is None else nodes & one.nodes) for one in every}
    return replace(
        places,
        by_role={role: kept[one] for role, one in places.by_role.items()},
        by_unit={unit: kept[one] for unit, one in places.by_unit.items()},
    )
