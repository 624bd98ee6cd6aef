"""Score multiple choice by log-likelihood, normalised by length.

A longer text has a lower likelihood just because it is longer. Dividing by the number of characters is what
lm-evaluation-harness calls `acc_norm`. Characters are used, not tokens, so that models with different vocabularies can
be compared.
"""

from __future__ import annotations

import numpy as np

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult
from actors.items import Choose, Item


def score_choice(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Score 1 if the right choice has the highest log-likelihood per character. Of equal values the first wins."""
    if not isinstance(item.task, Choose) or not isinstance(result, Choices):
        raise TypeError(f"{item.item_id}: choices expected, got {type(result).__name__}")
    best = int(np.argmax(np.array(result.logliks) / np.array(item.task.lengths)))
    right = best == item.target
    return ScoredResult("correct" if right else "wrong", float(right), answer=item.task.choices[best].removeprefix(" "))
