"""Placement: how many workers a cluster has room for, and what each of them asks Ray for. Pure.

The number of threads per worker is a setting of the pipeline. The number of workers follows from it, never the other
way round, so results do not depend on the number of workers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from actors.orchestrator.plan import Plan
from actors.orchestrator.units import Role

MEMORY_SHARE = 0.8
"""Share of the cluster's memory that workers may fill. The rest is for the file cache and for Ray."""
WORKER_OVERHEAD_BYTES = 512 * 2**20
"""Memory that one evaluation worker needs for Python, llama.cpp's compute buffers and logits."""


@dataclass(frozen=True)
class Cluster:
    """The resources of a cluster, as Ray reports them."""

    cpus: float
    gpus: float
    memory_bytes: float


@dataclass(frozen=True)
class Placement:
    """What each worker asks for, and how many workers fit side by side."""

    cpus_per_worker: float
    gpus_per_worker: float
    workers: int
    """How many workers CPUs, GPUs and `--max-workers` allow."""
    memory_bytes: float
    """Memory that all workers together may fill."""
    worker_bytes: Mapping[Role, int] = field(hash=False)
    """Memory that a worker needs, by role. A role without work is left out."""

    def has_room(self, live: Sequence[Role], role: Role) -> bool:
        """Return whether one more worker of `role` may start beside the `live` ones. The first worker always may.

        `live` holds no workers that ask a judge behind an endpoint: they take no place.
        """
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
    """Return how many workers fit into a cluster, and what each of them asks for. At least one worker always fits.

    A worker asks for as many CPUs as it has threads, but never for more than the cluster has: it would wait for ever.

    Args:
        cluster: what the cluster has.
        threads: threads per worker.
        gpus_per_worker: GPUs per worker, or a fraction of one, if a GPU is used.
        use_gpu: whether workers use a GPU if there is one.
        worker_bytes: memory per worker, by role.
        max_workers: upper limit from the configuration.
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
    """Return the memory of the largest evaluation worker of a plan, in bytes.

    It holds what one block loads, or what all blocks of a pass load together.
    """
    per_cell = {model.name: model.kv_bytes_per_cell for model in plan.models}
    loaded: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for block in plan.blocks:
        arm = plan.arm(block.arm)
        cache = block.layout.n_ctx * per_cell[block.model]
        together = loaded[block.shared_pass or block.unit]
        together[arm.name] = arm.predicted_bytes + cache
        if block.shared_pass and arm.reference:
            # The reference is decoded in every pass of its arms, although its own records come from the first one.
            together[arm.reference] = plan.arm(arm.reference).predicted_bytes + cache
    return max(sum(together.values()) for together in loaded.values()) + WORKER_OVERHEAD_BYTES


def judging_bytes(plan: Plan) -> int:
    """Return the memory of the largest worker that decodes with a judge's GGUF, in bytes; 0 if there is none."""
    needs = [one.worker_bytes for one in plan.judges if one.endpoint is None]
    return max(needs) + WORKER_OVERHEAD_BYTES if needs else 0
