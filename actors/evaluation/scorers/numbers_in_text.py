"""Find the number that a worked solution arrives at.

An answer follows a mark: `####` (GSM8K's own), `\\boxed{}`, "answer is", "Answer:", 答えは, 正解は. After a mark, the
first number of the line counts. If the line has equals signs, it is the first number after the last of them. In a
Japanese sentence, which puts its result at the end, it is the last number. Text in brackets is a remark; a number in it
counts only if there is no other. The last mark that has a number wins. Without any mark, the last number of the text
wins, as in lm-evaluation-harness's `flexible-extract` (lm_eval/tasks/gsm8k/gsm8k.yaml). `numerals` reads the numbers.
"""

from __future__ import annotations

import re
from fractions import Fraction

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult, answer_of, no_answer, right_or_wrong
from actors.evaluation.scorers.numerals import Numeral, numerals, plain, written
from actors.orders import Item

_BOXED = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
_FINAL_MARK = "####"
_FILLER = r"(?:(?:about|approximately|exactly|therefore|thus|simply|just|then|only|equal to|a total of)\s+)*"
_ENGLISH = re.compile(rf"\banswers?(?:\s*\**\s*(?:is|:|=)|\s+should be|\s+would be|\s+becomes)[^\w\n]*{_FILLER}", re.I)
_JAPANESE = re.compile(r"(?:答え|解答|回答|正解|答)\**(?:は|が|:|=|\))")
_SENTENCE_END = re.compile(r"[。\n]")
_REMARK = re.compile(r"\([^()\n]*\)")


def final_number(text: str) -> Fraction | None:
    """Return the answer of a solution, or None if the text holds no number."""
    text = plain(_BOXED.sub(_FINAL_MARK, text))
    found = numerals(text)
    marked = [
        *((match.start(), _first_of_line(text, found, match.end())) for match in re.finditer(_FINAL_MARK, text)),
        *((match.start(), _first_at(text, found, match.end())) for match in _ENGLISH.finditer(text)),
        *((match.start(), _last_of_sentence(text, found, match.end())) for match in _JAPANESE.finditer(text)),
    ]
    answers = [(start, numeral) for start, numeral in marked if numeral is not None]
    if answers:
        return max(answers, key=lambda answer: answer[0])[1].value
    return found[-1].value if found else None


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _first_of_line(text: str, found: list[Numeral], start: int) -> Numeral | None:
    """Return the first number after a mark: on its line or, if nothing follows there, on the next line with text."""
    while start < len(text) and text[start].isspace():
        start += 1
    end = _line_end(text, start)
    start = max(start, _without_remarks(text).rfind("=", start, end))
    return next((numeral for numeral in found if start <= numeral.start < end), None)


def _first_at(text: str, found: list[Numeral], start: int) -> Numeral | None:
    """Return the number directly after a phrase. "The answer is found by adding 3" does not give an answer."""
    numeral = next((numeral for numeral in found if numeral.start >= start), None)
    if numeral is None or re.search(r"[A-Za-z\n]{3}|\w\s+\w", text[start : numeral.start]):
        return None
    return _first_of_line(text, found, start)


def _last_of_sentence(text: str, found: list[Numeral], start: int) -> Numeral | None:
    while start < len(text) and text[start].isspace():
        start += 1
    end = _SENTENCE_END.search(text, start)
    last = end.start() if end else len(text)
    said = [numeral for numeral in found if start <= numeral.start < last]
    outside = _without_remarks(text)
    return next((one for one in reversed(said) if not outside[one.start].isspace()), said[-1] if said else None)


def _without_remarks(text: str) -> str:
    """Replace text in brackets with as many blanks, so that positions stay the same."""
    return _REMARK.sub(lambda match: " " * len(match[0]), text)


def score_number(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Score 1 if the number is the target, or one of several. An answer without a number is wrong, with its reason."""
    answer = answer_of(item, result)
    number = final_number(answer.text)
    if number is None:
        return no_answer(answer)
    targets = item.target if isinstance(item.target, list) else [item.target]
    return right_or_wrong(number in map(Fraction, targets), written(number))
