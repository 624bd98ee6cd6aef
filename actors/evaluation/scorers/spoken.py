"""Take from an answer only what the model said to the reader: its thoughts are never read.

Thinking models write their thoughts first, between marks that differ by family. What follows the last closing mark is
the answer. If the thoughts are still open at the end, or nothing follows them, the model gave no answer. Some chat
templates write the opening mark themselves, so that the text holds only the closing one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult, answer_of
from actors.orders import Item

_TAGS = "think|thinking|thought|thoughts|reasoning|seed:think"
"""Qwen, DeepSeek, Phi and others write `<think>`, EXAONE `<thought>`, Seed `<seed:think>`."""
_OPENING = (
    rf"<(?:{_TAGS})>",
    r"\[THINK\]",  # Magistral
    r"◁think▷",  # Kimi
    r"<\|START_THINKING\|>",  # Command
    r"<\|begin_of_thought\|>",
    r"<\|channel>\s?thought",  # Gemma
    r"<\|channel\|>\s?(?!final\b)\w+",  # gpt-oss: the channels analysis and commentary
)
_CLOSING = (
    rf"</(?:{_TAGS})>",
    r"\[/THINK\]",
    r"◁/think▷",
    r"<\|END_THINKING\|>",
    r"<\|end_of_thought\|>",
    r"<channel\|>",
    r"<\|channel\|>\s?final\b[^<\n]{0,40}(?:<\|constrain\|>[^<\n]{0,40})?(?:<\|message\|>)?",
)
_MARK = re.compile(rf"(?P<opening>{'|'.join(_OPENING)})|(?P<closing>{'|'.join(_CLOSING)})", re.IGNORECASE)
_CHANNELS_UNMARKED = re.compile(r"\s*analysis(?=[A-Z])")
"""How gpt-oss's channels begin if an engine has removed their marks."""
_FINAL_UNMARKED = "assistantfinal"
_END_OF_TURN = re.compile(
    r"<\|(?:end|return|call|im_end|eot_id|end_of_text|endoftext|END_RESPONSE|end_of_solution)\|>|<end_of_turn>|</s>"
)
_START_OF_ANSWER = re.compile(r"\s*(?:<\|START_RESPONSE\|>|<\|begin_of_solution\|>)")

LONGEST_END = 10_000
"""So many characters of each end of a text are read. An answer of 1000 tokens has about 5000."""


@dataclass(frozen=True)
class Spoken:
    """What a model said after its thoughts, if it had any."""

    text: str
    cut: bool
    """Whether the token limit ended the text."""
    thought: bool
    """Whether thoughts stand before the text."""

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
        if not self.cut:
            return ScoredResult("wrong", 0.0, reason="no_answer")
        thinking = self.thought and not self.text.strip()
        return ScoredResult("wrong", 0.0, reason="cut_while_thinking" if thinking else "cut_at_token_limit")


def spoken_of(item: Item, result: Answer | Choices | Measured) -> Spoken:
    """Return what a generated answer says. Raise `TypeError` for any other result."""
    answer = answer_of(item, result)
    text, thought = after_thoughts(answer.text)
    ended = _END_OF_TURN.search(text, len(text) - len(text.lstrip()))
    if ended and text[: ended.start()].strip():
        return Spoken(text[: ended.start()], False, thought)
    return Spoken(text, answer.finish_reason == "length", thought)


def after_thoughts(text: str) -> tuple[str, bool]:
    """Return what follows the thoughts in a text, and whether it holds any. Open thoughts have nothing behind them."""
    marks = list(_MARK.finditer(text))
    if marks:
        last = marks[-1]
        said = text[last.end() :] if last["closing"] else ""
        return said[start.end() :] if (start := _START_OF_ANSWER.match(said)) else said, True
    if _CHANNELS_UNMARKED.match(text) or (_FINAL_UNMARKED in text and text.lstrip().startswith("analysis")):
        return text.rpartition(_FINAL_UNMARKED)[2] if _FINAL_UNMARKED in text else "", True
    return text, False
