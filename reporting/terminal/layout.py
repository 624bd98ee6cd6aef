"""How the terminal summary is laid out: aligned columns, folded lines, and names that cannot control the terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

WIDTH = 110
_LONGEST_NAME = 34


def display_width(text: str) -> int:
    """Return the number of terminal columns of a text: 2 per wide East Asian character, 0 per combining mark."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def columns(rows: Sequence[Sequence[str]], left: tuple[int, ...], last_width: int | None = None) -> list[str]:
    """Return rows as aligned lines.

    Args:
        rows: the texts; every row has the same number of columns.
        left: indices of the columns that are aligned left. The others are aligned right.
        last_width: if given, longer lines are broken at this width, within the text of the last column.
    """
    widths = [max(display_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for column, text in enumerate(row):
            gap = " " * (widths[column] - display_width(text))
            cells.append(text + gap if column in left else gap + text)
        line = "  ".join(cells).rstrip()
        indent = " " * (sum(widths[:-1]) + 2 * (len(widths) - 1))
        lines += _folded(line, last_width, indent) if last_width else [line]
    return lines


def wrapped(text: str) -> str:
    """Return a text with its lines broken at `WIDTH` columns."""
    return "\n".join(_folded(text, WIDTH, "  "))


def _folded(text: str, width: int, indent: str) -> list[str]:
    """Break a text into lines of at most `width` columns, at single spaces. Wider gaps separate columns and stay."""
    lines = [""]
    for word in re.split(r"(?<=\S) (?=\S)", text):
        longer = f"{lines[-1]} {word}" if lines[-1].strip() else lines[-1] + word
        if display_width(longer) <= width or not lines[-1].strip():
            lines[-1] = longer
        else:
            lines.append(indent + word)
    return lines


def short_name(name: str, longest: int = _LONGEST_NAME) -> str:
    """Return a name without control characters, cut to at most `longest` terminal columns."""
    printable = clean(name)
    if display_width(printable) <= longest:
        return printable
    kept = ""
    for character in printable:
        if display_width(kept + character) >= longest:
            break
        kept += character
    return f"{kept}…"


def clean(text: str) -> str:
    """Return a text whose control characters are replaced by question marks."""
    return "".join("?" if unicodedata.category(character).startswith("C") else character for character in text)
