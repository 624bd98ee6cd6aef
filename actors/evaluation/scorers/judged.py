"""The scorer of answers that a judge scores later: evaluation keeps the answer and gives no score.

Judging is a phase after the records (`actors.judging`). It changes no record, so the records are the same whoever
judges them.
"""

from __future__ import annotations

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult, answer_of
from actors.items import Item
from reporting.judging_reasons import NO_JUDGE


def score_judged(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Return `unscored`."""
    answer_of(item, result)
    return ScoredResult("unscored", score=None, reason=NO_JUDGE)
