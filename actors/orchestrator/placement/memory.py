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
PARTS = 4
"""Parts of a batch that several devices work on at a time (`GGML_SCHED_MAX_COPIES`)."""
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
    copies_bytes: int = 0
    """More of each device's compute buffers if several hold all layers. They then work on several parts of a batch at a
    time (llama.cpp's pipeline parallelism), and each keeps the inputs of all those parts."""

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
        compute = count * self._compute_on_each(gpu_layers, count)
        return Memory(sum(self.weight_bytes[kept:]), sum(self.kv_bytes[kept:]), compute)

    def fullest_device(self, gpu_layers: int, count: int) -> int:
        """Return the bytes on the fullest of `count` equal devices, as llama.cpp splits the last `gpu_layers` layers.

        Each device gets a run of layers, as many as the others (`actors.llama.offload`).
        """
        kept, fullest = self.n_layers - gpu_layers, 0
        for device in range(min(count, gpu_layers)):
            first, last = (kept + -(-number * gpu_layers // count) for number in (device, device + 1))
            fullest = max(fullest, sum(self.weight_bytes[first:last]) + sum(self.kv_bytes[first:last]))
        return fullest + (self._compute_on_each(gpu_layers, count) if gpu_layers else 0)

    def _compute_on_each(self, gpu_layers: int, count: int) -> int:
        return self.compute_bytes + (self.copies_bytes if count > 1 and gpu_layers == self.n_layers else 0)


def widest(needs: Sequence[Need]) -> Need:
    """Return what a model takes that is decoded in several layouts, one after the other."""
    return replace(
        needs[0],
        kv_bytes=max((need.kv_bytes for need in needs), key=sum),
        compute_bytes=max(need.compute_bytes for need in needs),
        copies_bytes=max(need.copies_bytes for need in needs),
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
        copies_bytes=copies_bytes(shape, layout),
    )


def copies_bytes(shape: ModelShape, layout: EngineLayout) -> int:
    """Estimate the inputs that a device keeps for the parts of a batch: masks, and the results of the layers before.

    Without flash attention, `compute_bytes` already holds the masks of one part.
    """
    tokens, mask = _tokens(layout), _mask_bytes(shape, layout)
    return PARTS * 4 * tokens * shape.n_embd + (PARTS * mask // 2 if layout.flash_attention else (PARTS - 1) * mask)


def _tokens(layout: EngineLayout) -> int:
    """Return the tokens of a physical batch."""
    return min(layout.n_ubatch, layout.n_ctx)


def _seen(layout: EngineLayout) -> int:
    """Return the cells that a sequence may see."""
    return layout.n_ctx if layout.kv_unified else layout.n_ctx // (layout.sequences + EXTRA_SEQUENCES)


def _mask_bytes(shape: ModelShape, layout: EngineLayout) -> int:
    """Return the masks of attention in f32: a row for each token, a column for each cell that a sequence may see."""
    return 4 * _tokens(layout) * _seen(layout) * shape.n_masks


def compute_bytes(shape: ModelShape, layout: EngineLayout) -> int:
    """Estimate the compute buffers: the largest tensors that a graph holds at the same time.

    These are the logits of a whole physical batch, the feed-forward part, or the products of attention, which exist
    only without flash attention. The numbers of tensors are fitted to llama.cpp's own sizes, of models of 0.1 to 70
    billion weights: 4% below to 8% above them, and 7% below for latent attention and recurrent layers.
    """
    tokens, seen, mask = _tokens(layout), _seen(layout), _mask_bytes(shape, layout)
    logits = 4 * tokens * (shape.n_vocab + 2 * shape.n_embd)
    feeding = mask // 2 + 4 * tokens * (3 * shape.n_ff + 6 * shape.n_embd)  # the mask is f16 by then
    # In front of a recurrent layer the masks still wait, in f32, for the next layer with attention, and the states of
    # all sequences are copied.
    states = (layout.sequences + EXTRA_SEQUENCES) * max(shape.state_bytes, default=0)
    recurrent = states + mask + 4 * tokens * 10 * shape.n_embd if states else 0
    attending = 0
    if not layout.flash_attention:
        attending = 2 * mask + round(4 * tokens * (PADDING * seen * shape.n_heads + 4 * shape.n_embd))
    return max(logits, feeding, recurrent, attending)


def summed(parts: Sequence[Memory]) -> Memory:
    """Return the sum of several memories."""
    return Memory(
        sum(one.weights_bytes for one in parts),
        sum(one.kv_bytes for one in parts),
        sum(one.compute_bytes for one in parts),
    )
