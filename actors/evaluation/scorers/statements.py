"""Find the number that a statement gives: the answer itself, not a number in the reason behind it.

A statement begins behind a mark, or it is the last sentence of a text without marks. If a number stands at its
beginning, that is the answer ("18 dollars, because 16 - 3 - 4 = 9 eggs"), unless it begins a calculation
("9 * 2 = 18"). Otherwise it is the last number that is not a reason, a remark in brackets or a rate.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from actors.evaluation.scorers.number_words import number_words
from actors.evaluation.scorers.numerals import Numeral

_SENTENCE_END = re.compile(
    r"[。\n！？]|(?<=[\u3041-\u30ff\u4e00-\u9fff])[!?]|(?<!Rs)(?<!\bkr)(?<!\bFr)[.!?](?=[*_\"')\]]{0,4}(?:\s|$))(?![^\S\n]?\d)"
)
_NEXT_LINE = re.compile(r"as follows|below|以下|次の|下記|:\s*$|：\s*$")
_REMARK = re.compile(r"\([^()\n]{0,300}\)|（[^（）\n]{0,300}）")
_FILLER = re.compile(
    r"(?:\W|_|about|approximately|approx|exactly|around|roughly|therefore|thus|simply|just|then|only|equal to|equals"
    r"|a total of|the number|there (?:are|is|were|was|will be)|is|now|x|約|およそ|合計で?|全部で|ちょうど|は)*",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\b(?:because|since|given that|as (?:she|he|it|they|there|each)|due to|which (?:is|was|means|comes)"
    r"|(?:calculated|obtained|found|computed) (?:by|as|from))\b|で、(?:これ|それ|内訳)|なぜなら|というのも|理由は",
    re.IGNORECASE,
)
_DETAIL = re.compile(
    r"\b(?:by \w+ing|from (?:her|his|their|its|selling)|at [$€£¥]?\d[\d.,]* (?:\w+ )?(?:each|apiece|per|a)"
    r"|after [$€£¥]?\d[\d.,]* \w+)\b"
    r"|, (?:considering|counting|using|assuming)\b(?=[^,\n]*$)"
    r"|(?:, (?:(?:or|with|for)\b(?=[^,\n]*$)|namely|i\.e\.|that is)"
    r"|[:—] |(?<=[A-Za-z]) [-–] )(?=\D*\d[\d.,]*[^\d\n]+\d)",
    re.IGNORECASE,
)
"""How a result came about. It may also stand before the result ("Taking 3 from her 16 eggs leaves 13")."""
_RESULT = re.compile(
    r"\b(?:gives?|giving|leaves?|leaving|makes?|making|is|are|was|were|equals?|gets?|so|have|has|results?|total)\b|=",
    re.IGNORECASE,
)
_COMPLETE = re.compile(
    r"[*_`」』\"'$]{0,4}\s?[^\s\d、。,.()=×+*/÷→≈<>-]{0,6}?[*_`」』\"']{0,4}"
    r"(?:です|でした|であ|だ[。\n]|で、|とな|にな|、|なので|[。\n(（]|[,;:.](?!\d)|$|"
    "\ue001)"
)
"""A number with its unit, at which the statement may end."""
_EQUALS = re.compile(r"[=≈→⇒]|=>|->")
_OPERATOR = re.compile(
    r"[×÷+/^]|(?:(?<=[\w)])|(?<=[\w)]\s))\*(?=\s?[$\d(])|(?<=[\s\d)])[-–](?=\s?[$\d(])|(?<=\d)\s?x\s?(?=[$\d])|[^\W\d_]\s*\(|\\sqrt|√"
)
_WORD_CALCULATION = re.compile(
    r"(?:\s\w+)?\s(?:(?:minus|plus|times|(?:divided|multiplied)\sby)\s[$€£¥]?\d[^.\n]{0,60}?(?:,?\sor|(?:,?\swhich)?\s(?:is|equals|makes|gives))"
    r"|(?:\w+\s)?of\s[$€£¥]?\d[^.\n]{0,40}?\s(?:is|equals|makes|gives))\s(?=[$€£¥]?\d)|%\sof\s[$€£¥]?\d[^.\n]{0,40}?\s(?:is|equals)\s(?=[$€£¥]?\d)",
    re.IGNORECASE,
)
"""A calculation in words behind its first number, up to its result: "12 minus 3 is 9", "50% of 18 is 9"."""
_SAID_BEFORE = re.compile(
    r"[^\d\n.]{0,12}?(?:\b(?:is|was|would be|will be)\s(?:the|our|my)\s(?:final\s|correct\s|right\s)?answer\b"
    r"|が(?:正しい|最終的な)?(?:答え|正解|正答)(?:です|だ|である|となる|。))",
    re.IGNORECASE,
)
"""What stands behind a number that is called the answer: "18 is our answer", 18ドルが答えです."""
_NOTHING = re.compile(
    r"(?:\W|there\s(?:is|are|was|were|will be))*(?:none|nothing|no\s(?!one|solution|answer|idea|way|need)\w+"
    r"(?:\s\w+)?\s(?:is|are|was|were|will\sbe|remains?|left))\b",
    re.IGNORECASE,
)
_NOT_BEFORE = re.compile(r"(?:\bnot|\binstead of|\brather than|n't|\bno longer)\s[^\w\n]{0,3}$", re.IGNORECASE)
_NOT_BEHIND = re.compile(r"[^\d、。,\s]{0,4}(?:では|じゃ)(?:なく|な|あり)")
_RATE = re.compile(r"[^\d\s、。]{0,3}(?:あたり|当たり|につき|ごと|おき|毎に)")
_JAPANESE = re.compile(r"[\u3041-\u30ff\u4e00-\u9fff]")
_CONCLUSION = re.compile(r"\b(?:so|thus|therefore|hence|for a total of|totall?ing)\b[^.\n]*\d", re.IGNORECASE)
_LATER_RESULT = re.compile(
    r"=\s?\S{0,3}\d|^\W*(?:so|thus|therefore|hence|in total|finally|よって|したがって|従って|ゆえに|合計|つまり)",
    re.IGNORECASE,
)
_EXPLANATION = re.compile(
    r"\n[^\S\n]*\n|\n[^\w\n]{0,10}(?:explanation|reason|check|verification|because|理由|説明|確認|検算)|理由|なぜなら",
    re.I,
)
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")


LONGEST_SENTENCE = 600
_SOLUTION = 2000
"""So many characters behind a mark are read as a solution, so that many marks take no long time."""


def sentence_end(text: str, start: int, end: int) -> int:
    """Return where the sentence that begins at `start` ends, at `end` or after the longest sentence at the latest."""
    end = min(end, start + LONGEST_SENTENCE)
    found = _SENTENCE_END.search(text, start, end)
    return found.start() if found else end


def sentence_ends(text: str, start: int, end: int) -> list[int]:
    """Return where the sentences between two positions end."""
    return [found.end() for found in _SENTENCE_END.finditer(text, start, end)]


class Statements:
    """A text with its numerals, from which the answers of statements are taken."""

    def __init__(self, text: str, found: Sequence[Numeral]) -> None:
        self.text = text
        self.found = found
        self._starts = [numeral.start for numeral in found]
        # Blanks take the place of remarks, so that positions stay the same.
        self._outside = _REMARK.sub(lambda remark: " " * len(remark[0]), text)

    def within(self, start: int, end: int) -> Sequence[Numeral]:
        """Return the numerals that begin between two positions."""
        return self.found[bisect_left(self._starts, start) : bisect_left(self._starts, end)]

    def inside(self, spans: Sequence[tuple[int, int]]) -> set[Numeral]:
        """Return the numerals within any of these spans."""
        return {one for start, end in spans for one in self.within(start, end)}

    def behind_mark(self, start: int, end: int | None) -> Numeral | None:
        """Return the answer that is stated behind a mark, or None if no number is."""
        start = self._first_sign(start)
        limit = len(self.text) if end is None else end
        last = sentence_end(self.text, start, limit) if end is None else limit
        answer = self._of_solution(start, last) if end is None else None
        answer = answer or self.answer(start, last)
        if answer is None and _NEXT_LINE.search(self.text, start, last):
            start = self._first_sign(min(last + 1, limit))
            answer = self.answer(start, sentence_end(self.text, start, limit))
        return answer

    def _of_solution(self, start: int, end: int) -> Numeral | None:
        """Return the result of a worked solution that stands behind a mark in place of a statement.

        Its later sentences have results of their own: "Answer: She has 9 eggs left. She makes 9 * 2 = 18 dollars."
        """
        first = next(iter(self.within(start, end)), None)
        if first is None or _FILLER.fullmatch(self.text, start, first.start):
            return None
        explained = _EXPLANATION.search(self.text, end, end + _SOLUTION)
        limit = explained.start() if explained else min(end + _SOLUTION, len(self.text))
        result = None
        for left, right in pairwise([end, *sentence_ends(self.text, end, limit), limit]):
            if _LATER_RESULT.search(self.text[left:right].strip()) and self.within(left, right):
                result = self.result(left, right)
        return result

    def _first_sign(self, start: int) -> int:
        while start < len(self.text) and (self.text[start].isspace() or self.text[start] in "*_:"):
            start += 1
        return start

    def answer(self, start: int, end: int) -> Numeral | None:
        """Return the number that a statement between two positions gives, or None if it holds none."""
        words = self._word_at(start, end)
        said = self._said(start, end)
        if words is None and not said and _NOTHING.match(self.text, start, end):
            return Numeral(start, start, Fraction(0))
        if words is not None or not said:
            return words
        first = said[0]
        calculation = _WORD_CALCULATION.match(self.text, first.end, end)
        if calculation and (results := self.within(calculation.end(), end)):
            return results[0]
        direct = _FILLER.fullmatch(self.text, start, first.start) is not None
        complete = _COMPLETE.match(self.text, first.end, max(end, min(first.end + 1, len(self.text))))
        if direct and complete and not _RATE.match(self.text, first.end, end):
            return first
        if direct and not _JAPANESE.search(self.text, start, end) and not _CONCLUSION.search(self.text, first.end, end):
            end, said = self._without_reason(first, end, said)
            return self._of_calculation(start, end, said) or first
        return self.result(start, end)

    def result(self, start: int, end: int) -> Numeral | None:
        """Return the number that a sentence arrives at, which mostly stands at its end. None: it holds none."""
        said = self._said(start, end)
        if not said:
            return self._word_at(start, end)
        end, said = self._without_reason(said[0], end, said)
        return self._of_calculation(start, end, said) or self.bold(start, end) or self._last(end, said)

    def _said(self, start: int, end: int) -> Sequence[Numeral]:
        """Return the numerals of a statement that it does not deny and, if there are others, not those in brackets."""
        numerals = [one for one in self.within(start, end) if not self._is_denied(one, end)]
        return [one for one in numerals if not self._outside[one.start].isspace()] or numerals

    def _word_at(self, start: int, end: int) -> Numeral | None:
        """Return a number in English words at the beginning of a statement, or anywhere if it has no digits."""
        word = next(number_words(self.text, start, end), None)
        if word and (not self.within(start, end) or _FILLER.fullmatch(self.text, start, word.start)):
            return Numeral(word.start, word.end, word.value)
        return None

    def _is_denied(self, one: Numeral, end: int) -> bool:
        before = self.text[max(0, one.start - 20) : one.start]
        return _NOT_BEFORE.search(before) is not None or _NOT_BEHIND.match(self.text, one.end, end) is not None

    def _without_reason(self, first: Numeral, end: int, said: Sequence[Numeral]) -> tuple[int, Sequence[Numeral]]:
        reason = _REASON.search(self._outside, first.end, end)
        detail = _DETAIL.search(self._outside, first.end, reason.start() if reason else end)
        if detail and not _RESULT.search(self._outside, detail.end(), reason.start() if reason else end):
            reason = detail
        if reason is None:
            return end, said
        return reason.start(), [one for one in said if one.start < reason.start()]

    def _of_calculation(self, start: int, end: int, said: Sequence[Numeral]) -> Numeral | None:
        """Return the result of a calculation: the last side of its equation that is a single number."""
        signs = [sign.start() for sign in _EQUALS.finditer(self._outside, start, end)]
        if not signs:
            return None
        single = []
        for left, right in pairwise([start, *signs, end]):
            side = [one for one in said if left <= one.start < right]
            goes_on = len(side) > 1 and left > start and self._goes_on(left, side, right)
            if (len(side) == 1 or goes_on) and not _OPERATOR.search(self._outside, max(left, side[0].end), right):
                before = self._outside[left : side[0].start]
                if not _OPERATOR.search(re.sub(r"^[=≈→⇒>-]+|[-+]\s?[$€£¥]?\s?$", "", before)):
                    single.append(side[0])
        return single[-1] if single else None

    def _goes_on(self, left: int, side: Sequence[Numeral], right: int) -> bool:
        """Return whether a result is followed by details, as in "16 * 3 = 48 kilograms in 3 bags"."""
        details = self._outside[side[0].end : right]
        direct = re.fullmatch(r"[=≈→⇒>-]+\W*", self._outside[left : side[0].start]) is not None
        return direct and not _RESULT.search(details) and not _JAPANESE.search(details)

    def called_answer(self) -> Numeral | None:
        """Return the last number that is called the answer behind it, or None."""
        text = self.text
        return next((one for one in reversed(self.found) if _SAID_BEFORE.match(text, one.end, one.end + 80)), None)

    def _last(self, end: int, said: Sequence[Numeral]) -> Numeral:
        return ([one for one in said if not _RATE.match(self.text, one.end, end)] or said)[-1]

    def bold(self, start: int, end: int) -> Numeral | None:
        """Return the last number that is printed in bold, except in a label that ends with a colon."""
        for span in reversed(list(_BOLD.finditer(self.text, start, end))):
            inside = self.within(span.start(1), span.end(1))
            if inside and not span[1].rstrip().endswith(":") and not self.text.startswith(":", span.end()):
                return self._last(span.end(1), inside)
        return None
