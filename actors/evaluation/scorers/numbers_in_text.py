"""The number that a worked solution arrives at: the last answer wins.

An answer is what stands behind a mark: `####` (GSM8K's own), `\\boxed{}`, "answer is", "Answer:", 答えは, 正解は.
Behind a mark the first number of the line counts, where the line has an equals sign the first after the last of them;
in a Japanese sentence, which ends with what it says, the last number. What stands in brackets is a remark: it counts
where nothing else does. The last mark that has a number wins; without any
the last number of the text does, as in lm-evaluation-harness's `flexible-extract` (lm_eval/tasks/gsm8k/gsm8k.yaml).
How numbers are written is the matter of `numerals`.
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
    """The answer of a solution, or None where the text holds no number."""
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
    """The first number behind a mark; the mark may stand alone on its line, its answer on the next that has one."""
    while start < len(text) and text[start].isspace():
        start += 1
    end = _line_end(text, start)
    start = max(start, _without_remarks(text).rfind("=", start, end))
    return next((numeral for numeral in found if start <= numeral.start < end), None)


def _first_at(text: str, found: list[Numeral], start: int) -> Numeral | None:
    """The number right behind a phrase: "the answer is found by adding 3" says nothing yet."""
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
    """The text with blanks for what stands in brackets: places stay what they are."""
    return _REMARK.sub(lambda match: " " * len(match[0]), text)


def score_number(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Right where the number equals the target. No number is wrong: the model's own failure, with its reason."""
    answer = answer_of(item, result)
    number = final_number(answer.text)
    if number is None:
        return no_answer(answer)
    return right_or_wrong(number == Fraction(item.target), written(number))
