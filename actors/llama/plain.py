"""One sequence at a time through the high-level class of llama-cpp-python: the plain way that ours is checked against.

It shares nothing with `context` and `batch` but the library itself: no forks, no batches of many sequences, no rows
picked out of a batch's logits.
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
"""A call's logits are kept for each of its tokens: 75 MB at a vocabulary of 150k."""


@dataclass(frozen=True)
class GreedyStep:
    """One token of the most likely answer."""

    token: int
    lead: float
    """By how much its logit is above the next best: nats."""


class PlainModel:
    """Owns one `llama_cpp.Llama`. Close it."""

    def __init__(self, path: str, *, n_ctx: int, threads: int, gpu_layers: int, flash_attention: bool) -> None:
        """Raises `LlamaError` with the log's last lines."""
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
        """Free cache and weights."""
        self._llama.close()

    def loglik(self, tokens: Sequence[int], first_scored: int) -> float:
        """Log-likelihood, nats, of `tokens[first_scored:]`, each given all before it.

        Decoded as a prompt is, many tokens a call: kernels for single tokens round in other places, and with quantized
        weights that alone makes some 0.01 nats a token.
        """
        self._eval(tokens[:-1], fresh=True)
        rows = self._llama.scores[first_scored - 1 : len(tokens) - 1].astype(np.float64)  # [scored, n_vocab]
        wanted = rows[np.arange(len(rows)), np.asarray(tokens[first_scored:])]
        return float((wanted - np.logaddexp.reduce(rows, axis=1)).sum())

    def greedy(self, tokens: Sequence[int], n_tokens: int) -> Iterator[GreedyStep]:
        """The most likely tokens after `tokens`, the lowest id first among equals; end-of-generation tokens as well."""
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
            raise LlamaError(f"one sequence alone cannot be decoded: {error}", library.log_tail()[-5:]) from error


@contextlib.contextmanager
def without_repacked_weights() -> Iterator[None]:
    """`Llama` has no argument for `use_extra_bufts`, without which some machines fault (see `model`)."""
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
