"""How the terminal summary is laid out: aligned columns, folded lines, and names that cannot control the terminal.

No line is wider than `WIDTH`. A table that would be wider gets shorter names: they lose their middle, because the ends
of two names of arms differ more often than their beginnings.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

WIDTH = 80
_LONGEST_NAME = 34
_SHORTEST_NAME = 9
"""Columns that a name in a table keeps at least."""
_LEAST_FOLDED = 24
"""Columns that a folded last column has at least. With fewer, its text is put below the row."""


def display_width(text: str) -> int:
    """Return the number of terminal columns of a text: 2 per wide East Asian character, 0 per combining mark."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def columns(
    rows: Sequence[Sequence[str]], left: tuple[int, ...], *, folded: bool = False, indent: int = 0
) -> list[str]:
    """Return rows as aligned lines; see `aligned`."""
    return [line for lines in aligned(rows, left, folded=folded, indent=indent) for line in lines]


def aligned(
    rows: Sequence[Sequence[str]], left: tuple[int, ...], *, folded: bool = False, indent: int = 0
) -> list[list[str]]:
    """Return the lines of each row, aligned with those of the others and at most `WIDTH` columns wide.

    Args:
        rows: the texts; every row has the same number of columns.
        left: indices of the columns that are aligned left and hold names. The others are aligned right.
        folded: whether the last column is text, which goes on below itself instead of being shortened.
        indent: number of spaces before each line.
    """
    last = len(rows[0]) - 1
    widths = [max(display_width(row[column]) for row in rows) for column in range(last + 1)]
    fixed = [index for index in range(last + 1) if not (folded and index == last)]
    room = WIDTH - indent - (_LEAST_FOLDED + 2 if folded else 0)
    names = [index for index in left if index in fixed]
    while _total(widths, fixed) > room and any(widths[index] > _SHORTEST_NAME for index in names):
        widths[max(names, key=lambda index: widths[index])] -= 1
    lines = []
    for row in rows:
        cells = [_padded(row[index], widths[index], at_left=index in left) for index in fixed]
        start = " " * indent + "  ".join(cells)
        lines.append(_with_text(start, row[last]) if folded else [start.rstrip()])
    return lines


def wrapped(text: str, later: str = "  ") -> str:
    """Return a text with its lines broken at `WIDTH` columns; `later` is put before each line but the first."""
    return "\n".join(fold(text, WIDTH, later))


def wrapped_lines(text: str) -> str:
    """Return a text of several lines, each broken at `WIDTH` columns."""
    indents = [" " * (len(line) - len(line.lstrip(" ")) + 2) for line in text.split("\n")]
    return "\n".join(wrapped(line, indent) for line, indent in zip(text.split("\n"), indents, strict=True))


def fold(text: str, width: int, later: str = "") -> list[str]:
    """Break a text into lines of at most `width` columns, at single spaces if possible. Wider gaps stay.

    Args:
        text: the text. Spaces at its beginning stay.
        width: columns of the longest line.
        later: what is put before each line but the first; shorter than `width`.
    """
    start = " " * (len(text) - len(text.lstrip(" ")))
    lines, used = [start], False
    for word in re.split(r"(?<=\S) (?=\S)", text.strip(" ")):
        longer = f"{lines[-1]} {word}" if used else lines[-1] + word
        if display_width(longer) <= width:
            lines[-1], used = longer, True
            continue
        if used:
            lines.append(later)
        lines[-1] += word
        while display_width(lines[-1]) > width:
            kept = _start_of(lines[-1], width) or lines[-1][:1]
            lines[-1:] = [kept, later + lines[-1][len(kept) :]]
        used = True
    return lines


def short_name(name: str, longest: int = _LONGEST_NAME) -> str:
    """Return a name without control characters. One that takes more than `longest` columns loses its middle."""
    printable = clean(name)
    if display_width(printable) <= longest:
        return printable
    start = _start_of(printable, longest // 2)
    end = _start_of(printable[::-1], longest - 1 - display_width(start))[::-1]
    return f"{start}…{end}"


def clean(text: str) -> str:
    """Return a text whose control characters are replaced by question marks."""
    return "".join("?" if unicodedata.category(character).startswith("C") else character for character in text)


def _total(widths: Sequence[int], indices: Sequence[int]) -> int:
    return sum(widths[index] for index in indices) + 2 * (len(indices) - 1)


def _padded(text: str, width: int, *, at_left: bool) -> str:
    shown = short_name(text, width) if display_width(text) > width else text
    gap = " " * (width - display_width(shown))
    return shown + gap if at_left else gap + shown


def _with_text(start: str, text: str) -> list[str]:
    """Return a row whose last column is a text that goes on below itself."""
    if not text:
        return [start.rstrip()]
    indent = display_width(start) + 2
    if WIDTH - indent < _LEAST_FOLDED:
        return [start.rstrip(), *(f"    {line}" for line in fold(text, WIDTH - 4))]
    first, *rest = fold(text, WIDTH - indent)
    return [f"{start}  {first}", *(" " * indent + line for line in rest)]


def _start_of(text: str, width: int) -> str:
    """Return as much of the start of a text as `width` columns hold."""
    taken = 0
    for index, character in enumerate(text):
        taken += display_width(character)
        if taken > width:
            return text[:index]
    return text
