"""Statistics of an importance matrix: values for each weight matrix, and for each layer.

The same as `llama-imatrix --show-statistics` (tools/imatrix/imatrix.cpp, compute_statistics and compute_cossim), but
summed in float64 instead of float32. All values are computed from the mean squares of the activations, one value per
input column.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actors.llama.activation_sums import TensorActivations

_INACTIVE = 1e-5
BLOCK = re.compile(r"blk\.(\d+)\.(.+?)(?:\.weight)?$")


@dataclass(frozen=True)
class TensorStatistics:
    """Statistics of one weight matrix. Experts that no token reached are left out."""

    name: str
    layer: int | None
    """None outside the blocks."""
    kind: str
    """For example `attn_k`."""
    total: float
    minimum: float
    maximum: float
    mean: float
    sigma: float
    """Standard deviation, divided by n (not n - 1), as in llama-imatrix."""
    active: float
    """Fraction of the columns above 1e-5."""
    n_columns: int
    entropy_bits: float
    """Entropy of the mean squares, taken as a distribution over columns."""
    entropy_share: float
    """Entropy divided by its maximum, log2 of the number of columns; 0 for a single column."""
    outliers: float
    """Fraction of the columns more than one sigma above the mean (z-score > 1)."""
    cosine: float | None
    """Cosine similarity to the same matrix in the previous layer. None if that matrix is missing or all zero."""


@dataclass(frozen=True)
class LayerStatistics:
    """Means over the matrices of one layer, weighted by their number of columns."""

    layer: int
    total: float
    outliers: float
    cosine: float | None


def statistics_of(entries: Mapping[str, TensorActivations]) -> tuple[TensorStatistics, ...]:
    """Return statistics of each matrix that has data, sorted by kind, then by largest sum first."""
    found = [_of_tensor(name, entry, entries) for name, entry in entries.items() if entry.counts.any()]
    return tuple(sorted(found, key=lambda one: (one.kind, -one.total)))


def layer_statistics(statistics: Sequence[TensorStatistics]) -> tuple[LayerStatistics, ...]:
    """Return the statistics of each layer, in order."""
    layers = sorted({one.layer for one in statistics if one.layer is not None})
    return tuple(_of_layer(layer, [one for one in statistics if one.layer == layer]) for layer in layers)


def _of_tensor(name: str, entry: TensorActivations, entries: Mapping[str, TensorActivations]) -> TensorStatistics:
    reached = entry.counts > 0
    means = (entry.sum_squares[reached] / entry.counts[reached, np.newaxis]).ravel()
    total, sigma = float(means.sum()), float(means.std())
    shares = means[means > 0] / total if total > 0 else np.zeros(0)
    entropy = float(-(shares * np.log2(shares)).sum())
    block = BLOCK.search(name)
    return TensorStatistics(
        name=name,
        layer=int(block[1]) if block else None,
        kind=block[2] if block else name.removesuffix(".weight"),
        total=total,
        minimum=float(means.min()),
        maximum=float(means.max()),
        mean=float(means.mean()),
        sigma=sigma,
        active=float((means > _INACTIVE).mean()),
        n_columns=means.size,
        entropy_bits=entropy,
        entropy_share=entropy / math.log2(means.size) if means.size > 1 else 0.0,
        outliers=float((means - means.mean() > sigma).mean()) if sigma > 0 else 0.0,
        cosine=_cosine(entry, _before(name, entries)),
    )


def _before(name: str, entries: Mapping[str, TensorActivations]) -> TensorActivations | None:
    """Return the same matrix in the previous layer."""
    block = BLOCK.search(name)
    return entries.get(f"{name[: block.start(1)]}{int(block[1]) - 1}{name[block.end(1) :]}") if block else None


def _cosine(entry: TensorActivations, before: TensorActivations | None) -> float | None:
    """Return the cosine similarity of the sums (not of the means), as llama-imatrix does."""
    if before is None or before.sum_squares.shape != entry.sum_squares.shape:
        return None
    ours, theirs = entry.sum_squares.ravel(), before.sum_squares.ravel()
    norms = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return float(ours @ theirs) / norms if norms > 0 else None


def _of_layer(layer: int, members: Sequence[TensorStatistics]) -> LayerStatistics:
    weights = np.array([one.n_columns for one in members], np.float64)
    similar = [(one.n_columns, one.cosine) for one in members if one.cosine is not None]
    return LayerStatistics(
        layer,
        float(np.average([one.total for one in members], weights=weights)),
        float(np.average([one.outliers for one in members], weights=weights)),
        sum(n * cosine for n, cosine in similar) / sum(n for n, _ in similar) if similar else None,
    )
