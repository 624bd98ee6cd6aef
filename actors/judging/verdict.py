"""Read the verdict in what a judge said.

A verdict is a JSON object with a whole number `score` on the scale and a text `reason`. The last one counts: a judge
may quote a verdict of somebody else before it gives its own. Objects inside an object or inside a text are part of it
and no verdicts, also if the outer one is damaged. Halves are no scores: published scores of these scales have none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from actors.thinking import split


@dataclass(frozen=True)
class Verdict:
    """A score with its reason."""

    score: int
    reason: str


def read_verdict(text: str, scores: range) -> Verdict | None:
    """Return the last valid verdict in a text with one of these scores, or None. What the judge thought is no verdict.

    An output that ended inside its thoughts has no verdict.
    """
    verdicts = [_verdict(found, scores) for found in _objects(split(text).answer)]
    return next((one for one in reversed(verdicts) if one is not None), None)


def _verdict(found: dict[str, Any], scores: range) -> Verdict | None:
    score, reason = found.get("score"), found.get("reason")
    if isinstance(score, float) and score.is_integer():
        score = int(score)  # some servers write 4.0
    if type(score) is not int or score not in scores or not isinstance(reason, str):
        return None
    return Verdict(score, reason)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in a text that are not part of another one."""
    decoder = json.JSONDecoder(object_pairs_hook=_without_twins, parse_constant=_no_number, strict=False)
    place = text.find("{")
    while place >= 0:
        try:
            found, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = _end_of_braces(text, place)
        else:
            yield found
        place = text.find("{", end)


def _end_of_braces(text: str, start: int) -> int:
    """Return where the braces that open at `start` are closed, or the end of the text if they are not."""
    depth = 0
    for brace in re.finditer(r"[{}]", text[start:]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return start + brace.end()
    return len(text)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object, unless a key stands in it twice: then it says two things."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
