"""Workers that do not start: which ones to stop waiting for, and the error if no worker starts. Pure.

Ray keeps an actor that fits on no node pending for ever: its kind of node may be busy with other jobs, may still be
started by an autoscaler, or may not exist. `actor` asks Ray; this module only decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.orchestrator.placed import Ask
from actors.orchestrator.rooms import Room

START_WITHIN_S = 300.0
"""How long to wait for a worker to start. A worker starts in seconds, but a cluster that grows on demand needs minutes
for a new machine."""


@dataclass(frozen=True)
class LateWorkers:
    """What to do about the workers that have not started in time."""

    give_up: bool
    """True if some workers are late and nothing else is at work. Nothing would ever be done then."""
    dismiss: tuple[int, ...]
    """Indices of the workers that should not be waited for any longer."""


def find_late_workers(
    started: Sequence[bool], waited_s: Sequence[float], within_s: float, *, others_work: bool
) -> LateWorkers:
    """Decide which workers to stop waiting for.

    Args:
        started: one entry per worker: has it started?
        waited_s: one entry per worker: seconds since it was hired.
        within_s: seconds in which a worker has to start.
        others_work: whether a worker that has started is at work, or could take a unit of a late one.
    """
    late = tuple(
        index
        for index, (has_started, waited) in enumerate(zip(started, waited_s, strict=True))
        if not has_started and waited > within_s
    )
    if late and not others_work:
        return LateWorkers(give_up=True, dismiss=tuple(index for index, one in enumerate(started) if not one))
    return LateWorkers(give_up=False, dismiss=late)


def no_place(ask: Ask, rooms: Sequence[Room], within_s: float) -> str:
    """Return what a worker asks for, what the cluster has, and what to do.

    Args:
        ask: what the worker asks for.
        rooms: the nodes of the cluster.
        within_s: seconds in which it had to start.
    """
    allowed = [room for room in rooms if ask.nodes is None or room.node_id in ask.nodes]
    having = "; ".join(_resources(room.cpus, room.gpus, room.accelerator_type) for room in allowed) or "none alive"
    others = len(rooms) - len(allowed)
    not_for_it = f", and {others} that it must not use: they joined later, or are of another kind" if others else ""
    return (
        f"no worker could start within {within_s:.0f} s: each asks for "
        f"{_resources(ask.cpus, ask.gpus, ask.accelerator_type)} on one node; the cluster has {len(allowed)} "
        f"node{'' if len(allowed) == 1 else 's'} ({having}){not_for_it}. Use fewer --threads, stop other jobs to free"
        " their resources, or start nodes that are large enough."
    )


def _resources(cpus: float, gpus: float, accelerator_type: str | None) -> str:
    """Return CPUs and GPUs as text, for example `4 CPU and 1 GPU (L4)`."""
    cards = f"{gpus:g} GPU" + (f" ({accelerator_type})" if accelerator_type else "")
    named = [f"{cpus:g} CPU"] * bool(cpus) + [cards] * bool(gpus)
    return " and ".join(named) or "no CPU"
