"""Log-probabilities of given tokens out of rows of logits, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 16  # 16 rows of 150k float32 are 10 MB: they stay near the cache


def token_logprobs(logits: NDArray[np.float32], tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """log softmax(logits)[token] of each row.

    Args:
        logits: [rows, n_vocab]
        tokens: [rows], the token whose probability is wanted in each row

    Returns:
        [rows], nats. Exponentials in float32, their sum and the logarithm in float64: good to about 1e-7.
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
