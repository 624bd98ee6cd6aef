"""What a type would lose of a tensor: rows are quantized and dequantized for real, and the difference is weighted.

For one tensor with weights w (rows r, columns j) and mean squared activations m, as an importance matrix has them,

    error(type) = sum_r sum_j m_j (w_rj - q_rj)^2        energy = sum_r sum_j m_j w_rj^2

are the expected squared error and the expected square of the tensor's output, if its inputs were uncorrelated. m is 1
where nothing is known of a tensor. Which tensors and types are measured, and what is made of it, is left to
`actors.quantization`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.llama import ggml
from actors.llama.gguf_layout import TensorInfo


@dataclass(frozen=True)
class RoundingErrors:
    """One tensor, measured on a sample of its rows."""

    rows: int
    """Of the whole tensor, those of all experts."""
    rows_measured: int
    energy: float
    """Of the measured rows alone, as the errors."""
    errors: dict[str, float]
    """By type, upper case."""

    def relative(self, kind: str) -> float:
        """Error over energy; 0 where there is nothing that could be lost."""
        return self.errors[kind] / self.energy if self.energy > 0 else 0.0


def sample_rows(n_rows: int, row_length: int, max_elements: int) -> NDArray[np.int64]:
    """Indices of the rows that are measured: all, or some at equal distances, at least 64 of them."""
    wanted = max(max_elements // row_length, 64)
    if n_rows <= wanted:
        return np.arange(n_rows)
    # From the middle of each stretch, so that neither end of the tensor is always in.
    return ((np.arange(wanted) + 0.5) * n_rows / wanted).astype(np.int64)


def measure(
    path: Path,
    tensor: TensorInfo,
    kinds: Sequence[str],
    importance: NDArray[np.float32] | None,
    *,
    max_elements: int,
) -> RoundingErrors:
    """Measure types on a tensor of two or three dimensions.

    Args:
        path: the GGUF file in which the tensor lies.
        kinds: upper case; their blocks must fit the rows.
        importance: mean squared activations, flat: experts one after the other; None where unknown.
        max_elements: of a larger tensor only so many elements are measured, about.
    """
    length, per_expert = tensor.shape[0], tensor.shape[1]
    n_rows = tensor.n_elements // length
    chosen = sample_rows(n_rows, length, max_elements)
    weights = None if importance is None else importance.reshape(-1, length)  # (experts, row length)
    energy, errors = 0.0, dict.fromkeys(kinds, 0.0)
    for expert in np.unique(chosen // per_expert):
        rows = _read_rows(path, tensor, chosen[chosen // per_expert == expert])
        own = None if weights is None else weights[expert]
        energy += _weighted_square(rows, own)
        for kind in kinds:
            packed = ggml.quantize_rows(ggml.tensor_types()[kind], rows, own)
            made = ggml.dequantize(ggml.tensor_types()[kind], packed).reshape(rows.shape)
            errors[kind] += _weighted_square(rows - made, own)
    return RoundingErrors(n_rows, len(chosen), energy, errors)


@dataclass(frozen=True)
class Loss:
    """What one tensor of a finished file lost against its source, on a sample of its rows."""

    rows: int
    rows_measured: int
    energy: float
    error: float


def compare(
    source: tuple[Path, TensorInfo],
    made: tuple[Path, TensorInfo],
    importance: NDArray[np.float32] | None,
    *,
    max_elements: int,
) -> Loss:
    """Error and energy of a tensor as it was made, of two or three dimensions and one shape in both files.

    Args:
        source: its file, and where it lies in there.
        made: likewise.
        importance: as in `measure`.
        max_elements: likewise.
    """
    length, per_expert = source[1].shape[0], source[1].shape[1]
    n_rows = source[1].n_elements // length
    chosen = sample_rows(n_rows, length, max_elements)
    weights = None if importance is None else importance.reshape(-1, length)  # (experts, row length)
    energy = error = 0.0
    for expert in np.unique(chosen // per_expert):
        here = chosen[chosen // per_expert == expert]
        before, after = _read_rows(*source, here), _read_rows(*made, here)
        own = None if weights is None else weights[expert]
        energy += _weighted_square(before, own)
        error += _weighted_square(before - after, own)
    return Loss(n_rows, len(chosen), energy, error)


def _read_rows(path: Path, tensor: TensorInfo, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    kind = ggml.tensor_types()[tensor.type]
    n_rows = tensor.n_elements // tensor.shape[0]
    stored = np.memmap(path, np.uint8, "r", tensor.offset, (n_rows, tensor.n_bytes // n_rows))
    return ggml.dequantize(kind, stored[rows].reshape(-1)).reshape(len(rows), tensor.shape[0])


def _weighted_square(values: NDArray[np.float32], weights: NDArray[np.float32] | None) -> float:
    """Sum over all elements, each column at its weight."""
    columns = np.einsum("rj,rj->j", values, values, dtype=np.float64)
    return float(columns.sum() if weights is None else columns @ weights.astype(np.float64))
