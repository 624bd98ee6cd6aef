"""Chunks of text through one model, or through a reference and its arms side by side.

Each chunk is decoded by every model in turn, from an empty cache, as `llama-perplexity` does; llama.cpp keeps the
logits of each until it decodes again, so all of them are compared where they lie and none is stored. A model's figures
are the same whatever is decoded beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from actors.engines import CONTEXT_TOO_LONG, Measured, Refused
from actors.engines.divergence import TokenFigures, compare, joined
from actors.orders import Measure
from actors.token_classes import classify


class ChunkDecoder(Protocol):
    """A loaded model, for what is done here."""

    def decode_chunk(self, task: Measure) -> Iterator[NDArray[np.float32]]:
        """Logits that predict the scored tokens, [rows, n_vocab] a call: valid until the next one."""
        ...

    def piece(self, token: int) -> bytes:
        """The bytes of a token."""
        ...

    def too_long(self, n_tokens: int) -> bool:
        """Whether the model was not made for so many."""
        ...


def measure_side_by_side(
    models: Sequence[ChunkDecoder], tasks: Sequence[Measure], threads: int
) -> list[tuple[Measured | Refused, ...]]:
    """For each chunk what each model gives; all are compared with the first one.

    Args:
        models: over one vocabulary, decoded in batches of equal size.
        tasks: the chunks.
        threads: that count what was decoded, while no model decodes.

    Raises:
        LlamaError: a model fails; nothing is given back then.
    """
    with ThreadPoolExecutor(threads) as pool:
        return [_measure(models, task, pool) for task in tasks]


def _measure(models: Sequence[ChunkDecoder], task: Measure, pool: Executor) -> tuple[Measured | Refused, ...]:
    if any(model.too_long(len(task.tokens)) for model in models):
        return (Refused(CONTEXT_TOO_LONG),) * len(models)
    figures = _decode(models, task, pool)
    classes = classify([models[0].piece(token) for token in task.tokens])[task.first_scored :]
    every = np.ones(len(classes), np.bool_)
    return tuple(
        Measured(
            nll_sum=-float(one.logprobs.sum()),
            n_tokens=len(classes),
            prompt_tokens=len(task.tokens),
            divergence=one.divergence(figures[0], every),
            by_class=one.by_class(figures[0], classes),
        )
        for one in figures
    )


def _decode(models: Sequence[ChunkDecoder], task: Measure, pool: Executor) -> list[TokenFigures]:
    """Figures of the scored tokens, by model."""
    targets = np.asarray(task.tokens[task.first_scored :], np.int64)
    parts: list[tuple[TokenFigures, ...]] = []
    done = 0
    # In step: a piece from each model, then the next from each.
    for logits in zip(*(model.decode_chunk(task) for model in models), strict=True):
        wanted = targets[done : done + len(logits[0])]
        parts.append(compare(logits, wanted, pool))
        done += len(wanted)
    return [joined([part[place] for part in parts]) for place in range(len(models))]
