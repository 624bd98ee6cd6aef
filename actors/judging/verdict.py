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

_TOKENS_OF_FRAME = 32
"""Tokens of a verdict without its reason."""
_TOKENS_PER_CHARACTER = 3
"""Of Japanese text, in a tokenizer that was not made for it."""


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


def verdict_grammar(scale: tuple[int, int], max_tokens: int) -> str:
    """Return the grammar (GBNF) of a verdict that `read_verdict` can read.

    The reason has no quotes, backslashes and line ends, and ends early enough for the score to come within `max_tokens`
    if a character takes `_TOKENS_PER_CHARACTER` tokens.
    """
    most = max(1, (max_tokens - _TOKENS_OF_FRAME) // _TOKENS_PER_CHARACTER)
    scores = " | ".join(f'"{score}"' for score in range(scale[0], scale[1] + 1))
    return (
        f'root ::= "{{\\"reason\\": \\"" letter{{1,{most}}} "\\", \\"score\\": " score "}}"\n'
        f"score ::= {scores}\n"
        'letter ::= [^"\\\\\\x00-\\x1F\\x7F]\n'
    )


def _verdict(found: dict[str, Any], scores: range) -> Verdict | None:
    score, reason = found.get("score"), found.get("reason") or ""
    if isinstance(score, float) and score.is_integer():
        score = int(score)  # some servers write 4.0
    if type(score) is not int or score not in scores or not isinstance(reason, str):
        return None
    return Verdict(score, reason)
