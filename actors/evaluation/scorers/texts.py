"""Scoring by the text itself: the whole of it, a part of it, or what a regular expression finds in it.

The target is one accepted text or a list of them. Width, case and surrounding space make no difference: both sides are
NFKC-normalised and case-folded, and a run of white space counts as one space. Thoughts are no part of an answer
(`spoken`), and an answer that the token limit cut off is wrong.
"""

from __future__ import annotations

import re
import unicodedata

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult, right_or_wrong
from actors.evaluation.scorers.spoken import spoken_of
from actors.items import Item
from actors.patterns import PatternOverLimit, searcher


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
    said = spoken_of(item, result)
    try:
        matches = searcher().find_all(pattern, said.text)
    except PatternOverLimit as error:
        return ScoredResult("unscored", None, reason=f"pattern_over_{error.limit}")
    if said.cut:
        marked = re.compile(pattern).groups > 0
        matches = [match for match in matches if marked and said.text[match.end :].strip()]
    if not matches:
        return said.without_answer()
    given = matches[-1].given
    return right_or_wrong(folded(given) in accepted(item), given)
