"""The noise of sampled tokens, which all arms share.

The number for a token is a hash of item, seed, turn, position and token. So two arms that are about to choose between
the same tokens get the same numbers for them, even if their answers were different before. No number depends on how
many were drawn or on the other sequences of a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)  # the increment of splitmix64 (Steele, Lea and Flood 2014)


def sequence_key(seed: int, item_id: str, turn: int = 0) -> int:
    """Return the key of the answer to an item under a seed, and of each further turn. It is the same for all arms."""
    later = f"\n{turn}" if turn else ""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{item_id}{later}".encode()).digest()[:8], "big")


def step_keys(sequences: Sequence[int], positions: Sequence[int]) -> Keys:
    """Return one key per sequence, for the token at its position in the answer (0: the first token)."""
    return _mixed(np.array(sequences, np.uint64) + _STEP * (np.array(positions, np.uint64) + np.uint64(1)))


def gumbel(key: np.uint64 | Keys, tokens: NDArray[np.signedinteger]) -> NDArray[np.float64]:
    """Return the number of each token under a key, or under the key of its row.

    The numbers have the standard Gumbel distribution.
    """
    bits = _mixed(_mixed(key + _STEP * (tokens.astype(np.uint64) + np.uint64(1))) + _STEP)
    uniform = ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52  # never 0, never 1
    return -np.log(-np.log(uniform))


def _mixed(words: Keys) -> Keys:
    """Mix the bits of each word: the output function of splitmix64."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
