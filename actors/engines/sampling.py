"""Drawing the next token from logits, for all sequences of a batch at once.

The order is that of llama.cpp's default chain (common/common.h, `common_params_sampling::samplers`): top-k,
top-p, min-p, then temperature. Each (seed, item) has a generator of its own, so that what one sequence draws
does not depend on which others run beside it. Temperature 0 takes the most likely token, the lowest id first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conf.schema import Sampling

_MARGIN = 1e-3  # by which rounding may move a floor
_GROUP = 128  # logits whose maximum is taken together while looking for the top k


def generator_for(seed: int, item_id: str) -> np.random.Generator:
    """The generator of one sequence: the same for every arm, so that arms differ by their logits alone."""
    digest = hashlib.sha256(f"{seed}\n{item_id}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def draw_tokens(
    logits: NDArray[np.float32], generators: Sequence[np.random.Generator], sampling: Sampling
) -> list[int]:
    """One token a row.

    Args:
        logits: [rows, n_vocab]
        generators: one a row; each is asked for exactly one number (none at temperature 0)
    """
    if sampling.temperature == 0.0:
        return [int(token) for token in logits.argmax(axis=1)]
    limited = 0 < sampling.top_k < logits.shape[1]
    k = sampling.top_k if limited else logits.shape[1]
    floors = _top_k_floors(logits, k) if limited else _nucleus_floors(logits, sampling)
    # What lies below the floor of an unlimited row still counts in its probabilities.
    totals = np.zeros(len(logits)) if limited or sampling.top_p >= 1.0 else _totals(logits)
    return [
        _draw(row, k, floor, total, generator, sampling)
        for row, floor, total, generator in zip(logits, floors, totals, generators, strict=True)
    ]


def _nucleus_floors(logits: NDArray[np.float32], sampling: Sampling) -> NDArray[np.float32]:
    """[rows]: values that every logit reaches which top-p or min-p may keep, so that the others need no sorting.

    All tokens together that are less likely than (1 - top_p) / n_vocab of the best have less than the part 1 - top_p of
    the probability: those before them reach top_p.
    """
    depth = np.inf
    if sampling.min_p > 0.0:
        depth = min(depth, -np.log(sampling.min_p))
    if sampling.top_p < 1.0:
        depth = min(depth, np.log(logits.shape[1] / (1.0 - sampling.top_p)))
    floors: NDArray[np.float32] = logits.max(axis=1) - np.float32(depth + _MARGIN)
    return floors


def _totals(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """[rows]: sum of exp(logit - highest), row by row: a row of 150k stays near the cache."""
    return np.array([np.exp(row - row.max()).sum(dtype=np.float64) for row in logits])


def _top_k_floors(logits: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """[rows]: values that at least k logits of each row reach, found without sorting the vocabulary.

    Each of the k highest group maxima is a logit, so the k-th highest maximum is such a value; only a few more
    than k logits reach it.
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
    """One token. `total`: as `_totals` has it; 0 where the candidates are all that counts."""
    candidates = np.flatnonzero(row >= floor)
    # Stable: of equal logits the lower token id comes first, whatever the machine.
    candidates = candidates[np.argsort(-row[candidates], kind="stable")][:k]
    kept = row[candidates].astype(np.float64)
    kept = kept[: _top_p_count(kept, sampling.top_p, total)]
    if sampling.min_p > 0.0:
        kept = kept[kept >= kept[0] + np.log(sampling.min_p)]
    cumulated = np.cumsum(np.exp((kept - kept[0]) / sampling.temperature))
    index = int(np.searchsorted(cumulated, generator.random() * cumulated[-1], side="right"))
    return int(candidates[min(index, len(kept) - 1)])


def _top_p_count(kept: NDArray[np.float64], top_p: float, total: float) -> int:
    """How many of the sorted logits it takes to reach `top_p` of the probability (before temperature)."""
    if top_p >= 1.0:
        return len(kept)
    cumulated = np.cumsum(np.exp(kept - kept[0]))
    return int(np.searchsorted(cumulated, top_p * (total or cumulated[-1]), side="left")) + 1
