"""The common beginning of a block's prompts (the few-shot examples): decoded once, and kept for the blocks to come.

Blocks of a benchmark begin alike, so a worker decodes the examples once a benchmark. What a block gives does not depend
on whether it found them there: llama.cpp takes free cells from the lowest on (`llama_kv_cache::find_slot`; its head
never stands above a free cell), so a cache that holds the beginning alone is laid out as if it had just been decoded.
Cells of a sliding window are taken again while their sequence lives, and which ones depends on what came before: such
models decode it anew for each block.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actors.engines.meter import Meter
from actors.llama.batch import Run
from actors.llama.context import Context

ROOT = 0
"""The sequence that holds the common beginning: never decoded further, others are forked from it."""


class KeptPrefix:
    """Empties a context before each block, but for a beginning that is wanted again."""

    def __init__(self, context: Context, meter: Meter) -> None:
        self._context = context
        self._meter = meter
        self._tokens: tuple[int, ...] = ()

    def open(self, tokens: Sequence[int]) -> None:
        """Leave these tokens in `ROOT`, and nothing else anywhere. Raises `LlamaError`."""
        wanted, kept = tuple(tokens), self._tokens
        if wanted and wanted == kept and self._context.layout_survives:
            self._context.drop_all_but(ROOT)
            return
        self._tokens = ()
        self._context.clear()
        if not wanted:
            return
        with self._meter.prompt() as count:
            for rows in self._context.decode([Run(ROOT, 0, wanted, len(wanted))]):
                count(rows.n_tokens)
        self._tokens = wanted


def shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all prompts begin with; at least one token of each is left over, to be asked for logits."""
    if not prompts:
        return 0
    most = min(map(len, prompts)) - 1
    first = np.asarray(prompts[0][:most])
    for prompt in prompts[1:]:
        differs = np.flatnonzero(first != np.asarray(prompt[: len(first)]))
        if len(differs):
            first = first[: differs[0]]
    return max(0, len(first))


BESIDE_SLOTS = 2
"""Sequences for the common prefix and for the item that waits for its seeds."""
