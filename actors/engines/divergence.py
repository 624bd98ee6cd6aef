"""How far a model's predictions are from the reference's, token by token: pure functions over rows of logits.

For each scored token: its log-probability under each model, the KL divergence of the model's distribution from the
reference's, sum p_ref (ln p_ref - ln p), and whether both hold the same token for the most likely one. The logits of
all models stand side by side, so the reference's softmax is computed once for all of them and nothing is stored;
`llama-perplexity --kl-divergence` keeps the reference's in 16 bits on disk and leaves out what is below e^-16.
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

_ROWS_A_TASK = 32


@dataclass(frozen=True)
class TokenFigures:
    """What one model says of each scored token."""

    logprobs: NDArray[np.float64]  # [tokens], nats, of the true token
    klds: NDArray[np.float64] | None  # [tokens], nats; None for the reference itself, or without one
    agrees: NDArray[np.bool_] | None  # [tokens], the most likely token is the reference's; None likewise

    def divergence(self, reference: TokenFigures, chosen: NDArray[np.bool_]) -> Divergence | None:
        """Sums over the chosen tokens; None where nothing was compared."""
        if self.klds is None or self.agrees is None:
            return None
        change = np.exp(self.logprobs[chosen]) - np.exp(reference.logprobs[chosen])
        return Divergence(
            kld_sum=float(self.klds[chosen].sum()),
            top_agree=int(self.agrees[chosen].sum()),
            p_change_sum=float(change.sum()),
            p_change_squares=float((change**2).sum()),
        )

    def by_class(self, reference: TokenFigures, classes: NDArray[np.uint8]) -> Mapping[str, ClassSums]:
        """Sums over the tokens of each class that has any, by its label."""
        sums = {}
        for kind in TokenClass:
            chosen = classes == kind
            if chosen.any():
                nll_sum = -float(self.logprobs[chosen].sum())
                sums[kind.label] = ClassSums(int(chosen.sum()), nll_sum, self.divergence(reference, chosen))
        return sums


def compare(
    logits: Sequence[NDArray[np.float32]], tokens: NDArray[np.int64], pool: Executor
) -> tuple[TokenFigures, ...]:
    """The figures of each model; the first is the reference.

    Args:
        logits: of each model, [rows, n_vocab] over one vocabulary
        tokens: [rows], the true token that each row predicts
        pool: threads among which the rows are shared out; numpy holds no lock while it counts
    """
    starts = range(0, max(len(tokens), 1), _ROWS_A_TASK)
    parts = list(pool.map(lambda start: _rows(logits, tokens, slice(start, start + _ROWS_A_TASK)), starts))
    return tuple(joined([part[place] for part in parts]) for place in range(len(logits)))


def joined(parts: Sequence[TokenFigures]) -> TokenFigures:
    """Figures of successive tokens as one; there is at least one part."""
    klds = [part.klds for part in parts if part.klds is not None]
    agrees = [part.agrees for part in parts if part.agrees is not None]
    return TokenFigures(
        np.concatenate([part.logprobs for part in parts]),
        np.concatenate(klds) if klds else None,
        np.concatenate(agrees) if agrees else None,
    )


def _rows(logits: Sequence[NDArray[np.float32]], tokens: NDArray[np.int64], part: slice) -> tuple[TokenFigures, ...]:
    wanted = tokens[part]
    models = [one[part] for one in logits]
    logprobs = np.empty((len(models), len(wanted)))
    klds = np.empty_like(logprobs)
    tops = np.empty(logprobs.shape, np.int64)
    reference, other = (_Softmax(one.shape[1]) for one in (models[0], models[0]))
    gap = np.empty(models[0].shape[1], np.float32)
    # One row at a time: what is counted with it stays in the cache, and no memory is asked for in between.
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
                klds[place, row] = max(between, 0.0)  # rounding can take it below zero where both are the same
    figures = [TokenFigures(logprobs[0], None, None)]
    figures += [TokenFigures(logprobs[n], klds[n], tops[n] == tops[0]) for n in range(1, len(models))]
    return tuple(figures)


class _Softmax:
    """The softmax of one row, in memory that serves row after row."""

    def __init__(self, n_vocab: int) -> None:
        self.centred = np.empty(n_vocab, np.float32)
        """Logits less the highest of them."""
        self.weights = np.empty(n_vocab, np.float32)
        """Their exponentials."""
        self.total = 0.0
        """Sum of the weights."""
        self.top = 0
        """The most likely token."""

    def fill(self, logits: NDArray[np.float32]) -> None:
        """Exponentials in float32, their sum in float64: good to about 1e-7."""
        self.top = int(logits.argmax())
        np.subtract(logits, logits[self.top], out=self.centred)
        np.exp(self.centred, out=self.weights)
        self.total = float(self.weights.sum(dtype=np.float64))

    def logprob(self, token: int) -> float:
        return float(self.centred[token]) - math.log(self.total)
