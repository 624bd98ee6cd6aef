"""Workers that do not start: which ones to stop waiting for, and the error if no worker starts. Pure.

Ray keeps an actor that fits on no node pending for ever. `actor` asks Ray; this module only decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.errors import NoPlaceError
from actors.orchestrator.placement import Placement

START_WITHIN_S = 300.0
"""How long to wait for a worker to start. A worker starts in seconds, but a cluster that grows on demand needs minutes
for a new machine."""


@dataclass(frozen=True)
class LateWorkers:
    """What to do about the workers that have not started in time."""

    give_up: bool
    """True if some workers are late and none has started. Nothing would ever be done then."""
    dismiss: tuple[int, ...]
    """Indices of the workers that should not be waited for any longer."""


def find_late_workers(started: Sequence[bool], waited_s: Sequence[float], within_s: float) -> LateWorkers:
    """Decide which workers to stop waiting for.

    Args:
        started: one entry per worker: has it started?
        waited_s: one entry per worker: seconds since it was hired.
        within_s: seconds in which a worker has to start.
    """
    late = tuple(
        index
        for index, (has_started, waited) in enumerate(zip(started, waited_s, strict=True))
        if not has_started and waited > within_s
    )
    if late and not any(started):
        return LateWorkers(give_up=True, dismiss=tuple(range(len(started))))
    return LateWorkers(give_up=False, dismiss=late)


def no_place_error(placement: Placement, nodes: Sequence[Mapping[str, Any]], within_s: float) -> NoPlaceError:
    """Return an error that says what a worker asks for, what the cluster has, and what to do.

    Args:
        placement: what each worker asks for.
        nodes: the cluster's nodes, as `ray.nodes()` returns them.
        within_s: seconds in which a worker had to start.
    """
    alive = [_resources(node["Resources"]) for node in nodes if node["Alive"]]
    asked = _resources({"CPU": placement.cpus_per_worker, "GPU": placement.gpus_per_worker})
    return NoPlaceError(
        f"no worker could start within {within_s:.0f} s: each asks for {asked} on one node; the cluster has "
        f"{len(alive)} node{'' if len(alive) == 1 else 's'} ({'; '.join(alive) or 'none alive'}). Use fewer --threads, "
        "stop other jobs to free their resources, or start nodes that are large enough."
    )


def _resources(given: Mapping[str, float]) -> str:
    """Return the CPUs and GPUs of a set of Ray resources as text, for example `4 CPU and 1 GPU`."""
    named = [f"{given[kind]:g} {kind}" for kind in ("CPU", "GPU") if given.get(kind)]
    return " and ".join(named) or "no CPU"
