"""Score short answers: right if the first line is one of the accepted answers.

Both sides are normalised: NFKC (full-width digits and letters), case-folded, without punctuation at the edges and
without a leading article. An answer may continue after an accepted one ("7 days" for "7"), but "70" is not "7".
"""

from __future__ import annotations

import re
import unicodedata

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult, right_or_wrong
from actors.evaluation.scorers.spoken import spoken_of
from actors.items import Item

_SENTENCE_END = re.compile(r"[。！？]|[.!?](?=\s)")
_ARTICLE = re.compile(r"^(?:the|an?)\s+")


def normalized(text: str) -> str:
    """Return the same form for answers that differ only in width, case, outer punctuation or a leading article."""
    text = unicodedata.normalize("NFKC", text).casefold().strip()
    text = re.sub(r"^[^\w+-]+|[\W_]+$", "", text)
    return _ARTICLE.sub("", text)


def score_short_answer(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Score 1 if the first line matches an accepted answer in `target`. An empty line is wrong, with its reason.

    If the token limit cut the first line, only its complete sentences count.
    """
    said = spoken_of(item, result)
    lines = said.text.strip().splitlines()
    line = lines[0] if lines else ""
    if said.cut and len(lines) < 2:
        line = line[: max((end.end() for end in _SENTENCE_END.finditer(line)), default=0)]
    given = normalized(line)
    if not given:
        return said.without_answer()
    right = any(_begins_with(given, normalized(accepted)) for accepted in item.target)
    return right_or_wrong(right, given)


def _begins_with(given: str, accepted: str) -> bool:
    """Return whether `given` is `accepted`, or continues it with another word.

    In Japanese, which has no spaces, it may continue with です.
    """
    if not given.startswith(accepted):
        return False
    rest = given[len(accepted) :]
    return not rest or re.match(r"[^\w.,]|です|[.,](?!\d)", rest) is not None
