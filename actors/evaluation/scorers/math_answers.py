r"""Find the final answer of a mathematical text: the last box or, without any box, a final answer stated in words.

Boxes that follow one another ("\boxed{1} or \boxed{2}") are one answer with several values. If the last box does not
close, the answer was cut off, and no earlier box counts.
"""

from __future__ import annotations

import re

from actors.evaluation.scorers.boxes import Box, boxes
from actors.evaluation.scorers.continuation import first_answer

_BETWEEN = re.compile(
    r"(?:[\s$,;.、と]|\\[()\[\],;!]|\\quad|\\qquad|\\(?:text|mbox|textrm)\{\s*(?:and|or|,)?\s*\}|\b(?:and|or)\b|または|及び|および"
    r"|\\(?:land|lor|wedge|vee)\b|[a-zA-Z](?:_\{?\w\}?)?\s*=)*"
)
_PHRASE = re.compile(
    r"(?:\b(?:final\s|correct\s)?answers?(?:\s(?:is|are)\b|\s?[*_]{0,2}\s?[:=])[*_]{0,2}\s?:?|####"
    r"|<(?:final_)?answer>|(?:答え|解答|正解|答)[*】\])」]{0,3}\s?(?:は|:|：|=|(?<=】)))(?P<lines>\s{0,8})",
    re.IGNORECASE,
)
_CONCLUSION = re.compile(
    r"(?:\b(?:so|thus|therefore|hence|finally|we (?:conclude|find|get|obtain|have))\b|よって|したがって|従って|ゆえに)"
    r"[^\n]{0,300}?"
    r"(?:=|\b(?:is|are|equals|be|gives|get)\b|は)[:\s]{0,3}",
    re.IGNORECASE,
)
_FORMULA = re.compile(
    r"[*_\s:]{0,6}(?:\$\$(?P<a>[^$]{1,1000})\$\$|\$(?P<b>(?:\\\$|[^$]){1,1000})\$"
    r"|\\\((?P<c>.{1,1000}?)\\\)|\\\[(?P<d>.{1,1000}?)\\\])",
    re.DOTALL,
)
_STATEMENT_END = re.compile(
    r"\n|</(?:final_)?answer>|[.!?](?=[*_\"')]{0,3}(?:\s|$))|。|です|となる|である|になる|\s(?:because|since|which|where|as)\s|,\s(?![\d(\\-])"
)

_MOST_PHRASES = 100
_LONGEST = 300
"""No answer in words is longer than this many characters."""


def final_answer(text: str, *, cut: bool = False) -> str | None:
    """Return the final answer, or None if the text gives none. `cut`: the token limit ended the text."""
    first = first_answer(text, lambda head: _boxed(head) is not None or _stated(head, cut=False) is not None)
    if boxes(first):
        return _boxed(first)
    return _stated(first, cut=cut and first == text)


def _boxed(text: str) -> str | None:
    found = boxes(text)
    if not found or found[-1].content is None:
        return None
    parts: list[str] = []
    for box in reversed(_last_together(text, found)):
        if box.content not in parts:
            parts.insert(0, str(box.content))
    return ", ".join(parts)


def _last_together(text: str, found: list[Box]) -> list[Box]:
    """Return the last boxes that form one answer. Each has text, and little more than "or" between it and the next."""
    together = [found[-1]]
    for box in reversed(found[:-1]):
        between = text[box.end : together[0].start]
        short = 0 <= len(between) <= 60 and between.count("\n") < 2
        if not box.content or not together[0].content or not short or not _BETWEEN.fullmatch(between):
            break
        together.insert(0, box)
    return together


def _stated(text: str, *, cut: bool) -> str | None:
    """Return the answer behind the last phrase or, if the text was not cut, behind a conclusion in its last line."""
    for phrase in reversed(list(_PHRASE.finditer(text))[-_MOST_PHRASES:]):
        stated, end = _statement(text, phrase.end())
        if stated and not (cut and not text[end:].strip(" .*_$")):
            return stated
    if cut or not text.strip():
        return None
    line = text.rstrip()[max(text.rstrip().rfind("\n"), -2000, len(text.rstrip()) - 2000) + 1 :]
    conclusions = list(_CONCLUSION.finditer(line))
    if conclusions:
        return _statement(line, conclusions[-1].end())[0] or None
    formula = _FORMULA.fullmatch(line.strip().rstrip("."))
    return _inside(formula) if formula else None


def _statement(text: str, start: int) -> tuple[str, int]:
    """Return what is stated from `start` on, and where that ends. A formula is a statement of its own."""
    formula = _FORMULA.match(text, start)
    if formula:
        return _inside(formula), formula.end()
    end = _STATEMENT_END.search(text, start, start + _LONGEST)
    last = end.start() if end else min(len(text), start + _LONGEST)
    inner = _FORMULA.search(text, start, last)
    if inner:
        return _inside(inner), inner.end()
    return text[start:last].strip(" \t*_`:\"'「」").rstrip("."), last


def _inside(formula: re.Match[str]) -> str:
    content = next(group for group in formula.groups() if group is not None)
    return content.strip().rstrip(".")
