"""Measure chunks of text with one model, or with a reference and its arms side by side.

Each model decodes each chunk from an empty KV cache, as `llama-perplexity` does. llama.cpp keeps the logits of a model
until that model decodes again. So the logits of all models can be compared in place, and none need to be stored. The
results of a model do not depend on the models beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from actors.engines import CONTEXT_TOO_LONG, Measured, Refused
from actors.engines.divergence import TokenStats, compare, concatenated
from actors.items import Measure
from actors.token_classes import classify


class ChunkDecoder(Protocol):
    """A loaded model with the functions that this module needs."""

    def decode_chunk(self, task: Measure) -> Iterator[NDArray[np.float32]]:
        """Yield the logits that predict the scored tokens, as arrays [rows, n_vocab].

        Each array is valid until the model decodes again, that is, until the next one is requested.
        """
        ...

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token."""
        ...

    def too_long(self, n_tokens: int) -> bool:
        """Return True if this is more tokens than the model's context length."""
        ...


def measure_side_by_side(
    models: Sequence[ChunkDecoder], tasks: Sequence[Measure], threads: int
) -> list[tuple[Measured | Refused, ...]]:
    """Return the results of each model for each chunk. All models are compared with the first.

    Args:
        models: models with the same vocabulary and batch size.
        tasks: the chunks.
        threads: number of threads for the comparison. It runs while no model decodes.

    Raises:
        LlamaError: a model failed. There are no partial results.
    """
    with ThreadPoolExecutor(threads) as pool:
        return [_measure(models, task, pool) for task in tasks]


def _measure(models: Sequence[ChunkDecoder], task: Measure, pool: Executor) -> tuple[Measured | Refused, ...]:
    if any(model.too_long(len(task.tokens)) for model in models):
        return (Refused(CONTEXT_TOO_LONG),) * len(models)
    stats = _decode(models, task, pool)
    classes = classify([models[0].piece(token) for token in task.tokens])[task.first_scored :]
    every = np.ones(len(classes), np.bool_)
    return tuple(
        Measured(
            nll_sum=-float(one.logprobs.sum()),
            n_tokens=len(classes),
            prompt_tokens=len(task.tokens),
            divergence=one.divergence(stats[0], every),
            by_class=one.by_class(stats[0], classes),
        )
        for one in stats
    )


def _decode(models: Sequence[ChunkDecoder], task: Measure, pool: Executor) -> list[TokenStats]:
    """Decode one chunk with all models. Return the statistics of the scored tokens, one entry per model."""
    targets = np.asarray(task.tokens[task.first_scored :], np.int64)
    parts: list[tuple[TokenStats, ...]] = []
    done = 0
    # In lockstep: take one piece from each model, then the next piece from each.
    for logits in zip(*(model.decode_chunk(task) for model in models), strict=True):
        wanted = targets[done : done + len(logits[0])]
        parts.append(compare(logits, wanted, pool))
        done += len(wanted)
    return [concatenated([part[place] for part in parts]) for place in range(len(models))]
