"""Reads one answer token by token: where its thoughts end, and when the answer itself ends.

Thoughts have a token budget of their own. A benchmark's stop strings and its token limit belong to the answer, so they
count only after the thoughts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.engines import FinishReason
from actors.engines.stops import Stops
from actors.thinking import NO_MARKS, Marks, Said, ThoughtReader

_ENDS_OF_MESSAGE = (b"<|end|>",)
"""Between messages of a model with channels. After its final one nothing may follow."""


@dataclass(frozen=True)
class ThoughtRules:
    """How the thoughts of an answer are found, and how long they may be."""

    marks: Marks
    opened: bool = False
    """Whether the prompt ends inside thoughts."""
    max_tokens: int = 0
    """Token budget of the thoughts. 0: they count in the token limit of the answer."""


def was_cut(said: Said, finish_reason: str | None, *, hidden: bool = False) -> bool:
    """Return whether the token limit ended an answer inside its thoughts, or right behind them.

    `hidden`: there are thoughts that nobody can see.
    """
    return finish_reason == "length" and (hidden or said.thoughts is not None) and not said.answer.strip()


class AnswerReader:
    """Collects the bytes of an answer until it ends."""

    def __init__(self, stops: Sequence[str], max_tokens: int, thoughts: ThoughtRules | None) -> None:
        """Begin an answer. Without rules for thoughts, everything is the answer."""
        strings = [stop.encode() for stop in stops]
        self._stops, self._stops_behind_marks = Stops(strings), Stops((*strings, *_ENDS_OF_MESSAGE))
        self._max_tokens = max_tokens
        marks, opened = (thoughts.marks, thoughts.opened) if thoughts else (NO_MARKS, False)
        self._reader = ThoughtReader(marks, opened=opened)
        self._budget = thoughts.max_tokens if thoughts else 0
        self.n_tokens = 0
        self.thought_tokens = 0
        """Number of tokens up to the end of the thoughts, with their marks."""

    def add(self, piece: bytes) -> FinishReason | None:
        """Add a token's bytes. Return why the answer ends with it. A stop string is not part of the answer."""
        reader, before, answer_from = self._reader, len(self._reader.text), self._reader.answer_from
        self.n_tokens += 1
        reader.add(piece)
        if reader.thinking or reader.answer_from != answer_from:
            self.thought_tokens = self.n_tokens
        if reader.thinking:
            return "length" if self.n_tokens >= (self._budget or self._max_tokens) else None
        stops = self._stops_behind_marks if reader.marked else self._stops
        found = stops.first(reader.text, begins=reader.first_word(), new_from=before)
        if found is not None:
            reader.cut_at(found)
            return "stop"
        own = self.n_tokens - (self.thought_tokens if self._budget else 0)
        return "length" if own >= self._max_tokens else None

    def said(self) -> Said:
        """Return the answer so far, and the thoughts before it."""
        return self._reader.said()
