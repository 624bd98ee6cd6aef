"""Find the JSON objects in a text that somebody else wrote, such as the answer of a judge."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

MOST_DAMAGED = 10_000
"""Damaged objects of a text. Each takes the decoder longer the later it stands, so a hostile text could take hours."""
_START = re.compile(r"""\{[ \t\n\r]*["}]""")
_BRACES = re.compile(r"[{}]")


def objects_in(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects in a text that are not part of another one, also if the outer one is damaged.

    An object in which a key stands twice says two things, and is none. A text with more than `MOST_DAMAGED` damaged
    objects has none that count.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_without_twins, parse_constant=_no_number, strict=False)
    found: list[dict[str, Any]] = []
    n_damaged = 0
    place = text.find("{")
    while place >= 0 and n_damaged <= MOST_DAMAGED:
        end = None
        if _START.match(text, place):
            try:
                value, end = decoder.raw_decode(text, place)
                found.append(value)
            except (ValueError, RecursionError):
                n_damaged += 1
        place = text.find("{", _end_of_braces(text, place) if end is None else end)
    return [] if n_damaged > MOST_DAMAGED else found


def _end_of_braces(text: str, start: int) -> int:
    """Return where the braces that open at `start` are closed, or the end of the text if they are not."""
    depth = 0
    # Not on `text[start:]`: copies of a long text with many damaged objects would take minutes.
    for brace in _BRACES.finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    return len(text)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
