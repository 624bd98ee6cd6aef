"""Read the verdict in what a judge said.

A verdict is a JSON object with a whole number `score` on the scale, and a text `reason` that may be missing. The last
one counts: a judge may quote a verdict of somebody else before it gives its own. Objects inside an object or inside a
text are part of it and no verdicts, also if the outer one is damaged. Halves are no scores: published scores of these
scales have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actors.thinking import split
from conf.json_objects import objects_in


@dataclass(frozen=True)
class Verdict:
    """A score with its reason, which may be empty."""

    score: int
    reason: str


def read_verdict(text: str, scores: range) -> Verdict | None:
    """Return the last valid verdict in a text with one of these scores, or None. What the judge thought is no verdict.

    An output that ended inside its thoughts has no verdict.
    """
    verdicts = [_verdict(found, scores) for found in objects_in(split(text).answer)]
    return next((one for one in reversed(verdicts) if one is not None), None)


def _verdict(found: dict[str, Any], scores: range) -> Verdict | None:
    score, reason = found.get("score"), found.get("reason") or ""
    if isinstance(score, float) and score.is_integer():
        score = int(score)  # some servers write 4.0
    if type(score) is not int or score not in scores or not isinstance(reason, str):
        return None
    return Verdict(score, reason)
