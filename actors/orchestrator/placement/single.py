"""Places work that is compared with nothing: collecting an importance matrix, a judge's GGUF, quantizing. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from actors.llama.activations import MAX_BATCH
from actors.llama.layout import EngineLayout
from actors.llama.shape import ModelShape, Weights
from actors.nodes import NodeFacts
from actors.orchestrator.placed import Memory, Placed
from actors.orchestrator.placement.choose import Group, Load, best_fit, place_on_devices, place_on_host
from actors.orchestrator.placement.memory import need_of
from actors.quantization.memory import bytes_to_quantize
from conf.faults import BadInput, Fault


def place_model(groups: Sequence[Group], shape: ModelShape, layout: EngineLayout) -> Placed | None:
    """Return the place of a model that is loaded as it is; None if it does not run on devices."""
    load = Load("", (need_of(shape, shape.weights, layout),), layout.threads)
    fit = best_fit(groups, load)
    return None if fit is None else place_on_devices(fit, load, groups)


def place_collecting(
    groups: Sequence[Group], shape: ModelShape, weights: Weights, *, ctx: int, threads: int
) -> Placed | None:
    """Return the place of a worker that collects an importance matrix; None if it runs on the CPU.

    The sums of squares are made on the host: those of one chunk, and those of its group.
    """
    batch = min(ctx, MAX_BATCH)
    layout = EngineLayout(threads, 1, batch, batch, ctx, kv_unified=True, flash_attention=False, gpu_layers=0)
    need = need_of(shape, weights, layout)
    need = replace(need, logits_bytes=need.logits_bytes + 2 * 8 * shape.n_columns)
    load = Load("", (need,), threads)
    fit = best_fit(groups, load)
    return None if fit is None else place_on_devices(fit, load, groups)


QUANTIZING_SHARE = 0.5
"""Share of a node's processors for quantizing all arms side by side. Others decode on its devices meanwhile."""


def place_quantizing(nodes: Sequence[NodeFacts], shape: ModelShape, threads: int, *, arms: int = 1) -> Placed:
    """Return the place of a worker that quantizes: processors and memory, and never a device.

    Args:
        nodes: the machines.
        shape: the model.
        threads: processors that it gets at least. The result does not depend on their number.
        arms: how many arms are made. They share the processors.

    Raises:
        BadInput: no node has the memory.
    """
    needed = bytes_to_quantize(shape)
    able = [node for node in nodes if needed <= node.memory_bytes]
    if not able:
        most = max(node.memory_bytes for node in nodes)
        allowed = f"a node with {needed / 2**30:.1f} GiB of memory for quantizing"
        step = "Free memory there, or use a machine with more memory."
        raise BadInput(Fault("memory", f"{most / 2**30:.1f} GiB at most on a node", allowed, step))
    held = None if len(able) == len(nodes) else frozenset(node.node_id for node in able)
    largest = max(node.cpus for node in able)
    similar = [node.cpus for node in able if node.cpus >= largest / 2]
    share = QUANTIZING_SHARE * min(similar) // math.ceil(arms / len(similar))
    return Placed(
        min(max(float(threads), share), largest), 0.0, None, 0, Memory(0, 0, needed), Memory(0, 0, 0), nodes=held
    )


def place_small(nodes: Sequence[NodeFacts], n_bytes: int, threads: int) -> Placed:
    """Return the place of work that takes little memory, such as asking an endpoint."""
    cpus = min(float(threads), max(node.cpus for node in nodes))
    return Placed(cpus, 0.0, None, 0, Memory(0, 0, n_bytes), Memory(0, 0, 0))


def place_on_cpu(nodes: Sequence[NodeFacts], load: Load) -> Placed:
    """Return the place of a load on the CPU of any node that holds it; of any node if none does."""
    placed = place_on_host(nodes, load)
    return placed or place_small(nodes, load.on_host((0,) * len(load.needs)).total_bytes, load.threads)
