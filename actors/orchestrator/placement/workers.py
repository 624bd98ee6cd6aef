"""The memory of workers on the CPU, by role: what the largest one of a plan needs. Pure."""

from __future__ import annotations

from collections import defaultdict

from actors.orchestrator.plan import Plan

MEMORY_SHARE = 0.8
"""Share of a node's memory that workers may fill. The rest is for the file cache and for Ray."""
WORKER_OVERHEAD_BYTES = 512 * 2**20
"""Memory that one evaluation worker needs for Python, llama.cpp's compute buffers and logits."""


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
