"""Compare the predictions of models with those of a reference, token by token. Pure functions over rows of logits.

For each scored token this computes:

- the token's log-probability under each model
- the KL divergence of each model's distribution from the reference's: sum p_ref (ln p_ref - ln p)
- whether the model and the reference have the same most likely token

All logits are in memory together, so the reference's softmax is computed once for all models, and nothing is stored.
`llama-perplexity --kl-divergence` stores the reference's log-probabilities on disk in 16 bits, without those below
-16 relative to the row's highest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.engines import ClassSums, Divergence
from actors.token_classes import TokenClass

_ROWS_PER_TASK = 32


@dataclass(frozen=True)
class TokenStats:
    """The values of one model for each scored token."""

    logprobs: NDArray[np.float64]  # [tokens], nats, of the true token
    klds: NDArray[np.float64] | None  # [tokens], nats; None for the reference
    agrees: NDArray[np.bool_] | None  # [tokens], same most likely token as the reference; None for the reference

    def divergence(self, reference: TokenStats, chosen: NDArray[np.bool_]) -> Divergence | None:
        """Return sums over the chosen tokens. None for the reference itself."""
        if self.klds is None or self.agrees is None:
            return None
        change = np.exp(self.logprobs[chosen]) - np.exp(reference.logprobs[chosen])
        return Divergence(
            kld_sum=float(self.klds[chosen].sum()),
            top_agree=int(self.agrees[chosen].sum()),
            p_change_sum=float(change.sum()),
            p_change_squares=float((change**2).sum()),
        )

    def by_class(self, reference: TokenStats, classes: NDArray[np.uint8]) -> Mapping[str, ClassSums]:
        """Return sums per class, one entry per label of a class that has tokens."""
        sums = {}
        for kind in TokenClass:
            chosen = classes == kind
            if chosen.any():
                nll_sum = -float(self.logprobs[chosen].sum())
                sums[kind.label] = ClassSums(int(chosen.sum()), nll_sum, self.divergence(reference, chosen))
        return sums


def compare(logits: Sequence[NDArray[np.float32]], tokens: NDArray[np.int64], pool: Executor) -> tuple[TokenStats, ...]:
    """Return the statistics of each model. The first model is the reference.

    Args:
        logits: one array per model, [rows, n_vocab], all with the same vocabulary
        tokens: [rows], the true token that each row predicts
        pool: threads that share the rows. They run in parallel, because numpy releases the interpreter lock.
    """
    starts = range(0, max(len(tokens), 1), _ROWS_PER_TASK)
    parts = list(pool.map(lambda start: _compare(logits, tokens, slice(start, start + _ROWS_PER_TASK)), starts))
    return tuple(concatenated([part[place] for part in parts]) for place in range(len(logits)))


def concatenated(parts: Sequence[TokenStats]) -> TokenStats:
    """Concatenate the statistics of successive tokens. There must be at least one part."""
    klds = [part.klds for part in parts if part.klds is not None]
    agrees = [part.agrees for part in parts if part.agrees is not None]
    return TokenStats(
        np.concatenate([part.logprobs for part in parts]),
        np.concatenate(klds) if klds else None,
        np.concatenate(agrees) if agrees else None,
    )


def _compare(logits: Sequence[NDArray[np.float32]], tokens: NDArray[np.int64], part: slice) -> tuple[TokenStats, ...]:
    wanted = tokens[part]
    models = [one[part] for one in logits]
    logprobs = np.empty((len(models), len(wanted)))
    klds = np.empty_like(logprobs)
    tops = np.empty(logprobs.shape, np.int64)
    reference, other = (_Softmax(one.shape[1]) for one in (models[0], models[0]))
    gap = np.empty(models[0].shape[1], np.float32)
    # One row at a time: its data stays in the CPU cache, and no memory is allocated in the loop.
    for row, token in enumerate(wanted):
        for place, rows in enumerate(models):
            softmax = other if place else reference
            softmax.fill(rows[row])
            logprobs[place, row] = softmax.logprob(int(token))
            tops[place, row] = softmax.top
            if place:
                # sum p_ref (ln p_ref - ln p): the gap is small where p_ref is large, so float32 is enough.
                np.subtract(reference.centred, other.centred, out=gap)
                gap *= reference.weights
                between = gap.sum(dtype=np.float64) / reference.total + math.log(other.total / reference.total)
                klds[place, row] = max(between, 0.0)  # rounding can make it negative if both are equal
    stats = [TokenStats(logprobs[0], klds=None, agrees=None)]
    stats += [TokenStats(logprobs[n], klds[n], tops[n] == tops[0]) for n in range(1, len(models))]
    return tuple(stats)


class _Softmax:
    """The softmax of one row. Its memory is reused for all rows."""

    def __init__(self, n_vocab: int) -> None:
        self.centred = np.empty(n_vocab, np.float32)
        """Logits minus the highest logit."""
        self.weights = np.empty(n_vocab, np.float32)
        """Exponentials of `centred`."""
        self.total = 0.0
        """Sum of the weights."""
        self.top = 0
        """The most likely token."""

    def fill(self, logits: NDArray[np.float32]) -> None:
        """Compute the softmax of a row: exponentials in float32, sum in float64. Relative error about 1e-7."""
        self.top = int(logits.argmax())
        np.subtract(logits, logits[self.top], out=self.centred)
        np.exp(self.centred, out=self.weights)
        self.total = float(self.weights.sum(dtype=np.float64))

    def logprob(self, token: int) -> float:
        return float(self.centred[token]) - math.log(self.total)
