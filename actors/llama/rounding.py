"""Measure the rounding error of a tensor in a type: quantize and dequantize rows, and weight the difference.

For one tensor with weights w (rows r, columns j), dequantized weights q, and mean squared activations m (from an
importance matrix):

    error(type) = sum_r sum_j m_j (w_rj - q_rj)^2        energy = sum_r sum_j m_j w_rj^2

If the inputs were uncorrelated, these would be the expected squared error and the expected square of the tensor's
output. m is 1 for a tensor without importance data. `actors.quantization` decides which tensors and types are
measured, and how the results are used.
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
    """The rounding errors of one tensor, measured on a sample of its rows."""

    rows: int
    """Number of rows in the whole tensor, all experts included."""
    rows_measured: int
    energy: float
    """Energy of the measured rows only."""
    errors: dict[str, float]
    """Error of the measured rows, one entry per type (upper case)."""

    def relative(self, kind: str) -> float:
        """Return error / energy, or 0 if the energy is 0."""
        return self.errors[kind] / self.energy if self.energy > 0 else 0.0


def sample_rows(n_rows: int, row_length: int, max_elements: int) -> NDArray[np.int64]:
    """Return the indices of the rows to measure: all rows, or at least 64 at equal distances."""
    wanted = max(max_elements // row_length, 64)
    if n_rows <= wanted:
        return np.arange(n_rows)
    # Take the middle of each stretch, so that the sample does not always include an end of the tensor.
    return ((np.arange(wanted) + 0.5) * n_rows / wanted).astype(np.int64)


def measure(
    path: Path,
    tensor: TensorInfo,
    kinds: Sequence[str],
    importance: NDArray[np.float32] | None,
    *,
    max_elements: int,
) -> RoundingErrors:
    """Measure the errors of several types on a tensor with two or three dimensions.

    Args:
        path: the GGUF file that contains the tensor.
        kinds: types in upper case. Their blocks must fit the rows.
        importance: mean squared activations as a flat array, experts one after the other. None if unknown.
        max_elements: in a larger tensor, only about this number of elements is measured.
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
    """The error of one tensor in a finished file against its source, measured on a sample of its rows."""

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
    """Measure the error of a finished tensor against its source. Both have the same two or three dimensions.

    Args:
        source: file and table row of the source tensor.
        made: file and table row of the finished tensor.
        importance: see `measure`.
        max_elements: see `measure`.
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
    """Return the sum of the squared elements, with one weight per column."""
    columns = np.einsum("rj,rj->j", values, values, dtype=np.float64)
    return float(columns.sum() if weights is None else columns @ weights.astype(np.float64))
