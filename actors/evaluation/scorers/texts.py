"""Scoring by the text itself: the whole of it, a part of it, or what a regular expression finds in it.

The target is one accepted text or a list of them. Width, case and surrounding space make no difference: both sides are
NFKC-normalised and case-folded, and a run of white space counts as one space.
"""

from __future__ import annotations

import contextlib
import re
import signal
import threading
import unicodedata
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult, answer_of, no_answer, right_or_wrong
from actors.orders import Item

PATTERN_LIMIT_S = 1.0
"""Time to search one answer for a pattern. Some patterns take time that grows exponentially with the text."""


@contextlib.contextmanager
def time_limit(limit_s: float) -> Iterator[None]:
    """Raise `TimeoutError` if the block takes longer than this. Python looks for signals while it matches a pattern.

    Signals reach only the main thread, which is the one that workers score in. In others there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def folded(text: str) -> str:
    """Return the same form for all texts that differ only in width, case or white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def accepted(item: Item) -> list[str]:
    """Return the accepted texts of an item, folded."""
    targets = item.target if isinstance(item.target, list) else [item.target]
    return [folded(str(target)) for target in targets]


def score_exact(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Score 1 if the whole answer is an accepted text."""
    answer = answer_of(item, result)
    given = folded(answer.text)
    return right_or_wrong(given in accepted(item), answer.text.strip()) if given else no_answer(answer)


def score_contains(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Score 1 if the answer contains an accepted text."""
    answer = answer_of(item, result)
    given = folded(answer.text)
    if not given:
        return no_answer(answer)
    found = next((text for text in accepted(item) if text in given), None)
    return ScoredResult("wrong", 0.0) if found is None else right_or_wrong(True, found)


def score_regex(item: Item, result: Answer | Choices | Measured, *, pattern: str) -> ScoredResult:
    """Score 1 if the last match of `pattern` (its first group, if it has one) is an accepted text."""
    expression = re.compile(pattern)
    answer = answer_of(item, result)
    try:
        with time_limit(PATTERN_LIMIT_S):
            matches = list(expression.finditer(answer.text))
    except TimeoutError:
        return ScoredResult("unscored", None, reason="pattern_over_time")
    if not matches:
        return no_answer(answer)
    given = matches[-1][1 if expression.groups else 0] or ""
    return right_or_wrong(folded(given) in accepted(item), given)
