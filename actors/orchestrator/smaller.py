"""What follows if there was no memory: which plan can be smaller, and which units would only fail again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from actors.errors import RoomFor
from actors.orchestrator.units import Unit
from actors.orchestrator.worker import Worker

ShortOf = Literal["devices", "host"]
"""Where memory was missing."""
OUT_OF_MEMORY_ADVICE = (
    ". Finished groups are kept: run the same command again to continue with the others. --max-workers 1 needs the "
    "least memory, and a smaller --dataset-size has fewer groups"
)


def can_be_smaller(worker: Worker, wanted_for: RoomFor | None) -> ShortOf | None:
    """Return where a smaller plan would need less, after a worker found no memory. None: no plan helps.

    On devices a plan can use more of them, smaller KV caches, or the CPU for some layers. On the host only KV caches
    can be smaller. Quantizing and collecting a matrix have none.
    """
    if worker.on_devices:
        return "devices"
    return None if wanted_for == "weights" or worker.role == "quantization" else "host"


def with_same_weights(failed: Unit, waiting: Iterable[Unit]) -> list[str]:
    """Return the waiting units that load exactly what a unit has failed to load.

    In a pass a reference is loaded beside the arm. So an arm that has no room there may have room alone.
    """
    if failed.role == "quantization":
        return []
    return [
        unit.id
        for unit in waiting
        if (unit.role, unit.loads) == (failed.role, failed.loads)
        and (unit.shared_pass is None) == (failed.shared_pass is None)
    ]
