"""Sample the next token from logits, for all sequences of a batch at once.

The order is that of llama.cpp's default sampler chain (common/common.h, `common_params_sampling::samplers`): top-k,
top-p, min-p, then temperature. Of the tokens that are left, the one with the highest logit / temperature + noise is
drawn. With Gumbel noise this is a draw with their probabilities. The arms share the noise (`noise`), so that arms with
similar logits mostly draw the same token (Benz et al. 2025, arXiv 2502.01754). Temperature 0 takes the most likely
token. A tie goes to the lowest id.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actors.engines.noise import Keys, gumbel
from conf.schema import Sampling

_MARGIN = 1e-3  # rounding can change a floor by at most this much
_GROUP = 128  # number of logits per group maximum in the search for the top k


def draw_tokens(logits: NDArray[np.float32], keys: Keys, sampling: Sampling) -> list[int]:
    """Return one sampled token per row.

    Args:
        logits: [rows, n_vocab]
        keys: one per row, from `noise.step_keys`. Temperature 0 needs none.
    """
    if sampling.temperature == 0.0:
        return [int(token) for token in logits.argmax(axis=1)]
    limited = 0 < sampling.top_k < logits.shape[1]
    k = sampling.top_k if limited else logits.shape[1]
    floors = _top_k_floors(logits, k) if limited else _nucleus_floors(logits, sampling)
    # Without top-k, the logits below the floor still count in the probabilities that top-p compares.
    totals = np.zeros(len(logits)) if limited or sampling.top_p >= 1.0 else _totals(logits)
    return [
        _draw(row, k, floor, total, key, sampling)
        for row, floor, total, key in zip(logits, floors, totals, keys, strict=True)
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
    key: np.uint64,
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
    candidates = candidates[: len(kept)]
    return int(candidates[(kept / sampling.temperature + gumbel(key, candidates)).argmax()])


def _top_p_count(kept: NDArray[np.float64], top_p: float, total: float) -> int:
    """Return the number of sorted logits that are needed to reach `top_p` of the probability (before temperature)."""
    if top_p >= 1.0:
        return len(kept)
    cumulated = np.cumsum(np.exp(kept - kept[0]))
    return int(np.searchsorted(cumulated, top_p * (total or cumulated[-1]), side="left")) + 1
