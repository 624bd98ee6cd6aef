"""Where the process of a worker is, and which devices Ray has given to it.

These functions run in workers, so this module imports little.
"""

from __future__ import annotations

from typing import Any

import ray

from actors.llama.offload import give_devices


def node_id(_worker: Any) -> str:
    """Return the node of the process that calls this."""
    return str(ray.get_runtime_context().get_node_id())


def take_devices(worker: Any) -> None:
    """Let the process that calls this use only the devices that Ray gave it; all of them if it has all GPUs there."""
    given = [int(number) for number in ray.get_gpu_ids() if str(number).isdigit()]
    own = node_id(worker)
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    there = next((node["Resources"].get("GPU", 0.0) for node in nodes if node["NodeID"] == own), 0.0)
    give_devices(given if len(given) < there else ())
