"""Estimates what a model takes in memory: weights, KV cache and compute buffers, on the host and on devices. Pure.

`tests/bench/memory.py` prints how far the estimates are from what llama.cpp allocates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from actors.llama.layout import EngineLayout
from actors.llama.shape import ModelShape, Weights
from actors.orchestrator.placed import Memory

EXTRA_SEQUENCES = 2
"""Sequences of a context beside those of its layout: the common prefix, and one that waits."""
PADDING = 1.06
"""Products of attention without flash attention, relative to their plain size. Seen in llama.cpp's own sizes."""
LOGIT_ROWS = 256
"""Most rows of logits that a context keeps on the host (`actors.llama.context.MAX_OUTPUT_ROWS`)."""


@dataclass(frozen=True)
class Need:
    """What one model takes in one layout, by layer. Layers count as in llama.cpp: the last one is the output."""

    input_bytes: int
    """The embeddings, which stay on the host."""
    weight_bytes: tuple[int, ...]
    kv_bytes: tuple[int, ...]
    """By layer; 0 for the output."""
    compute_bytes: int
    """On each device that holds some layers, and on the host if it holds some."""
    logits_bytes: int
    """On the host."""

    @property
    def n_layers(self) -> int:
        """Layers that can be offloaded: those of the model, and the output."""
        return len(self.weight_bytes)

    def on_host(self, gpu_layers: int) -> Memory:
        """Return what the host holds if the last `gpu_layers` layers are on devices."""
        kept = self.n_layers - gpu_layers
        compute = self.logits_bytes + (self.compute_bytes if kept else 0)
        return Memory(self.input_bytes + sum(self.weight_bytes[:kept]), sum(self.kv_bytes[:kept]), compute)

    def on_devices(self, gpu_layers: int, count: int) -> Memory:
        """Return what `count` devices together hold if the last `gpu_layers` layers are on them."""
        if not gpu_layers:
            return Memory(0, 0, 0)
        kept = self.n_layers - gpu_layers
        return Memory(sum(self.weight_bytes[kept:]), sum(self.kv_bytes[kept:]), count * self.compute_bytes)

    def fullest_device(self, gpu_layers: int, count: int) -> int:
        """Return the bytes on the fullest of `count` equal devices, as llama.cpp splits the last `gpu_layers` layers.

        llama.cpp gives each device a run of layers, as many as its share of the free memory.
        """
        kept, fullest = self.n_layers - gpu_layers, 0
        for device in range(min(count, gpu_layers)):
            first, last = (kept + -(-number * gpu_layers // count) for number in (device, device + 1))
            fullest = max(fullest, sum(self.weight_bytes[first:last]) + sum(self.kv_bytes[first:last]))
        return fullest + (self.compute_bytes if gpu_layers else 0)


def widest(needs: Sequence[Need]) -> Need:
    """Return what a model takes that is decoded in several layouts, one after the other."""
    return replace(
        needs[0],
        kv_bytes=max((need.kv_bytes for need in needs), key=sum),
        compute_bytes=max(need.compute_bytes for need in needs),
    )


def need_of(shape: ModelShape, weights: Weights, layout: EngineLayout) -> Need:
    """Return what a model with these weights takes in a layout."""
    cells, sequences = layout.n_ctx, layout.sequences + EXTRA_SEQUENCES
    cache = [
        cells * of_cell + sequences * of_sequence
        for of_cell, of_sequence in zip(shape.kv_bytes, shape.state_bytes, strict=True)
    ]
    return Need(
        input_bytes=weights.input_bytes,
        weight_bytes=(*weights.layer_bytes, weights.output_bytes),
        kv_bytes=(*cache, 0),
        compute_bytes=compute_bytes(shape, layout),
        logits_bytes=4 * shape.n_vocab * LOGIT_ROWS,
    )


def compute_bytes(shape: ModelShape, layout: EngineLayout) -> int:
    """Estimate the compute buffers: the largest tensors that a graph holds at the same time.

    These are the logits of a whole physical batch, the feed-forward part, or the products of attention, which exist
    only without flash attention. The mask of attention has a column for each cell that a sequence may see. The numbers
    of tensors are fitted to llama.cpp's own sizes, of models of 0.1 to 70 billion weights: 4% below to 8% above them.
    """
    tokens = min(layout.n_ubatch, layout.n_ctx)
    seen = layout.n_ctx if layout.kv_unified else layout.n_ctx // (layout.sequences + EXTRA_SEQUENCES)
    mask = 4 * tokens * seen * shape.n_masks
    logits = 4 * tokens * (shape.n_vocab + 2 * shape.n_embd)
    feeding = mask // 2 + 4 * tokens * (3 * shape.n_ff + 6 * shape.n_embd)  # the mask is f16 by then
    attending = 0
    if not layout.flash_attention:
        attending = 2 * mask + round(4 * tokens * (PADDING * seen * shape.n_heads + 4 * shape.n_embd))
    return max(logits, feeding, attending)


def summed(parts: Sequence[Memory]) -> Memory:
    """Return the sum of several memories."""
    return Memory(
        sum(one.weights_bytes for one in parts),
        sum(one.kv_bytes for one in parts),
        sum(one.compute_bytes for one in parts),
    )
