"""The functions of all scorers, by name. `conf.scorers` says what each works with.

Built-in and custom benchmarks name their scorer. Its name and settings travel with each block.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from actors.evaluation.contract import ScoredResult, ScoreFunction
from actors.evaluation.scorers.choice import score_choice
from actors.evaluation.scorers.judged import score_judged
from actors.evaluation.scorers.letter import score_letter
from actors.evaluation.scorers.likelihood import score_measured
from actors.evaluation.scorers.mathematics import score_mathematics
from actors.evaluation.scorers.numbers_in_text import score_number
from actors.evaluation.scorers.short_answer import score_short_answer
from actors.evaluation.scorers.texts import score_contains, score_exact, score_regex
from actors.items import Scorer

SCORE_FUNCTIONS: dict[str, Callable[..., ScoredResult]] = {
    "number": score_number,
    "math": score_mathematics,
    "letter": score_letter,
    "exact": score_exact,
    "contains": score_contains,
    "short_answer": score_short_answer,
    "regex": score_regex,
    "choice_loglik": score_choice,
    "measured": score_measured,
    "judged": score_judged,
}
"""Each takes an item and a result, and its settings as keyword arguments."""


def scorer_of(wanted: Scorer) -> ScoreFunction:
    """Return the function that scores a block's results. Raise `KeyError` for an unknown name."""
    return functools.partial(SCORE_FUNCTIONS[wanted.name], **wanted.settings)
