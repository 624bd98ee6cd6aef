"""The thoughts of thinking models: by which marks they stand apart from the answer, and where they end.

Thinking models write their thoughts first, between marks that differ by family. What follows the last closing mark is
the answer. If the thoughts are still open at the end, or nothing follows them, the model gave no answer. Some chat
templates write the opening mark themselves, so that the text holds only the closing one.

Everything here is pure. Engines give it the text of an answer, whole or token by token.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from actors.orders import Generate, TemplateUse

_TAGS = "think|thinking|thought|thoughts|reasoning|seed:think"
"""Qwen, DeepSeek, Phi and others write `<think>`, EXAONE `<thought>`, Seed `<seed:think>`."""
_OPENING = (
    rf"<(?:{_TAGS})>",
    r"\[THINK\]",  # Magistral and later reasoning models of Mistral
    r"◁think▷",  # Kimi
    r"<\|START_THINKING\|>",  # Command
    r"<\|begin_of_thought\|>",
    r"<\|inner_prefix\|>",  # Apertus
    r"<\|channel>\s?thought",  # Gemma
    r"<\|channel\|>\s?(?!final\b)\w+",  # gpt-oss and LLM-jp-4: the channels analysis and commentary
)
_CLOSING = (
    rf"</(?:{_TAGS})>",
    r"\[/THINK\]",
    r"◁/think▷",
    r"<\|END_THINKING\|>",
    r"<\|end_of_thought\|>",
    r"<\|inner_suffix\|>",
    r"<channel\|>",
    r"<\|channel\|>\s?final\b[^<\n]{0,40}(?:<\|constrain\|>[^<\n]{0,40})?(?:<\|message\|>)?",
)
_TOKENS = (
    *(f"<{slash}{tag}>" for tag in _TAGS.split("|") for slash in ("", "/")),
    *("[THINK]", "[/THINK]", "◁think▷", "◁/think▷"),
    *("<|START_THINKING|>", "<|END_THINKING|>", "<|begin_of_thought|>", "<|end_of_thought|>"),
    *("<|inner_prefix|>", "<|inner_suffix|>", "<|channel>", "<channel|>"),
)
_CLOSED_BY = {
    "◁think▷": "◁/think▷",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|channel>thought": "<channel|>",
}
"""What closes a mark. All others are tags, which close with a slash."""
CHANNEL = "<|channel|>"
AROUND_CHANNELS = ("<|message|>", "<|start|>", "<|end|>", "<|constrain|>")
"""What stands around the names of channels. In vocabularies without channels such tokens mean something else."""

_LONGEST_MARK = 200
"""Bytes. No mark is longer."""
_NOTHING_SAID = re.compile(rb"(?:\s|<\|start\|>\w*|<\|end\|>)*")
_BETWEEN = re.compile(rb"<\|(?:message|end|constrain)\|>|<\|start\|>\w*")
_START_OF_ANSWER = re.compile(rb"\s*(?:<\|START_RESPONSE\|>|<\|begin_of_solution\|>)?\s*")
_WRAPPERS = (b"answer", b"response")  # Hunyuan, Granite
_CHANNELS_UNMARKED = re.compile(r"\s*analysis(?=[A-Z])")
"""How channels begin if an engine has removed their marks."""
_FINAL_UNMARKED = "assistantfinal"
_SPLIT_AT = re.compile(r"""split\(\s*(['"])</([A-Za-z][\w:.-]{1,30})>\1""")
_OTHER_TAGS = {"answer", "response", "tool_call", "tool_response", "tools"}


@dataclass(frozen=True)
class Marks:
    """The marks of thoughts that are looked for."""

    pattern: re.Pattern[bytes]
    """Matches a mark. Either the group `opening` or the group `closing` has matched."""
    tokens: tuple[str, ...]
    """The texts of marks that can be tokens of their own."""


NO_MARKS = Marks(re.compile(rb"(?P<opening>(?!))|(?P<closing>(?!))"), ())
"""Finds nothing."""


@functools.lru_cache(maxsize=32)
def marks_of(template: str | None = None) -> Marks:
    """Return the marks of all known families, and those of a chat template's own.

    A template that knows thoughts (`reasoning_content`) splits old answers at the tag that closes them.
    """
    declares = template is not None and "reasoning_content" in template
    tags = {tag for _, tag in _SPLIT_AT.findall(template or "") if f"<{tag}>" in str(template)} if declares else set()
    own = sorted(tags - _OTHER_TAGS)
    opening = "|".join((*_OPENING, *(f"<{re.escape(tag)}>" for tag in own)))
    closing = "|".join((*_CLOSING, *(f"</{re.escape(tag)}>" for tag in own)))
    pattern = re.compile(f"(?P<opening>{opening})|(?P<closing>{closing})".encode(), re.IGNORECASE)
    return Marks(pattern, (*_TOKENS, *(f"<{slash}{tag}>" for tag in own for slash in ("", "/"))))


def declares_thoughts(template: str) -> bool:
    """Return whether a chat template names a mark of thoughts: then its model may think."""
    return marks_of(template).pattern.search(template.encode("utf-8", "replace")) is not None


def has_channels(template: str) -> bool:
    """Return whether a template's model thinks in a channel of its own, which nothing switches off."""
    return f"{CHANNEL}analysis" in template


def opened_by(prompt_end: str, marks: Marks) -> bool | None:
    """Return whether the text with which a template begins an answer leaves thoughts open.

    False: it closes them, so that the model answers at once. None: it says nothing about thoughts.
    """
    found = list(marks.pattern.finditer(prompt_end.encode("utf-8", "replace")))
    return found[-1]["opening"] is not None if found else None


def thinking_room(task: Generate, use: TemplateUse | None) -> int:
    """Return how many tokens the thoughts before an answer may take beside those of the answer."""
    return use.thinking_tokens if use is not None and task.chat else 0


def closing_of(prompt_end: str, marks: Marks) -> str:
    """Return what closes the thoughts that the beginning of an answer leaves open; nothing if it opens none."""
    if not opened_by(prompt_end, marks):
        return ""
    mark = [found[0].decode() for found in marks.pattern.finditer(prompt_end.encode("utf-8", "replace"))][-1]
    if mark.startswith(CHANNEL):
        return f"<|end|><|start|>assistant{CHANNEL}final<|message|>"
    return _CLOSED_BY.get(mark) or f"\n{mark[0]}/{mark[1:]}\n\n"


@dataclass(frozen=True)
class Said:
    """An answer and the thoughts before it."""

    answer: str
    thoughts: str | None
    """None: there are none."""
    cut: bool
    """Whether the text ends inside the thoughts."""


def split(text: str, marks: Marks | None = None, *, opened: bool = False) -> Said:
    """Return what a text says, and the thoughts before it.

    Args:
        marks: the marks that are looked for. None: those of all known families.
        opened: whether the prompt ended inside thoughts.
    """
    reader = ThoughtReader(marks or marks_of(), opened=opened)
    reader.add(text.encode("utf-8", "replace"))
    if not reader.marked and (_CHANNELS_UNMARKED.match(text) or _ends_unmarked(text)):
        thoughts, final, answer = text.rpartition(_FINAL_UNMARKED) if _FINAL_UNMARKED in text else (text, "", "")
        return Said(answer, thoughts.strip().removeprefix("analysis"), cut=not final)
    return reader.said()


def _ends_unmarked(text: str) -> bool:
    return _FINAL_UNMARKED in text and text.lstrip().startswith("analysis")


class ThoughtReader:
    """Reads an answer piece by piece, and knows whether it is still inside the thoughts."""

    def __init__(self, marks: Marks, *, opened: bool = False) -> None:
        self._marks = marks
        self.text = bytearray()
        self.thinking = opened
        """Whether the text so far ends inside thoughts."""
        self.marked = opened
        """Whether a mark was seen, in the text or at the end of the prompt."""
        self.answer_from = 0
        """Where the answer begins, if there are no thoughts after it."""
        self._spoken_from: int | None = None
        """Where the last answer began that is known to say something. It saves reading it again at each mark."""
        self._last_mark = 0
        self._before = (self.thinking, self.marked, self.answer_from)
        """The state before the last mark, which a further piece may make longer."""

    def add(self, piece: bytes) -> None:
        """Add a piece, which may end inside a mark or a character."""
        start = max(0, len(self.text) - _LONGEST_MARK)
        self.text += piece
        if self._last_mark >= start:
            start = self._last_mark
            self.thinking, self.marked, self.answer_from = self._before
        for mark in self._marks.pattern.finditer(self.text, start):
            self._last_mark, self._before = mark.start(), (self.thinking, self.marked, self.answer_from)
            if mark["closing"] is not None:
                self.thinking, self.marked, self.answer_from = False, True, mark.end()
            elif self._nothing_said_before(mark.start()):
                # A mark in the middle of an answer is a word that the answer is about.
                self.thinking, self.marked = True, True

    def _nothing_said_before(self, position: int) -> bool:
        if self.thinking:
            return True
        if self._spoken_from != self.answer_from:
            if _NOTHING_SAID.fullmatch(self.text, self.answer_from, position):
                return True
            self._spoken_from = self.answer_from
        return False

    def cut_at(self, position: int) -> None:
        """Drop what follows a position inside the answer."""
        del self.text[position:]

    def first_word(self) -> int:
        """Return where the answer begins to say something."""
        if not self.marked:
            return self.answer_from
        found = _START_OF_ANSWER.match(self.text, self.answer_from)
        return found.end() if found else self.answer_from

    def said(self) -> Said:
        """Return the answer so far and its thoughts. An incomplete character at the end becomes U+FFFD."""
        if not self.marked:
            return Said(self.text.decode("utf-8", "replace"), None, cut=False)
        ends = len(self.text) if self.thinking else self.answer_from
        thoughts = _BETWEEN.sub(b"", self._marks.pattern.sub(b"", self.text[:ends])).decode("utf-8", "replace").strip()
        answer = b"" if self.thinking else _unwrapped(bytes(self.text[self.first_word() :]))
        shown = thoughts if thoughts or self.thinking else None
        return Said(answer.decode("utf-8", "replace"), shown, cut=self.thinking)


def _unwrapped(answer: bytes) -> bytes:
    """Return an answer without the tags that some models put around it behind their thoughts."""
    for name in _WRAPPERS:
        if answer.startswith(b"<%s>" % name):
            return answer.removeprefix(b"<%s>" % name).rstrip().removesuffix(b"</%s>" % name).strip()
    return answer
