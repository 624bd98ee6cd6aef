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
from actors.llama.candidates import Candidates
from conf.schema import Sampling

_Logits = NDArray[np.float32]
_Tokens = NDArray[np.signedinteger]

_MARGIN = 1e-3  # rounding can change a floor by at most this much
_GROUP = 128  # number of logits per group maximum in the search for the top k
_TIES = 8
"""Number of candidates that a device returns beyond those that can be drawn. It orders equal logits as it likes, so the
one with the lowest token id must be among more than are needed."""


def candidates_needed(sampling: Sampling) -> int | None:
    """Return how many of the highest logits are enough to sample a token. None: all of them count."""
    if sampling.temperature == 0.0:
        return 1 + _TIES
    return sampling.top_k + _TIES if sampling.top_k else None


def draw_tokens(candidates: Candidates, keys: Keys, sampling: Sampling) -> list[int]:
    """Return one sampled token per row.

    Args:
        candidates: the logits of each row.
        keys: one per row, from `noise.step_keys`. Temperature 0 needs none.
    """
    logits, tokens = candidates.logits, candidates.tokens
    if sampling.temperature == 0.0:
        if tokens is None:
            return [int(token) for token in logits.argmax(axis=1)]
        return [int(token) for token in _sorted(logits, tokens, 1)[1][:, 0]]
    if tokens is not None:
        return _draw(*_sorted(logits, tokens, sampling.top_k), None, keys, sampling)
    if 0 < sampling.top_k < logits.shape[1]:
        floors = _top_k_floors(logits, sampling.top_k)
        return _draw(*_above(logits, floors, sampling.top_k), None, keys, sampling)
    # Without top-k, the logits below the floor still count in the probabilities that top-p compares.
    totals = _totals(logits) if sampling.top_p < 1.0 else None
    return _draw(*_above(logits, _nucleus_floors(logits, sampling), None), totals, keys, sampling)


def _sorted(logits: _Logits, tokens: _Tokens, most: int) -> tuple[_Logits, _Tokens]:
    """Return the `most` highest logits of each row and their tokens, the highest first, and in a tie the lowest id."""
    # numpy orders complex numbers by their real parts, and equal ones by their imaginary parts. That is several times
    # faster than to sort by two keys. Both parts are float64, which holds logits and tokens exactly.
    pairs = np.empty(logits.shape, np.complex128)
    pairs.real, pairs.imag = -logits, tokens
    pairs.sort(axis=1)
    kept = pairs[:, :most]
    return -kept.real.astype(np.float32), kept.imag.astype(np.int64)


def _above(logits: _Logits, floors: _Logits, most: int | None) -> tuple[_Logits, _Tokens]:
    """Return the same, but only the logits that reach their row's floor. Shorter rows are filled up with -inf."""
    found = []
    for row, floor in zip(logits, floors, strict=True):
        tokens = np.flatnonzero(row >= floor)
        # A stable sort puts the lower token id first in a tie, on every machine.
        found.append(tokens[np.argsort(-row[tokens], kind="stable")][:most])
    width = max(len(tokens) for tokens in found)
    kept = np.full((len(logits), width), -np.inf, np.float32)
    ids = np.zeros((len(logits), width), np.int64)
    for number, tokens in enumerate(found):
        kept[number, : len(tokens)] = logits[number, tokens]
        ids[number, : len(tokens)] = tokens
    return kept, ids


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
    logits: _Logits, tokens: _Tokens, totals: NDArray[np.float64] | None, keys: Keys, sampling: Sampling
) -> list[int]:
    """Return one sampled token per row, from all rows at once.

    Args:
        logits: [rows, n], the highest first.
        tokens: [rows, n], their ids.
        totals: see `_totals`. None: only the given logits count.
    """
    kept = logits.astype(np.float64)
    if sampling.top_p < 1.0:
        cumulated = np.cumsum(np.exp(kept - kept[:, :1]), axis=1)
        reached = sampling.top_p * (cumulated[:, -1] if totals is None else totals)
        # A token is kept if those before it have not reached top-p yet. The first one always is.
        kept[:, 1:][cumulated[:, :-1] >= reached[:, np.newaxis]] = -np.inf
    if sampling.min_p > 0.0:
        kept[kept < kept[:, :1] + np.log(sampling.min_p)] = -np.inf
    drawn = (kept / sampling.temperature + gumbel(keys[:, np.newaxis], tokens)).argmax(axis=1)
    return [int(token) for token in tokens[np.arange(len(tokens)), drawn]]
