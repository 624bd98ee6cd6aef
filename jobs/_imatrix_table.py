"""Shows the statistics of an importance matrix as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from actors.quantization.imatrix_statistics import LayerStatistics, TensorStatistics

_TENSOR_HEADS = (
    "layer",
    "tensor",
    "sum",
    "min",
    "max",
    "mean",
    "sigma",
    "active",
    "N",
    "entropy",
    "of max",
    "z>1",
    "cos",
)
_LAYER_HEADS = ("layer", "sum", "z>1", "cos")
_MEANING = """All figures are over the mean squared activations, one per input column; N is the number of columns.
active: share of columns above 1e-5. entropy: in bits, then as a share of its maximum, log2 N.
z>1: share of columns more than one sigma above the mean. cos: cosine similarity to the same tensor of the layer before.
Figures of layers are means over their tensors, weighted by N."""


def statistics_text(path: str, tensors: Sequence[TensorStatistics], layers: Sequence[LayerStatistics]) -> str:
    """Return a table of the tensors and one of the layers, with the meaning of their columns."""
    parts = [
        f"{path}: {len(tensors)} tensors with data",
        _table(_TENSOR_HEADS, [_tensor_row(one) for one in tensors]),
        f"{len(layers)} layers",
        _table(_LAYER_HEADS, [_layer_row(one) for one in layers]),
        _MEANING,
    ]
    return "\n\n".join(parts)


def _tensor_row(one: TensorStatistics) -> tuple[str, ...]:
    return (
        "-" if one.layer is None else str(one.layer),
        one.kind,
        f"{one.total:.2f}",
        f"{one.minimum:.4f}",
        f"{one.maximum:.4f}",
        f"{one.mean:.2f}",
        f"{one.sigma:.2f}",
        f"{one.active:.2%}",
        str(one.n_columns),
        f"{one.entropy_bits:.4f}",
        f"{one.entropy_share:.2%}",
        f"{one.outliers:.2%}",
        _or_dash(one.cosine),
    )


def _layer_row(one: LayerStatistics) -> tuple[str, ...]:
    return str(one.layer), f"{one.total:.2f}", f"{one.outliers:.4%}", _or_dash(one.cosine)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = []
    for row in (heads, *rows):
        cells = [
            cell.ljust(width) if head == "tensor" else cell.rjust(width)
            for head, cell, width in zip(heads, row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
