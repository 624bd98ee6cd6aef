"""Decode one sequence at a time. The self-check compares the batched engine with this.

This module shares the loaded weights with the engine, because a device may not hold them twice, but no code with
`context` and `batch`. It has no forks, no batches of several sequences, and no selection of logit rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from actors.llama import library
from actors.llama.model import Model
from actors.llama.no_room import context_error, decode_error

BATCH_TOKENS = 128
"""Tokens per call. The logits of every token are kept: 75 MB with a vocabulary of 150k tokens."""


@dataclass(frozen=True)
class GreedyStep:
    """One token of a greedy answer."""

    token: int
    lead: float
    """Difference between its logit and the second highest logit, in nats."""


class PlainContext:
    """One context of a loaded model, with one sequence. Close it before the model."""

    def __init__(self, model: Model, *, n_ctx: int, threads: int, offload: bool, flash_attention: bool) -> None:
        """Make the context. Raise `NoRoomError` if there is no memory for it, `LlamaError` if anything else fails.

        Args:
            n_ctx: the most tokens of a sequence.
            offload: whether the KV cache of layers on devices is on those devices.
        """
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max = n_ctx, BATCH_TOKENS, BATCH_TOKENS, 1
        params.n_threads = params.n_threads_batch = threads
        params.offload_kqv = offload
        params.flash_attn_type = (
            llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash_attention else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        with library.captured_log() as log:
            self._handle = llama_cpp.llama_init_from_model(model.handle, params)
        if not self._handle:
            raise context_error(model.path, n_ctx, log)
        self._n_vocab = model.n_vocab
        self._n_past = 0

    def close(self) -> None:
        """Free the KV cache."""
        if self._handle:
            llama_cpp.llama_free(self._handle)
            self._handle = None

    def loglik(self, tokens: Sequence[int], first_scored: int) -> float:
        """Return the log-likelihood, in nats, of `tokens[first_scored:]`, each given all tokens before it.

        The tokens are decoded like a prompt, many per call. The kernels for single tokens round differently: with
        quantized weights this alone makes a difference of about 0.01 nats per token.
        """
        self._forget()
        rows = np.concatenate(list(self._logits(tokens[:-1])))[first_scored - 1 :].astype(np.float64)
        wanted = rows[np.arange(len(rows)), np.asarray(tokens[first_scored:])]
        return float((wanted - np.logaddexp.reduce(rows, axis=1)).sum())

    def greedy(self, tokens: Sequence[int], n_tokens: int) -> Iterator[GreedyStep]:
        """Yield the greedy tokens after `tokens`, even past an end-of-generation token. A tie goes to the lowest id."""
        self._forget()
        logits = self._logits_after(tokens)
        for _ in range(n_tokens):
            token = int(logits.argmax())
            next_best, best = np.partition(logits, -2)[-2:]
            yield GreedyStep(token, float(best - next_best))
            logits = self._logits_after([token])

    def _logits_after(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        *_, part = self._logits(tokens)
        last: NDArray[np.float32] = part[-1]
        return last

    def _forget(self) -> None:
        """Begin a new sequence in an empty cache."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._handle), True)
        self._n_past = 0

    def _logits(self, tokens: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        """Decode the next tokens of the sequence. Yield copies of their logits, [tokens of one call, n_vocab]."""
        batch = llama_cpp.llama_batch_init(BATCH_TOKENS, 0, 1)
        try:
            for start in range(0, len(tokens), BATCH_TOKENS):
                part = tokens[start : start + BATCH_TOKENS]
                batch.n_tokens = len(part)
                for place, token in enumerate(part):
                    batch.token[place], batch.pos[place] = token, self._n_past + place
                    batch.n_seq_id[place], batch.seq_id[place][0], batch.logits[place] = 1, 0, 1
                with library.captured_log() as log:
                    status = llama_cpp.llama_decode(self._handle, batch)
                if status != 0:
                    raise decode_error(status, log)
                self._n_past += len(part)
                pointer = llama_cpp.llama_get_logits(self._handle)
                yield np.ctypeslib.as_array(pointer, shape=(len(part), self._n_vocab)).copy()
        finally:
            llama_cpp.llama_batch_free(batch)
