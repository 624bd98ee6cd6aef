"""Take from an answer what scorers read: up to the end of the model's turn, and not more than they can read in time.

Engines have already split off the thoughts (`actors.thinking`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from actors.end_marks import END_MARKS
from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult, answer_of
from actors.items import Item

_END_OF_TURN = re.compile(END_MARKS)
LONGEST_END = 10_000
"""So many characters of each end of a text are read. An answer of 1000 tokens has about 5000."""


@dataclass(frozen=True)
class Spoken:
    """What a model said after its thoughts, if it had any."""

    text: str
    cut: bool
    """Whether the token limit ended the text."""

    @property
    def ends(self) -> str:
        """The text or, if it is very long, its beginning and its end, where answers stand.

        Looking for an answer takes much longer per character than decoding a text. Only text that repeats itself is so
        long.
        """
        if len(self.text) <= 2 * LONGEST_END:
            return self.text
        return f"{self.text[:LONGEST_END]}\n{self.text[-LONGEST_END:]}"

    def without_answer(self) -> ScoredResult:
        """Return "wrong", because no complete answer stands in the text. The reason says what ended the text."""
        return ScoredResult("wrong", 0.0, reason="cut_at_token_limit" if self.cut else "no_answer")


def spoken_of(item: Item, result: Answer | Choices | Measured) -> Spoken:
    """Return what a generated answer says. Raise `TypeError` for any other result."""
    answer = answer_of(item, result)
    text = answer.text
    ended = _END_OF_TURN.search(text, len(text) - len(text.lstrip()))
    if ended and text[: ended.start()].strip():
        return Spoken(text[: ended.start()], cut=False)
    return Spoken(text, answer.finish_reason == "length")
