r"""Find the boxes of an answer: `\boxed{...}`, `\fbox{...}` and `\boxed x`, in time linear in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BOXED = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])(?:\s{0,8}(?=\{)|[ \t]{0,8})")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_WORD = re.compile(r"\\[dt]?frac ?(?:\d ?\d|\{[^{}\n]{0,80}\} ?\{[^{}\n]{0,80}\})|[^\s$\\{}]+|\\[A-Za-z]+")


@dataclass(frozen=True)
class Box:
    """One box, with the positions of its whole text."""

    start: int
    end: int
    content: str | None
    """None: the box does not close."""


def boxes(text: str) -> list[Box]:
    """Return all boxes of a text from left to right. A box in a box is one of its own."""
    marks = list(_BOXED.finditer(text))
    closing = _closing_braces(text) if marks else {}
    return [_box(text, mark, closing) for mark in marks]


def last_boxed(text: str) -> str | None:
    r"""Return the content of the last `\boxed{...}` or `\boxed x`. None: there is none, or the last does not close."""
    found = boxes(text)
    return found[-1].content if found else None


def _box(text: str, mark: re.Match[str], closing: dict[int, int]) -> Box:
    if text[mark.end() : mark.end() + 1] == "{":
        end = closing.get(mark.end())
        if end is None:
            return Box(mark.start(), mark.end(), None)
        # The content of a box around other boxes would make the whole quadratic. The innermost one says the answer.
        content = text[mark.end() + 1 : end] if end - mark.end() <= _LONGEST else ""
        return Box(mark.start(), end + 1, content.strip())
    word = _WORD.match(text, mark.end())
    return Box(mark.start(), word.end() if word else mark.end(), word[0] if word else None)


_LONGEST = 2000
"""No answer is longer than this many characters."""


def _closing_braces(text: str) -> dict[int, int]:
    """Return the position of each closing brace by that of its opening one. Escaped braces are text."""
    closing: dict[int, int] = {}
    opened: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif brace[0] == "}" and opened:
            closing[opened.pop()] = brace.start()
    return closing
