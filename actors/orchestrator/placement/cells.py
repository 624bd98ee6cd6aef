"""How many cells a KV cache may have where a model runs on devices. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from actors.llama.layout import EngineLayout
from actors.llama.shape import ModelShape, Weights
from actors.orchestrator.placement.choose import Group, Load
from actors.orchestrator.placement.memory import need_of

CELL_STEP = 256
"""llama.cpp pads a KV cache to multiples of this."""
_MOST_STEPS = 2**16


def cell_limits(groups: Sequence[Group], shape: ModelShape, weights: Weights, layout: EngineLayout) -> list[int]:
    """Return the most cells beside these weights on 1, 2, ... devices of the node that has room for the most.

    Numbers of devices that do not hold the weights are left out. So the list is empty if they fit on no node.

    Args:
        groups: the devices of all machines.
        shape: the model.
        weights: those of the largest file that is decoded with this cache.
        layout: the layout, whose number of cells does not count.
    """
    alike = {(group.counts, group.device_bytes): group for group in groups}
    limits = [
        [cells for count in group.counts if (cells := _most_cells(group, count, shape, weights, layout))]
        for group in alike.values()
    ]
    return max(limits, key=lambda of_group: max(of_group, default=0), default=[])


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
