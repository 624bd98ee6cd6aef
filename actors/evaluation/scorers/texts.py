"""Scoring by the text itself: the whole of it, a part of it, or what a regular expression finds in it.

The target is one accepted text or a list of them. Width, case and surrounding space make no difference: both sides are
NFKC-normalised and case-folded, and a run of white space counts as one space. Thoughts are no part of an answer
(`spoken`), and an answer that the token limit cut off is wrong.
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
from actors.evaluation.contract import ScoredResult, right_or_wrong
from actors.evaluation.scorers.spoken import spoken_of
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
    said = spoken_of(item, result)
    given = folded(said.text)
    return (
        right_or_wrong(given in accepted(item), said.text.strip()) if given and not said.cut else said.without_answer()
    )


def score_contains(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Score 1 if the answer contains an accepted text."""
    said = spoken_of(item, result)
    given = folded(said.text)
    if not given or said.cut:
        return said.without_answer()
    found = next((text for text in accepted(item) if text in given), None)
    return ScoredResult("wrong", 0.0) if found is None else right_or_wrong(True, found)


def score_regex(item: Item, result: Answer | Choices | Measured, *, pattern: str) -> ScoredResult:
    """Score 1 if the last match of `pattern` (its first group, if it has one) is an accepted text.

    If the token limit cut the answer, a match counts only if text follows it, and only if the pattern has a group, so
    that what is around the group marks the answer.
    """
    expression = re.compile(pattern)
    said = spoken_of(item, result)
    try:
        with time_limit(PATTERN_LIMIT_S):
            matches = list(expression.finditer(said.text))
    except TimeoutError:
        return ScoredResult("unscored", None, reason="pattern_over_time")
    if said.cut:
        matches = [match for match in matches if expression.groups and said.text[match.end() :].strip()]
    if not matches:
        return said.without_answer()
    given = matches[-1][1 if expression.groups else 0] or ""
    return right_or_wrong(folded(given) in accepted(item), given)
