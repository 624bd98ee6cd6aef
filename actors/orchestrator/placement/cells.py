"""How many cells a KV cache may have where a model runs on devices. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from actors.llama.layout import EngineLayout
from actors.llama.shape import ModelShape, Weights
from actors.nodes import NodeFacts
from actors.orchestrator.placement.choose import Group, Load, groups_of
from actors.orchestrator.placement.memory import need_of

CELL_STEP = 256
"""llama.cpp pads a KV cache to multiples of this."""
_MOST_STEPS = 2**16


def cell_limits(nodes: Sequence[NodeFacts], shape: ModelShape, weights: Weights, layout: EngineLayout) -> list[int]:
    """Return the most cells beside these weights on 1, 2, ... devices of the node with the most memory on devices.

    Numbers of devices that do not hold the weights are left out. So the list is empty if they fit on no node.

    Args:
        nodes: the machines.
        shape: the model.
        weights: those of the largest file that is decoded with this cache.
        layout: the layout, whose number of cells does not count.
    """
    groups = groups_of(nodes)
    if not groups:
        return []
    widest = max(groups, key=lambda group: group.count * group.device_bytes)
    limits = [_most_cells(widest, count, shape, weights, layout) for count in range(1, widest.count + 1)]
    return [cells for cells in limits if cells]


def _most_cells(group: Group, count: int, shape: ModelShape, weights: Weights, layout: EngineLayout) -> int:
    """Return the most cells on `count` devices, found by bisection: more cells never take less memory."""
    least, most = 0, _MOST_STEPS
    while least < most:
        middle = (least + most + 1) // 2
        need = need_of(shape, weights, replace(layout, n_ctx=middle * CELL_STEP))
        load = Load("", (need,), layout.threads)
        if load.on_each(load.all_layers, count) <= group.device_bytes:
            least = middle
        else:
            most = middle - 1
    return least * CELL_STEP
