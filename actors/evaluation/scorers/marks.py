"""Find the marks behind which a text states its answer, in a text that `plain` has normalised.

The marks are GSM8K's own `####`, a box, an answer tag, and phrases: "The answer is", "Answer:", 答えは, 【答え】.
A `####` before words or a running number ("#### Step 2", "#### 1. Eggs") is a heading, and no mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from actors.evaluation.scorers.plain_text import BOX_CLOSE, BOX_OPEN


@dataclass(frozen=True)
class Mark:
    """A place where an answer is stated."""

    start: int
    statement: int
    """Where the statement of the answer begins."""
    end: int | None
    """Where the statement ends, if the mark itself says so, as a box does."""
    certain: bool
    """Whether the mark can stand before nothing but the final answer."""


_SPACE = r"[^\S\n]{0,8}"
_BOX = re.compile(f"{BOX_OPEN}([^{BOX_OPEN}{BOX_CLOSE}]{{0,2000}}){BOX_CLOSE}")
_TAG = re.compile(r"<(answer|final_answer|final|result)>([^<]{0,2000})</\1>", re.IGNORECASE)
_HASHES = re.compile(
    r"(?<!#)####(?!#)\s{0,8}(?=[^\w\n]{0,8}(?:(?:[A-Z]{1,3}|Rs|R|kr)[.$]?\s?)?[-+]?[^\w\n]{0,3}"
    r"(?:[\d.〇一二三四五六七八九十百千万]|x\s?=))"
)
_RUNNING = re.compile(r"[*(]{0,3}(\d{1,2})(?:[.):、](?=\**\s?[^\W\d])|\s?[-–—]\s(?=[^\W\d]))")
"""A running number before words, as headings have."""
_WRONG = re.compile(r"(?:\b(?:wrong|incorrect|not the|common|possible|intermediate)|誤った|間違った)\W{0,3}$", re.I)

_NAMES = r"answers?|ans"
_LINE = r"(?:(?<=\n)|^)[^\w\n]{0,10}"
_VERBS = r"\s(?:is|was|will\sbe|would\sbe|should\sbe|becomes|equals|comes\s(?:out\s)?to|turns\sout\sto\sbe)\b"
_ENGLISH = re.compile(
    rf"\b(?:{_NAMES})(?:\s\([^()\n]{{0,30}}\))?[*_\"')\]]{{0,4}}(?:{_SPACE}[:=]|{_VERBS})"
    rf"|{_LINE}(?:(?:the\s)?(?:final\s)?(?:numerical\s|correct\s)?(?:answer|result)|conclusion|ans\.)[*_\])]{{0,4}}"
    rf"(?:{_SPACE}[:=]|{_SPACE}\n)",
    re.IGNORECASE,
)
_JAPANESE = re.compile(
    r"(?:答え|こたえ|解答|回答|正解|答|結論)(?:の(?:数|値|数値|金額)?)?[」』*\]】)〕]{0,4}"
    rf"(?:{_SPACE}(?:は|が|:|=|→)|(?<=[)\]】〕])|として|(?=\s))"
)
_FINAL = re.compile(r"\bfinal\s(?:numerical\s)?answer|最終的な|最終")


def marks(text: str) -> list[Mark]:
    """Return all marks of a text, in their order."""
    found = [*_boxes_and_tags(text), *_hashes(text), *_phrases(text)]
    return sorted(found, key=lambda mark: (mark.statement, mark.start))


def _boxes_and_tags(text: str) -> Iterator[Mark]:
    for box in _BOX.finditer(text):
        yield Mark(box.start(), box.start(1), box.end(1), certain=True)
    for tag in _TAG.finditer(text):
        yield Mark(tag.start(), tag.start(2), tag.end(2), certain=True)


def _hashes(text: str) -> Iterator[Mark]:
    running = 0
    for mark in _HASHES.finditer(text):
        number = _RUNNING.match(text, mark.end())
        if number and int(number[1]) == running + 1:
            running += 1
            continue
        yield Mark(mark.start(), mark.end(), None, certain=True)


def _phrases(text: str) -> Iterator[Mark]:
    for pattern in (_ENGLISH, _JAPANESE):
        for phrase in pattern.finditer(text):
            line = max(text.rfind("\n", max(0, phrase.start() - 60), phrase.start()) + 1, phrase.start() - 60, 0)
            before = text[line : phrase.start()]
            if _WRONG.search(before):
                continue
            certain = not before.strip(" \t*#>【[(_-") or _FINAL.search(text, line, phrase.end()) is not None
            yield Mark(phrase.start(), phrase.end(), None, certain=certain)
