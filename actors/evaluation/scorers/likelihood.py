"""Score measured text: nothing is right or wrong, the likelihood itself is the result."""

from __future__ import annotations

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult
from actors.items import Item


def score_measured(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Return `measured` without a score. The record holds `nll_sum` and `n_tokens`."""
    return ScoredResult("measured", score=None)
