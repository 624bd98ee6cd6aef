"""Decode one sequence at a time with `llama_cpp.Llama`. The self-check compares the batched engine with this.

This module shares no code with `context` and `batch`, only the library. It has no forks, no batches of several
sequences, and no selection of logit rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from actors.errors import LlamaError
from actors.llama import library

BATCH_TOKENS = 128
"""Tokens per call. The logits of every token are kept: 75 MB with a vocabulary of 150k tokens."""


@dataclass(frozen=True)
class GreedyStep:
    """One token of a greedy answer."""

    token: int
    lead: float
    """Difference between its logit and the second highest logit, in nats."""


class PlainModel:
    """One `llama_cpp.Llama`. Call `close` after use."""

    def __init__(self, path: str, *, n_ctx: int, threads: int, gpu_layers: int, flash_attention: bool) -> None:
        """Load the model. Raise `LlamaError` with the last log lines if llama.cpp cannot load it."""
        with library.captured_log() as log:
            try:
                with without_repacked_weights():
                    self._llama = llama_cpp.Llama(
                        path,
                        n_ctx=n_ctx,
                        n_batch=BATCH_TOKENS,
                        logits_all=True,
                        n_threads=threads,
                        n_threads_batch=threads,
                        n_gpu_layers=gpu_layers,
                        flash_attn=flash_attention,
                        verbose=False,
                    )
            except ValueError as error:
                raise LlamaError(str(error), log[-5:]) from error

    def close(self) -> None:
        """Free the KV cache and the weights."""
        self._llama.close()

    def loglik(self, tokens: Sequence[int], first_scored: int) -> float:
        """Return the log-likelihood, in nats, of `tokens[first_scored:]`, each given all tokens before it.

        The tokens are decoded like a prompt, many per call. The kernels for single tokens round differently: with
        quantized weights this alone makes a difference of about 0.01 nats per token.
        """
        self._eval(tokens[:-1], fresh=True)
        rows = self._llama.scores[first_scored - 1 : len(tokens) - 1].astype(np.float64)  # [scored, n_vocab]
        wanted = rows[np.arange(len(rows)), np.asarray(tokens[first_scored:])]
        return float((wanted - np.logaddexp.reduce(rows, axis=1)).sum())

    def greedy(self, tokens: Sequence[int], n_tokens: int) -> Iterator[GreedyStep]:
        """Yield the greedy tokens after `tokens`, even past an end-of-generation token. A tie goes to the lowest id."""
        logits = self._logits_after(tokens, fresh=True)
        for _ in range(n_tokens):
            token = int(logits.argmax())
            next_best, best = np.partition(logits, -2)[-2:]
            yield GreedyStep(token, float(best - next_best))
            logits = self._logits_after([token])

    def _logits_after(self, tokens: Sequence[int], *, fresh: bool = False) -> NDArray[np.float32]:
        self._eval(tokens, fresh=fresh)
        last: NDArray[np.float32] = self._llama.scores[self._llama.n_tokens - 1]
        return last

    def _eval(self, tokens: Sequence[int], *, fresh: bool) -> None:
        if fresh:
            self._llama.n_tokens = 0  # what `Llama.reset` does
        try:
            self._llama.eval(list(tokens))
        except RuntimeError as error:
            raise LlamaError(f"cannot decode a single sequence: {error}", library.log_tail()[-5:]) from error


@contextlib.contextmanager
def without_repacked_weights() -> Iterator[None]:
    """Set `use_extra_bufts` to False while a `Llama` is made: some machines crash otherwise (see `model`).

    `Llama` has no argument for this setting, so its default is replaced.
    """
    module: Any = llama_cpp.llama_cpp
    defaults = module.llama_model_default_params

    def plain_defaults() -> Any:
        params = defaults()
        params.use_extra_bufts = False
        return params

    module.llama_model_default_params = plain_defaults
    try:
        yield
    finally:
        module.llama_model_default_params = defaults
