"""Scoring of measured text: there is no right or wrong, the likelihood itself is the result."""

from __future__ import annotations

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult
from actors.orders import Item


def score_measured(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """`measured`, without a score: the record carries `nll_sum` and `n_tokens`."""
    return ScoredResult("measured", None)
