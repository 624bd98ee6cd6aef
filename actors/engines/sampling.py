"""Sample the next token from logits, for all sequences of a batch at once.

The order is that of llama.cpp's default sampler chain (common/common.h, `common_params_sampling::samplers`): top-k,
top-p, min-p, then temperature. Each pair of seed and item has its own random generator, so a sequence's tokens do not
depend on the other sequences in the batch. Temperature 0 takes the most likely token. A tie goes to the lowest id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conf.schema import Sampling

_MARGIN = 1e-3  # rounding can change a floor by at most this much
_GROUP = 128  # number of logits per group maximum in the search for the top k


def generator_for(seed: int, item_id: str) -> np.random.Generator:
    """Return the generator of one sequence. It is the same for all arms, so that arms differ only in their logits."""
    digest = hashlib.sha256(f"{seed}\n{item_id}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def draw_tokens(
    logits: NDArray[np.float32], generators: Sequence[np.random.Generator], sampling: Sampling
) -> list[int]:
    """Return one sampled token per row.

    Args:
        logits: [rows, n_vocab]
        generators: one per row. Each gives exactly one number (none at temperature 0).
    """
    if sampling.temperature == 0.0:
        return [int(token) for token in logits.argmax(axis=1)]
    limited = 0 < sampling.top_k < logits.shape[1]
    k = sampling.top_k if limited else logits.shape[1]
    floors = _top_k_floors(logits, k) if limited else _nucleus_floors(logits, sampling)
    # Without top-k, the logits below the floor still count in the probabilities that top-p compares.
    totals = np.zeros(len(logits)) if limited or sampling.top_p >= 1.0 else _totals(logits)
    return [
        _draw(row, k, floor, total, generator, sampling)
        for row, floor, total, generator in zip(logits, floors, totals, generators, strict=True)
    ]


def _nucleus_floors(logits: NDArray[np.float32], sampling: Sampling) -> NDArray[np.float32]:
    """Return, per row, a lower bound on any logit that top-p or min-p can keep. Logits below it need no sorting.

    For top-p: take all tokens whose probability is below (1 - top_p) / n_vocab times the highest probability. Together
    they have less than 1 - top_p of the probability. So the other tokens already reach top_p.
    """
    depth = np.inf
    if sampling.min_p > 0.0:
        depth = min(depth, -np.log(sampling.min_p))
    if sampling.top_p < 1.0:
        depth = min(depth, np.log(logits.shape[1] / (1.0 - sampling.top_p)))
    floors: NDArray[np.float32] = logits.max(axis=1) - np.float32(depth + _MARGIN)
    return floors


def _totals(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return sum(exp(logit - highest logit)) per row, one row at a time, so that its logits stay in the CPU cache."""
    return np.array([np.exp(row - row.max()).sum(dtype=np.float64) for row in logits])


def _top_k_floors(logits: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Return, per row, a value that at least k logits reach, without sorting the vocabulary.

    Split each row into groups and take the k-th highest group maximum. At least k logits reach it, namely the k highest
    maxima. Usually only a few more logits reach it.
    """
    groups = logits.shape[1] // _GROUP
    if k > groups:
        return np.full(len(logits), -np.inf, np.float32)
    maxima = logits[:, : groups * _GROUP].reshape(len(logits), _GROUP, groups).max(axis=1)  # [rows, groups]
    floors: NDArray[np.float32] = np.partition(maxima, groups - k, axis=1)[:, groups - k]
    return floors


def _draw(
    row: NDArray[np.float32],
    k: int,
    floor: np.float32,
    total: float,
    generator: np.random.Generator,
    sampling: Sampling,
) -> int:
    """Return one sampled token of a row.

    Args:
        k: maximum number of candidates.
        floor: lower bound on the candidates' logits.
        total: see `_totals`. 0: only the candidates count.
    """
    candidates = np.flatnonzero(row >= floor)
    # A stable sort puts the lower token id first in a tie, on every machine.
    candidates = candidates[np.argsort(-row[candidates], kind="stable")][:k]
    kept = row[candidates].astype(np.float64)
    kept = kept[: _top_p_count(kept, sampling.top_p, total)]
    if sampling.min_p > 0.0:
        kept = kept[kept >= kept[0] + np.log(sampling.min_p)]
    cumulated = np.cumsum(np.exp((kept - kept[0]) / sampling.temperature))
    index = int(np.searchsorted(cumulated, generator.random() * cumulated[-1], side="right"))
    return int(candidates[min(index, len(kept) - 1)])


def _top_p_count(kept: NDArray[np.float64], top_p: float, total: float) -> int:
    """Return the number of sorted logits that are needed to reach `top_p` of the probability (before temperature)."""
    if top_p >= 1.0:
        return len(kept)
    cumulated = np.cumsum(np.exp(kept - kept[0]))
    return int(np.searchsorted(cumulated, top_p * (total or cumulated[-1]), side="left")) + 1
