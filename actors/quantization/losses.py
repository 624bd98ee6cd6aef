"""What each tensor of a new file lost of its source: real weights of both, the difference weighted by importance.

Read from the files themselves, so it holds for every type and recipe, fallbacks and overrides included, and costs no
second quantization. What is made of it, a figure a layer, is left to `reporting`.
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
    """One quantized tensor."""

    tensor: str
    layer: int | None
    """None outside of the blocks."""
    kind: str
    """`attn_k`, say."""
    type: str
    """Of the new file, lower case."""
    n_elements: int
    rows: int
    rows_measured: int
    weighted: bool
    """False: the importance matrix knows nothing of it, or there is none, and all columns count the same."""
    energy: float
    """Squares of the weights, each column at its weight, summed over the measured rows."""
    error: float
    """Likewise of what was lost."""


def tensor_losses(
    source: GgufHeader, made_path: Path, imatrix: ImatrixData | None, *, threads: int
) -> tuple[TensorLoss, ...]:
    """A row a quantized tensor of the new file, in its order; none of a file that holds no quantized type."""
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

    # The arithmetic runs outside of Python's lock: threads share the work, a tensor each.
    with ThreadPoolExecutor(threads) as pool:
        return tuple(pool.map(loss, made))
