"""Find the letter that an answer to a multiple-choice question names.

The last letter after a phrase counts ("the answer is (B)", "Answer: B", 答えは B, `\\boxed{B}`). Without a phrase, a
letter at the start of the answer counts ("B", "(B) dry palms", "B. dry palms"). Otherwise the last letter in brackets
or alone counts. The article "A" and the pronoun "I" in a sentence do not count.
"""

from __future__ import annotations

import re
import unicodedata

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult, answer_of, no_answer, right_or_wrong
from actors.orders import Item

_LETTER = r"(?<![A-Za-z])([A-J])(?![A-Za-z'])"
_PHRASE = re.compile(
    r"(?:\banswers?\W{0,4}(?:is|:|=|would be|should be)|\b(?:option|choice)\b"
    r"|(?:答え|解答|正解|回答)\W{0,3}(?:は|:|=|が)?"
    rf"|\\boxed)[^\w\n]{{0,8}}(?:(?:\\text|\\mathrm|option|choice|選択肢)[^\w\n]{{0,3}})?{_LETTER}(?!\s+[a-z])",
    re.IGNORECASE,
)
_OPENING = re.compile(rf"\W*{_LETTER}(?=\s*(?:[).:,\]。、]|$|\n))")
_ALONE = re.compile(rf"\({_LETTER}\)|(?:^|[\s*]){_LETTER}(?=[).:,]|\*\*|\s*$)", re.MULTILINE)


def final_letter(text: str) -> str | None:
    """Return the letter that an answer names, or None if it names none."""
    text = unicodedata.normalize("NFKC", text)
    phrases = [match[1] for match in _PHRASE.finditer(text) if match[1].isupper()]
    if phrases:
        return str(phrases[-1])
    opening = _OPENING.match(text)
    if opening:
        return str(opening[1])
    alone = [match[1] or match[2] for match in _ALONE.finditer(text)]
    return str(alone[-1]) if alone else None


def score_letter(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Score 1 if the letter is the target. An answer without a letter is wrong, with its reason."""
    answer = answer_of(item, result)
    letter = final_letter(answer.text)
    return no_answer(answer) if letter is None else right_or_wrong(letter == item.target, letter)
