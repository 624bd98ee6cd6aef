"""What rounding lost in each tensor of a new file, compared with its source and weighted by importance.

The weights of both files are read, so this works for every type and recipe, including fallbacks and overrides, without
quantizing a second time. `reporting` computes the values per layer from this.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from actors.llama.gguf_file import UNQUANTIZED, GgufHeader
from actors.llama.gguf_layout import TensorInfo, read_layout
from actors.llama.quantizer import ImatrixData
from actors.llama.rounding import compare
from actors.quantization.imatrix_statistics import BLOCK
from actors.quantization.measurement import MAX_ELEMENTS


@dataclass(frozen=True)
class TensorLoss:
    """One quantized tensor and its error."""

    tensor: str
    layer: int | None
    """None outside the blocks."""
    kind: str
    """For example `attn_k`."""
    type: str
    """Type in the new file, lower case."""
    n_elements: int
    rows: int
    rows_measured: int
    weighted: bool
    """False if there is no importance matrix, or it has no data for this tensor. Then all columns count the same."""
    energy: float
    """Sum of the squared weights over the measured rows, each column multiplied by its importance."""
    error: float
    """The same sum for the differences between source and new file."""


def tensor_losses(
    source: GgufHeader, made_path: Path, imatrix: ImatrixData | None, *, threads: int
) -> tuple[TensorLoss, ...]:
    """Return one row per quantized tensor of the new file, in its order. Empty if the file has no quantized types."""
    before = {tensor.name: tensor for tensor in source.tensors}
    importance = imatrix.importance if imatrix is not None else {}
    made = [one for one in read_layout(made_path).tensors if one.type not in UNQUANTIZED and len(one.shape) > 1]

    def loss(tensor: TensorInfo) -> TensorLoss:
        info, weights = before[tensor.name], importance.get(tensor.name)
        found = compare((source.parts[info.part], info), (made_path, tensor), weights, max_elements=MAX_ELEMENTS)
        block = BLOCK.search(tensor.name)
        return TensorLoss(
            tensor=tensor.name,
            layer=int(block[1]) if block else None,
            kind=block[2] if block else tensor.name.removesuffix(".weight"),
            type=tensor.type.lower(),
            n_elements=tensor.n_elements,
            rows=found.rows,
            rows_measured=found.rows_measured,
            weighted=weights is not None,
            energy=found.energy,
            error=found.error,
        )

    # The arithmetic runs without Python's lock, so threads can share the work, one tensor each.
    with ThreadPoolExecutor(threads) as pool:
        return tuple(pool.map(loss, made))
