"""The sums of squares of the inputs of one weight matrix, from the tensors of one product in a graph of llama.cpp.

`activations` decides which products are summed, and when.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from actors.errors import LlamaError
from actors.llama import ggml

_RUN_TOKENS = 16
"""Number of tokens whose products are added in float32. These partial sums are then added in float64."""


@dataclass(frozen=True)
class TensorActivations:
    """The inputs of one weight matrix, as sums of squares."""

    sum_squares: NDArray[np.float64]
    """(experts or 1, columns): sums of the squared inputs over the tokens."""
    counts: NDArray[np.float64]
    """(experts or 1,): number of tokens in each sum. If tokens have weights: the sum of their weights."""

    def __add__(self, other: Self) -> TensorActivations:
        return TensorActivations(self.sum_squares + other.sum_squares, self.counts + other.counts)


@dataclass(frozen=True)
class Product:
    """Facts about one `MUL_MAT` that identify its input in a later graph, so that it can be read before the product."""

    weight: str
    stacked: tuple[int, int]
    """Number of matrices in the weight: ne[2] and ne[3]."""
    input_address: int
    """Address of the input's `ggml_tensor`. It is normally the same in all graphs of one shape: llama.cpp reuses the
    graph, or builds it again in the same memory. If it differs, the product is computed."""
    input_name: bytes

    @classmethod
    def of(cls, tensor: ggml.Tensor) -> Self:
        """Return the facts about a computed `MUL_MAT`, or one that is about to be computed."""
        weight, inputs = tensor.src[0].contents, tensor.src[1].contents
        stacked = (int(weight.ne[2]), int(weight.ne[3]))
        return cls(weight_name(tensor), stacked, ctypes.addressof(inputs), inputs.name)


def weight_name(tensor: ggml.Tensor) -> str:
    """Return the name of the weight. On a device llama.cpp calls it, for example, `CUDA0#blk.0.attn_k.weight#0`."""
    name = str(tensor.src[0].contents.name.decode())
    return name.split("#")[1] if "#" in name else name


def dense_sums(inputs: ggml.Tensor, product: Product, weights: NDArray[np.float32] | None) -> TensorActivations:
    """Return the sums (1, matrices * columns) and the count (1,) for the inputs of a `MUL_MAT`."""
    activations = ggml.values(inputs, np.float32)  # (i3, i2, tokens, columns)
    n2, n3 = product.stacked
    n_tokens = activations.shape[2]
    # A product with 1 is exact, so weights of 1 give the same bits as no weights.
    weighted = activations if weights is None else activations * _per_row(weights, n_tokens, product.weight)[:, None]
    per_input = _sums_of_products(weighted, activations)
    # If the weight has fewer matrices than the input, each matrix is used for several of them.
    outer, inner = per_input.shape[0] // n3, per_input.shape[1] // n2
    sums = per_input.reshape(outer, n3, inner, n2, -1).sum(axis=(0, 2))
    counted = n_tokens if weights is None else weights.sum(dtype=np.float64)
    return TensorActivations(sums.reshape(1, -1), np.array([outer * inner * counted], np.float64))


def _sums_of_products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sums over tokens, (i3, i2, columns), of two arrays (i3, i2, tokens, columns).

    Runs of `_RUN_TOKENS` products are added in float32. Their error is smaller than that of the float32 values in the
    file (4e-8). This takes a third of the time of float64, and llama.cpp's threads wait for it.
    """
    whole = left.shape[2] // _RUN_TOKENS * _RUN_TOKENS
    runs = (*left.shape[:2], -1, _RUN_TOKENS, left.shape[3])
    parts = (left[:, :, :whole].reshape(runs), right[:, :, :whole].reshape(runs))
    sums: NDArray[np.float64] = np.einsum("abrtc,abrtc->abrc", *parts).sum(axis=2, dtype=np.float64)
    sums += np.einsum("abtc,abtc->abc", left[:, :, whole:], right[:, :, whole:])
    return sums


def expert_sums(tensor: ggml.Tensor, weights: NDArray[np.float32] | None) -> TensorActivations:
    """Return sums (experts, columns) and counts (experts,) for a `MUL_MAT_ID`. A token counts only for its experts."""
    weight, inputs, routes = (tensor.src[index].contents for index in range(3))
    activations = ggml.values(inputs, np.float32)[0]  # (tokens, slots or 1, columns)
    chosen = ggml.values(routes, np.int32)[0, 0]  # (tokens, slots)
    n_experts, n_columns = int(weight.ne[2]), activations.shape[-1]
    counted = (
        np.ones(len(chosen), np.float32) if weights is None else _per_row(weights, len(chosen), weight_name(tensor))
    )
    counts, sums = np.zeros(n_experts), np.zeros((n_experts, n_columns))
    for slot in range(chosen.shape[1]):
        squares = np.square(activations[:, slot % activations.shape[1]], dtype=np.float64)  # (tokens, columns)
        if weights is not None:
            squares *= weights[:, np.newaxis]
        counts += np.bincount(chosen[:, slot], counted, n_experts)
        order = np.argsort(chosen[:, slot], kind="stable")
        experts, starts = np.unique(chosen[order, slot], return_index=True)
        sums[experts] += np.add.reduceat(squares[order], starts, axis=0)
    return TensorActivations(sums, counts)


def _per_row(weights: NDArray[np.float32], n_rows: int, weight: str) -> NDArray[np.float32]:
    """Return the weights, one per input row. Raise `LlamaError` if the number of rows and tokens differs."""
    if len(weights) != n_rows:
        raise LlamaError(
            f"{weight} gets {n_rows} rows for {len(weights)} tokens. The rows cannot be weighted, because it is not "
            "known which token each row belongs to"
        )
    return weights
