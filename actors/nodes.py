"""What is known about the machines of a cluster. Plain data.

The facts are read on each machine by a small task of `actors.nodes_reading`, never on the driver's machine for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from actors.llama.devices import Device


@dataclass(frozen=True)
class NodeFacts:
    """The facts of one machine."""

    node_id: str
    """Ray's id of the node. Empty for this machine without a cluster."""
    host: str
    cpus: float
    """CPUs that Ray may give away there."""
    memory_bytes: float
    """Memory that Ray may give away there."""
    gpus: float
    """GPUs that Ray may give away there. Ray counts cards of some makers only, and takes any number that it is told."""
    devices: tuple[Device, ...]
    """The devices that llama.cpp's build there can use. Empty: it decodes on the CPU."""
    build: Mapping[str, str] = field(hash=False)
    """`actors.llama.library.build()` of that machine, which is in the keys of what it makes."""
    accelerator_type: str | None = None
    """Ray's label `ray.io/accelerator-type`. None: the node has none."""
    driver: str | None = None
    """Versions of the GPU's driver and of CUDA, in words. None: unknown."""
    missing_paths: tuple[str, ...] = ()
    """Paths of the plan (storage, models, data) that this machine does not see."""
