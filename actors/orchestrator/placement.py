"""Where work runs: how many workers a cluster has room for, and what each of them asks Ray for. Pure.

Threads a worker are a setting of the pipeline; the number of workers follows from them, never the other way
round, so that results do not depend on how many workers there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from actors.orchestrator.plan import Plan

MEMORY_SHARE = 0.8
"""Part of the cluster's memory that workers may fill; the rest is for the file cache and for Ray."""
WORKER_OVERHEAD_BYTES = 512 * 2**20
"""Python, llama.cpp's compute buffers and logits of one worker."""


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


def place(
    cluster: Cluster,
    *,
    threads: int,
    gpus_per_worker: float,
    use_gpu: bool,
    worker_bytes: int,
    max_workers: int | None,
) -> Placement:
    """Room for workers of `worker_bytes` (model and KV cache) with `threads` threads each; always at least one.

    A worker takes its threads as CPUs, but never more than there are: one that asked for more would wait for ever.
    """
    cpus = min(float(threads), cluster.cpus)
    gpus = gpus_per_worker if use_gpu and cluster.gpus > 0 else 0.0
    room = math.floor(cluster.cpus / cpus)
    if gpus:
        room = min(room, math.floor(cluster.gpus / gpus))
    room = min(room, math.floor(cluster.memory_bytes * MEMORY_SHARE / (worker_bytes + WORKER_OVERHEAD_BYTES)))
    if max_workers is not None:
        room = min(room, max_workers)
    return Placement(cpus, gpus, max(room, 1))


def worker_bytes(plan: Plan) -> int:
    """Memory of the largest worker that a plan needs: a GGUF and the KV cache of its largest benchmark."""
    per_cell = {model.name: model.kv_bytes_per_cell for model in plan.models}
    return max(
        plan.arm(block.arm).predicted_bytes + block.layout.n_ctx * per_cell[block.model] for block in plan.blocks
    )
