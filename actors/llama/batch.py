"""Split runs of tokens into batches for `llama_decode`. Equal runs give equal batches.

A `Run` is a piece of one sequence. Runs follow each other. A batch ends when it has the maximum number of tokens or of
output rows. A row of logits is as wide as the vocabulary: 2,048 rows would be 1.2 GB with 150k tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Run:
    """Tokens to append to a sequence."""

    sequence: int
    start: int
    """Position of the first token."""
    tokens: Sequence[int]
    first_output: int
    """Index of the first token whose logits are wanted. `len(tokens)`: none are wanted."""


@dataclass(frozen=True)
class Batch:
    """The tokens of one `llama_decode` call."""

    tokens: NDArray[np.int32]  # [n]
    positions: NDArray[np.int32]  # [n]
    sequences: NDArray[np.int32]  # [n]
    outputs: NDArray[np.int8]  # [n], 1 where logits are wanted
    owners: NDArray[np.int64]  # [rows], index of the run of each row of logits
    offsets: NDArray[np.int64]  # [rows], index of the row's token in its run


def make_batches(runs: Sequence[Run], max_tokens: int, max_outputs: int) -> list[Batch]:
    """Return batches of at most `max_tokens` tokens and `max_outputs` rows of logits, in the order of the runs."""
    lengths = np.array([len(run.tokens) for run in runs], np.int64)
    n_tokens = int(lengths.sum())
    if not n_tokens:
        return []
    owners = np.repeat(np.arange(len(runs)), lengths)
    offsets = np.arange(n_tokens) - np.repeat(lengths.cumsum() - lengths, lengths)
    tokens = np.fromiter(itertools.chain.from_iterable(run.tokens for run in runs), np.int32, n_tokens)
    positions = np.array([run.start for run in runs])[owners] + offsets
    sequences = np.array([run.sequence for run in runs])[owners]
    outputs = offsets >= np.array([run.first_output for run in runs])[owners]
    return [
        Batch(
            tokens[part],
            positions[part].astype(np.int32),
            sequences[part].astype(np.int32),
            outputs[part].astype(np.int8),
            owners[part][outputs[part]],
            offsets[part][outputs[part]],
        )
        for part in _slices(outputs, max_tokens, max_outputs)
    ]


def _slices(outputs: NDArray[np.bool_], max_tokens: int, max_outputs: int) -> list[slice]:
    rows_before = np.concatenate([[0], np.cumsum(outputs)])  # [n + 1]
    parts, start = [], 0
    while start < len(outputs):
        # The largest end whose rows still fit. At least one token always fits, because max_outputs >= 1.
        end_by_rows = int(np.searchsorted(rows_before, rows_before[start] + max_outputs, side="right")) - 1
        end = min(start + max_tokens, end_by_rows, len(outputs))
        parts.append(slice(start, end))
        start = end
    return parts
