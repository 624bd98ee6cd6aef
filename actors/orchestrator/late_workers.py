"""Workers that Ray finds no place for: how long they are waited for, and what is said then. Pure.

Ray keeps an actor that fits on no node pending for ever. Asking is the orchestrator's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.errors import NoPlaceError
from actors.orchestrator.placement import Placement

START_WITHIN_S = 300.0
"""A cluster that grows by itself needs minutes for a new machine; a worker starts in seconds."""


@dataclass(frozen=True)
class Waiting:
    """What is done about workers that have not started in time."""

    give_up: bool
    """No worker of ours is alive, so nothing will ever be done."""
    dismiss: tuple[int, ...]
    """Places in the list of workers, of those that are waited for no longer."""


def find_late_workers(started: Sequence[bool], waited_s: Sequence[float], within_s: float) -> Waiting:
    """By worker: whether it has started, and for how long it is being waited for."""
    late = tuple(
        index
        for index, (is_there, waited) in enumerate(zip(started, waited_s, strict=True))
        if not is_there and waited > within_s
    )
    if late and not any(started):
        return Waiting(give_up=True, dismiss=tuple(range(len(started))))
    return Waiting(give_up=False, dismiss=late)


def no_place(placement: Placement, nodes: Sequence[Mapping[str, Any]], within_s: float) -> NoPlaceError:
    """What was asked for, what the cluster has, and the next step. `nodes` as `ray.nodes()` gives them."""
    there = [_resources(node["Resources"]) for node in nodes if node["Alive"]]
    asked = _resources({"CPU": placement.cpus_per_worker, "GPU": placement.gpus_per_worker})
    return NoPlaceError(
        f"no worker could start within {within_s:.0f} s: each asks for {asked} on one node; the cluster has "
        f"{len(there)} node{'' if len(there) == 1 else 's'} ({'; '.join(there) or 'none alive'}). Use fewer --threads, "
        "free what other jobs hold, or start nodes that are large enough."
    )


def _resources(given: Mapping[str, float]) -> str:
    named = [f"{given[kind]:g} {kind}" for kind in ("CPU", "GPU") if given.get(kind)]
    return " and ".join(named) or "no CPU"
