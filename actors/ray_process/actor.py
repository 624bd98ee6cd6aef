"""Where the process of a worker is, which devices Ray has given to it, and what it wrote before it died.

Most of these functions run in workers, so this module imports little.
"""

from __future__ import annotations

import os
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.llama.library import copy_errors
from actors.llama.offload import give_devices
from actors.ray_process.last_words import LastWords, last_words
from conf.environment import abort_without_debugger

_ANSWER_WITHIN_S = 30.0


def node_id(_worker: Any) -> str:
    """Return the node of the process that calls this."""
    return str(ray.get_runtime_context().get_node_id())


def error_file(_worker: Any) -> str:
    """Return the file to which the process that calls this writes its standard error; an empty text if unknown."""
    try:
        return os.readlink("/proc/self/fd/2")
    except OSError:  # only Linux has this name
        return ""


def ask_last_words(node: str, path: str) -> LastWords | None:
    """Return what a dead worker wrote at its end, read on its node; None if it says nothing, or the node is gone.

    Args:
        node: Ray's id of the node.
        path: what `error_file` returned there.
    """
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    asked = ray.remote(last_words).options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(path)
    try:
        found: LastWords | None = ray.get(asked, timeout=_ANSWER_WITHIN_S)
    except RayError:
        return None
    return found


def prepare(worker: Any) -> None:
    """Prepare a worker's process, before its first work: it gets its devices, and leaves words if it crashes."""
    abort_without_debugger()
    copy_errors()
    _take_devices(worker)


def _take_devices(worker: Any) -> None:
    """Let the process that calls this use only the devices that Ray gave it; all of them if it has all GPUs there."""
    given = [int(number) for number in ray.get_gpu_ids() if str(number).isdigit()]
    own = node_id(worker)
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    there = next((node["Resources"].get("GPU", 0.0) for node in nodes if node["NodeID"] == own), 0.0)
    give_devices(given if len(given) < there else ())
