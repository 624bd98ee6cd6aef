"""Find the number that a worked solution arrives at.

The number stated behind the last mark counts (`marks`, `statements`). Without any mark, it is the number of the last
sentence that has one; lm-evaluation-harness's `flexible-extract` (lm_eval/tasks/gsm8k/gsm8k.yaml) takes the last number
of the text. Headings and what a model adds after its answer do not count (`continuation`). An answer that the token
limit cut off counts only if it was complete before that, behind a mark that can mean nothing else.
"""

from __future__ import annotations

import re
from fractions import Fraction

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult, right_or_wrong
from actors.evaluation.scorers.boxes import boxes
from actors.evaluation.scorers.continuation import first_answer
from actors.evaluation.scorers.marks import Mark, marks
from actors.evaluation.scorers.numerals import Numeral, numerals, written
from actors.evaluation.scorers.plain_text import BOX_BROKEN, BOX_CLOSE, BOX_OPEN, plain
from actors.evaluation.scorers.spoken import spoken_of
from actors.evaluation.scorers.statements import LONGEST_SENTENCE, Statements, sentence_end, sentence_ends
from actors.items import Item

_OWN_SIGNS = re.compile(f"[{BOX_OPEN}{BOX_CLOSE}{BOX_BROKEN}]")
_ASIDE = re.compile(
    r"^ {0,3}(?:#{1,6}[^\S\n]+(?=\D{2})|[*_(※]{0,3}(?:Note|Remark|P\.S|補足|注意?|備考|参考)[\d*_ ]{0,4}[:.)])[^\n]*",
    re.MULTILINE | re.IGNORECASE,
)
"""A heading or a note, which may hold numbers that are no answer."""
_CLOSING = re.compile(
    r"(?:^|(?<=[.!?。\n]))[^.!?。\n=]{0,120}?"
    r"(?:let me know|feel free|hope (?:this|that|it)\b|\bask me\b|\b(?:do|if) you have (?:any|\d+|more|other|further)\b"
    r"(?: more)?(?: questions?)?(?:,| ?$|\?)|(?:any|more|other|further) questions?\b|help you with"
    r"|質問|指摘|ください|下さい|どうぞ|ましょう|(?:から|ため|計算)(?:です|だ|である))[^.!?。\n=]{0,120}(?=[.!?。\n]|$)"
    r"|(?<=[.!?。\n])\s?\([^()\n]{0,200}\)|(?:^|\n)以上、[^。\n]{0,40}(?:問題|説明|解説|回答)",
    re.IGNORECASE,
)
"""A sentence that offers help or gives a reason behind the answer, or one that stands in brackets."""
_MOST_MARKS = 100
"""Marks without a number cost a search each. No answer has so many."""
_LIST_NUMBER = re.compile(r"\n[^\S\n]{0,6}[*_(]{0,3}$")


def final_number(text: str, *, cut: bool = False) -> Fraction | None:
    """Return the answer of a solution, or None if the text gives no number. `cut`: the token limit ended the text."""
    text = _with_box_signs(text)
    first = first_answer(text, _gives_answer)
    return _answer(first, cut=cut and first == text)


def _with_box_signs(text: str) -> str:
    parts, end = [], 0
    text = _OWN_SIGNS.sub(" ", text)
    for box in boxes(text):
        if box.start < end:
            continue  # a box in a box
        content = BOX_BROKEN if box.content is None else f"{BOX_OPEN}{box.content}{BOX_CLOSE}"
        parts += [text[end : box.start], content]
        end = box.end
    return "".join([*parts, text[end:]])


def _gives_answer(text: str) -> bool:
    statements = _statements(text)
    blank_behind = text.rstrip(" \t").endswith("\n\n")
    return _marked(statements, cut=False) is not None or (blank_behind and bool(statements.found))


def _statements(text: str) -> Statements:
    text = plain(text)
    return Statements(text, numerals(text))


def _answer(text: str, *, cut: bool) -> Fraction | None:
    statements = _statements(text)
    if cut and statements.text.rfind(BOX_BROKEN) > statements.text.rfind(BOX_CLOSE):
        return None
    answer = _marked(statements, cut=cut)
    if answer is None and not cut:
        answer = _unmarked(statements)
    return None if answer is None else answer.value


def _marked(statements: Statements, *, cut: bool) -> Numeral | None:
    """Return the number behind the last mark that has one."""
    found = [mark for mark in marks(statements.text) if mark.certain or not cut]
    for mark in reversed(found[-_MOST_MARKS:]):
        answer = statements.behind_mark(mark.statement, mark.end)
        if answer is not None and not (cut and _may_go_on(statements.text, mark, answer)):
            return answer
    return None


def _may_go_on(text: str, mark: Mark, answer: Numeral) -> bool:
    """Return whether a statement could have gone on if the token limit had not cut it."""
    return mark.end is None and re.search(r"\n|。|[.!?]\s", text[answer.end :][:2000]) is None


def _unmarked(statements: Statements) -> Numeral | None:
    """Return the result of the last sentence that has a number, or the number in bold on its line.

    Numbers in headings and notes, and before the points of a list, count only if there are no others.
    """
    text = statements.text
    called = statements.called_answer()
    if called is not None:
        return called
    asides = statements.inside([aside.span() for pattern in (_ASIDE, _CLOSING) for aside in pattern.finditer(text)])
    found = [one for one in statements.found if one not in asides and not _is_list_number(text, one)]
    found = found or list(statements.found)
    if not found:
        return statements.result(0, len(text))
    line = text.rfind("\n", 0, found[-1].start) + 1
    line_end = sentence_end(text, found[-1].end, len(text))
    bold = statements.bold(line, line_end)
    if bold is not None and "=" not in text[bold.end : line_end]:
        return bold
    start = line = max(line, found[-1].start - LONGEST_SENTENCE)
    for end in sentence_ends(text, line, found[-1].start):
        start = end
    return statements.result(start, line_end)


def _is_list_number(text: str, one: Numeral) -> bool:
    before, behind = text[max(0, one.start - 12) : one.start], text[one.end : one.end + 2]
    return _LIST_NUMBER.search(before if one.start > 12 else f"\n{before}") is not None and (
        re.match(r"[.)]\s", behind) is not None
    )


def score_number(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Score 1 if the number is the target, or one of several. An answer without a number is wrong, with its reason."""
    said = spoken_of(item, result)
    number = final_number(said.ends, cut=said.cut)
    if number is None:
        return said.without_answer()
    targets = item.target if isinstance(item.target, list) else [item.target]
    return right_or_wrong(number in map(Fraction, targets), written(number))
