"""Compute log-probabilities of given tokens from rows of logits, with little memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 16  # 16 rows of 150k float32 values are 10 MB and stay close to the CPU cache


def token_logprobs(logits: NDArray[np.float32], tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return log softmax(logits)[token] for each row.

    Args:
        logits: [rows, n_vocab]
        tokens: [rows], the wanted token of each row

    Returns:
        [rows], in nats. Exponentials are float32; sum and logarithm are float64. The error is about 1e-7.
    """
    result = np.empty(len(logits))
    for start in range(0, len(logits), _ROWS_AT_ONCE):
        rows = logits[start : start + _ROWS_AT_ONCE]
        wanted = tokens[start : start + _ROWS_AT_ONCE]
        highest = rows.max(axis=1, keepdims=True)
        sums = np.exp(rows - highest).sum(axis=1, dtype=np.float64)
        chosen = rows[np.arange(len(rows)), wanted].astype(np.float64)
        result[start : start + len(rows)] = chosen - highest[:, 0] - np.log(sums)
    return result
