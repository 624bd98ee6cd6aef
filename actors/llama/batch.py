"""Laying runs of tokens into the batches of `llama_decode`: pure, and the same for the same runs.

A `Run` is a piece of one sequence. Runs are laid one after the other, cut where a batch is full, either of tokens
or of output rows (a row of logits is as wide as the vocabulary: 2,048 of them would be 1.2 GB at 150k tokens).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Run:
    """Tokens that go on a sequence."""

    sequence: int
    start: int
    """Position of the first token."""
    tokens: Sequence[int]
    first_output: int
    """Index into `tokens` from which on logits are wanted; `len(tokens)`: none."""


@dataclass(frozen=True)
class Batch:
    """One call of `llama_decode`."""

    tokens: NDArray[np.int32]  # [n]
    positions: NDArray[np.int32]  # [n]
    sequences: NDArray[np.int32]  # [n]
    outputs: NDArray[np.int8]  # [n], 1 where logits are wanted
    owners: NDArray[np.int64]  # [rows], index of the run that each row of logits belongs to
    offsets: NDArray[np.int64]  # [rows], index of the row's token in its run


def lay(runs: Sequence[Run], max_tokens: int, max_outputs: int) -> list[Batch]:
    """Batches of at most `max_tokens` tokens and `max_outputs` rows, in the order of the runs."""
    lengths = [len(run.tokens) for run in runs]
    if not sum(lengths):
        return []
    owners = np.repeat(np.arange(len(runs)), lengths)
    offsets = np.concatenate([np.arange(length) for length in lengths])
    tokens = np.concatenate([np.asarray(run.tokens, np.int32) for run in runs])
    positions = np.repeat([run.start for run in runs], lengths) + offsets
    sequences = np.repeat([run.sequence for run in runs], lengths)
    outputs = offsets >= np.repeat([run.first_output for run in runs], lengths)
    return [
        Batch(
            tokens[part],
            positions[part].astype(np.int32),
            sequences[part].astype(np.int32),
            outputs[part].astype(np.int8),
            owners[part][outputs[part]],
            offsets[part][outputs[part]],
        )
        for part in _parts(outputs, max_tokens, max_outputs)
    ]


def _parts(outputs: NDArray[np.bool_], max_tokens: int, max_outputs: int) -> list[slice]:
    rows_before = np.concatenate([[0], np.cumsum(outputs)])  # [n + 1]
    parts, start = [], 0
    while start < len(outputs):
        # The last end whose rows still fit; at least one token, as max_outputs >= 1.
        end_by_rows = int(np.searchsorted(rows_before, rows_before[start] + max_outputs, side="right")) - 1
        end = min(start + max_tokens, end_by_rows, len(outputs))
        parts.append(slice(start, end))
        start = end
    return parts
