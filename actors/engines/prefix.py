"""Decode the common prefix of a block's prompts (the few-shot examples) once, and keep it for the next blocks.

All blocks of a benchmark have the same prefix, so a worker decodes it once per benchmark. The results of a block do not
depend on whether the prefix was kept. The reason: llama.cpp fills free KV cells from the lowest up
(`llama_kv_cache::find_slot`; its head is never above a free cell). A cache that contains only the prefix therefore has
the same layout as after decoding it anew.

Sliding window caches are different: cells are reused while their sequence is still decoded, and which ones depends on
earlier work. Models with a sliding window decode the prefix again for each block.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actors.engines.meter import Meter
from actors.llama.batch import Run
from actors.llama.context import Context

ROOT = 0
"""The sequence with the common prefix. It is never decoded further; other sequences are forked from it."""


class PrefixCache:
    """Clears a context before each block, but keeps the prefix if the next block has the same one."""

    def __init__(self, context: Context, meter: Meter) -> None:
        self._context = context
        self._meter = meter
        self._tokens: tuple[int, ...] = ()

    def prepare(self, tokens: Sequence[int]) -> None:
        """Make the context contain only these tokens, in `ROOT`. Raise `LlamaError` if decoding fails."""
        wanted, kept = tuple(tokens), self._tokens
        if wanted and wanted == kept and self._context.refills_in_order:
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
    """Return the length of the common prefix. It leaves at least one token of each prompt, whose logits are needed."""
    if not prompts:
        return 0
    most = min(map(len, prompts)) - 1
    first = np.asarray(prompts[0][:most])
    for prompt in prompts[1:]:
        differs = np.flatnonzero(first != np.asarray(prompt[: len(first)]))
        if len(differs):
            first = first[: differs[0]]
    return max(0, len(first))


EXTRA_SEQUENCES = 2
"""Number of sequences besides the slots: one for the common prefix, one for the held prompt (see `generation`)."""
