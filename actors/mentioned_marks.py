"""Marks of thoughts that an answer only talks about: in quotation marks, in code, or as a word of a sentence.

Models write real marks on lines of their own, or right between thoughts and answer. Each function looks at a mark that
stands behind words of an answer, and at what is around it. Everything here is pure.
"""

from __future__ import annotations

import re

_LONGEST_LINE = 400
"""Bytes of a line before a mark that are looked at, so that long lines cost no time."""
LOOK_AHEAD = 24
"""Bytes behind a mark that are looked at."""
_FENCE = re.compile(rb"^[ \t]*(?:```|~~~)", re.MULTILINE)
_CODE_SPAN = re.compile("`+")
_ELLIPSIS = re.compile(r"[\s.…]{0,16}")
_OPENERS = "'\"“‘「『«(（*"
_CLOSERS = "'\"”’」』»)）*"
_ENDS_OF_SENTENCES = ".!?。！？…"
_GOES_ON = re.compile(r"[ \t]|[,.;:!?、。，．)）]")
_JAPANESE_GOES_ON = ("タグ", "トークン", "マーク", "という", "を")
"""Japanese writes no blanks around a word, and no answer begins with these."""


def stands_alone(text: bytearray, begin: int, start: int, end: int) -> bool | None:
    """Return whether a mark has a line of its own. None: that depends on what follows.

    Args:
        text: the text so far.
        begin: where the answer begins.
        start: where the mark begins.
        end: where it ends.
    """
    if _line_before(text, begin, start).strip():
        return False
    behind = _behind(text, end).lstrip(" \t\r")
    if not behind and len(text) - end < LOOK_AHEAD:
        return None
    return behind.startswith("\n")


def is_mentioned(text: bytearray, begin: int, start: int, end: int) -> bool | None:
    """Return whether a closing mark is a word of the answer. None: that depends on what follows. See `stands_alone`."""
    before, behind = _line_before(text, begin, start), _behind(text, end)
    if not before.strip():
        return False
    if len(_CODE_SPAN.findall(before)) % 2:
        return True
    if not behind or any(word.startswith(behind) for word in _JAPANESE_GOES_ON if word != behind):
        return None
    if before[-1] in _OPENERS and behind[0] in _CLOSERS:
        return True
    if before.rstrip()[-1] in _ENDS_OF_SENTENCES or behind.lstrip(" \t\r").startswith("\n"):
        return False
    if not behind.strip(" \t\r") and len(text) - end < LOOK_AHEAD:
        return None
    apart = before[-1] in " \t" and _GOES_ON.match(behind) is not None
    return apart or behind.startswith(_JAPANESE_GOES_ON)


def is_mentioned_at_the_end(text: bytearray, begin: int, start: int) -> bool:
    """Return whether a closing mark is a word of the answer if nothing follows it."""
    before = _line_before(text, begin, start)
    return bool(before.strip()) and before[-1] in " \t" and before.rstrip()[-1] not in _ENDS_OF_SENTENCES


def says_nothing(text: bytearray, start: int, end: int) -> bool:
    """Return whether only a few dots stand between two marks, as where a text shows how they are written."""
    between = text[start : min(end, start + _LONGEST_LINE)].decode("utf-8", "replace")
    return _ELLIPSIS.fullmatch(between) is not None


class Fences:
    """Knows whether a position of a growing text is inside a block of code. Ask in growing order: it reads once."""

    def __init__(self) -> None:
        self._begin = self._read_to = 0
        self._inside = False

    def inside(self, text: bytearray, begin: int, position: int) -> bool:
        """Return whether a position is inside a block of code that begins behind `begin`."""
        if begin != self._begin or position < self._read_to:
            self._begin, self._read_to, self._inside = begin, begin, False
        found = sum(1 for _ in _FENCE.finditer(text, self._read_to, position))
        self._read_to, self._inside = position, self._inside != bool(found % 2)
        return self._inside


def _line_before(text: bytearray, begin: int, start: int) -> str:
    line = bytes(text[max(begin, start - _LONGEST_LINE) : start]).rpartition(b"\n")[2]
    return line.decode("utf-8", "ignore")


def _behind(text: bytearray, end: int) -> str:
    """Return what follows a mark, without a character that is still incomplete."""
    return bytes(text[end : end + LOOK_AHEAD]).decode("utf-8", "ignore")
