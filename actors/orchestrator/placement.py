"""Where work runs: how many workers a cluster has room for, and what each of them asks Ray for. Pure.

Threads a worker are a setting of the pipeline; the number of workers follows from them, never the other way
round, so that results do not depend on how many workers there are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from actors.orchestrator.plan import Plan
from actors.orchestrator.schedule import Role

MEMORY_SHARE = 0.8
"""Part of the cluster's memory that workers may fill; the rest is for the file cache and for Ray."""
WORKER_OVERHEAD_BYTES = 512 * 2**20
"""Python, llama.cpp's compute buffers and logits of one evaluation worker."""


@dataclass(frozen=True)
class Cluster:
    """What Ray says there is."""

    cpus: float
    gpus: float
    memory_bytes: float


@dataclass(frozen=True)
class Placement:
    """What each worker asks for, and how many fit side by side."""

    cpus_per_worker: float
    gpus_per_worker: float
    workers: int
    """As far as CPUs, GPUs and `--max-workers` allow."""
    memory_bytes: float
    """What all workers may fill together."""
    worker_bytes: Mapping[Role, int] = field(hash=False)
    """Memory of a worker by its role; a role without work is left out."""

    def has_room(self, live: Sequence[Role], role: Role) -> bool:
        """Whether one more worker of `role` may start beside the `live` ones. The first one always may."""
        if not live:
            return True
        filled = sum(self.worker_bytes.get(one, 0) for one in (*live, role))
        return len(live) < self.workers and filled <= self.memory_bytes


def place(
    cluster: Cluster,
    *,
    threads: int,
    gpus_per_worker: float,
    use_gpu: bool,
    worker_bytes: Mapping[Role, int],
    max_workers: int | None,
) -> Placement:
    """Room for workers of `worker_bytes` with `threads` threads each; always at least one.

    A worker takes its threads as CPUs, but never more than there are: one that asked for more would wait for ever.
    """
    cpus = min(float(threads), cluster.cpus)
    gpus = gpus_per_worker if use_gpu and cluster.gpus > 0 else 0.0
    room = math.floor(cluster.cpus / cpus)
    if gpus:
        room = min(room, math.floor(cluster.gpus / gpus))
    if max_workers is not None:
        room = min(room, max_workers)
    return Placement(cpus, gpus, max(room, 1), cluster.memory_bytes * MEMORY_SHARE, worker_bytes)


def evaluation_bytes(plan: Plan) -> int:
    """Memory of the largest evaluation worker of a plan: what one block loads, or all blocks of a pass together."""
    per_cell = {model.name: model.kv_bytes_per_cell for model in plan.models}
    loaded: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for block in plan.blocks:
        arm = plan.arm(block.arm)
        cache = block.layout.n_ctx * per_cell[block.model]
        together = loaded[block.shared_pass or block.unit]
        together[arm.name] = arm.predicted_bytes + cache
        if block.shared_pass and arm.reference:
            # Decoded in each pass of its arms, though its own records come of the first one.
            together[arm.reference] = plan.arm(arm.reference).predicted_bytes + cache
    return max(sum(together.values()) for together in loaded.values()) + WORKER_OVERHEAD_BYTES
