"""The table of scorers: what turns an answer into a verdict, by name.

Benchmarks name their scorer, and so do those that a user writes; the name and its settings travel with the block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.evaluation.contract import Score
from actors.evaluation.scorers.choice import score_choice
from actors.evaluation.scorers.letter import score_letter
from actors.evaluation.scorers.likelihood import score_measured
from actors.evaluation.scorers.mathematics import score_mathematics
from actors.evaluation.scorers.numbers_in_text import score_number
from actors.evaluation.scorers.short_answer import score_short_answer
from actors.evaluation.scorers.texts import regex_scorer, score_contains, score_exact
from actors.orders import Scorer

SCORERS: dict[str, Score] = {
    "number": score_number,
    "math": score_mathematics,
    "letter": score_letter,
    "exact": score_exact,
    "contains": score_contains,
    "short_answer": score_short_answer,
    "choice_loglik": score_choice,
    "measured": score_measured,
}

SCORERS_WITH_SETTINGS: dict[str, Callable[..., Score]] = {"regex": regex_scorer}
"""Each makes a scorer of its settings, which it takes as keyword arguments."""


def scorer_of(wanted: Scorer) -> Score:
    """The scorer of a block. Raises KeyError for a name that is in neither table."""
    settings: dict[str, Any] = dict(wanted.settings)
    return SCORERS_WITH_SETTINGS[wanted.name](**settings) if settings else SCORERS[wanted.name]
