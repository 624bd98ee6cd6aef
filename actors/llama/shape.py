"""What of a model decides its memory: the bytes of its weights and of its KV cache by layer, and the graph's widths.

llama.cpp keeps the token embeddings on the host, whatever it offloads. The output matrix counts as one more layer,
which is the first to go to a device. A model without an output matrix of its own uses the embeddings for it, and then
has them twice: on the host and on the device.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from actors.llama.cache_sizes import kv_bytes_per_cell, state_bytes
from actors.llama.gguf_file import GgufHeader
from actors.llama.gguf_layout import TensorInfo

_LAYER = re.compile(r"blk\.(\d+)\.")
_EMBEDDINGS = ("token_embd.", "per_layer_token_embd.", "token_embd_norm.", "position_embd.")
"""Beginnings of the names of tensors that belong to the input, which stays on the host."""


@dataclass(frozen=True)
class Weights:
    """The bytes of a file's tensors, by where llama.cpp puts them."""

    input_bytes: int
    """The embeddings. They stay on the host."""
    layer_bytes: tuple[int, ...]
    output_bytes: int
    """The output matrix and its norm: the last layer, as llama.cpp counts."""
    tied: bool
    """True: the output matrix is the embeddings, which the file holds once."""

    @property
    def device_bytes(self) -> int:
        """What devices hold if all layers are on them."""
        return sum(self.layer_bytes) + self.output_bytes

    @property
    def total_bytes(self) -> int:
        """All tensors, each once, as the file holds them."""
        return sum(self.layer_bytes) + (0 if self.tied else self.input_bytes) + self.output_bytes

    def on_host(self, gpu_layers: int) -> int:
        """Return the bytes on the host if the last `gpu_layers` layers (-1: all) are on devices."""
        by_layer = (*self.layer_bytes, self.output_bytes)
        kept = 0 if gpu_layers < 0 else max(0, len(by_layer) - gpu_layers)
        return self.input_bytes + sum(by_layer[:kept])

    def scaled_to(self, total_bytes: int) -> Weights:
        """Return about the weights of another type of the same model, given the size of its file."""
        factor = total_bytes / self.total_bytes
        layers = tuple(round(factor * one) for one in self.layer_bytes)
        return Weights(round(factor * self.input_bytes), layers, round(factor * self.output_bytes), self.tied)


@dataclass(frozen=True)
class ModelShape:
    """What of a model decides its memory."""

    weights: Weights
    kv_bytes: tuple[int, ...]
    """Bytes per cell of the KV cache, in f16, by layer. Recurrent layers have none."""
    state_bytes: tuple[int, ...]
    """Bytes of the states of recurrent layers, for each sequence, by layer. Other layers have none."""
    n_vocab: int
    n_embd: int
    n_ff: int
    """Width of the feed-forward part that a token passes: of all its experts together."""
    n_heads: int
    n_masks: int = 1
    """Masks of attention: two if some layers attend to a window only, none without attention."""
    n_columns: int = 0
    """Columns of all matrices of its layers, those of each expert by themselves: as many numbers an importance matrix
    has."""
    largest_elements: int = 0
    """Weights of its largest tensor."""

    @property
    def n_layers(self) -> int:
        return len(self.weights.layer_bytes)


def weights_of(tensors: Iterable[tuple[str, int]]) -> Weights:
    """Return the weights, from the names and sizes of a file's tensors."""
    layers: dict[int, int] = {}
    embedding = others = 0
    has_output = False
    for name, n_bytes in tensors:
        match = _LAYER.match(name)
        if match:
            layers[int(match[1])] = layers.get(int(match[1]), 0) + n_bytes
        elif name.startswith(_EMBEDDINGS):
            embedding += n_bytes
        else:
            others += n_bytes
            has_output = has_output or name == "output.weight"
    by_layer = tuple(layers.get(number, 0) for number in range(max(layers, default=-1) + 1))
    return Weights(embedding, by_layer, others if has_output else others + embedding, tied=not has_output)


def shape_of(header: GgufHeader) -> ModelShape:
    """Return the shape of a model file."""
    weights = weights_of((tensor.name, tensor.n_bytes) for tensor in header.tensors)
    layers, numbers = header.layers, header.cache_numbers
    kv = [kv_bytes_per_cell(n, layers.get(n, {}), numbers) for n in range(len(weights.layer_bytes))]
    states = [state_bytes(layers.get(n, {}), numbers) for n in range(len(weights.layer_bytes))]
    n_vocab = n_embd = n_ff = n_columns = 0
    for tensor in header.tensors:
        if _LAYER.match(tensor.name):
            n_ff = max(n_ff, _active_width(tensor, header.expert_share))
            n_columns += math.prod((tensor.shape[0], *tensor.shape[2:])) if len(tensor.shape) > 1 else 0
        elif tensor.name == "token_embd.weight":
            n_embd, n_vocab = tensor.shape[:2]
    largest = max(tensor.n_elements for tensor in header.tensors)
    masks = 0 if not any(kv) else 2 if header.has_sliding_window else 1
    return ModelShape(
        weights, tuple(kv), tuple(states), n_vocab, n_embd, n_ff, numbers.n_heads, masks, n_columns, largest
    )


def _active_width(tensor: TensorInfo, expert_share: float) -> int:
    """Return how many rows of a feed-forward matrix a token passes; 0 for another tensor."""
    if ".ffn_up" not in tensor.name or len(tensor.shape) < 2:
        return 0
    experts = round(expert_share * tensor.shape[2]) if len(tensor.shape) > 2 else 1
    return tensor.shape[1] * experts
