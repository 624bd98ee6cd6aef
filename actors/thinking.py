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
from typing import NamedTuple

from actors.end_marks import without_end_mark
from actors.mentioned_marks import Fences, is_mentioned, is_mentioned_at_the_end, says_nothing, stands_alone
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
    r"<\|channel\|>\s?(?!final\b)\w{1,150}",  # gpt-oss and LLM-jp-4: the channels analysis and commentary
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
"""Bytes. No mark is longer. Most are much shorter, but further words can follow the names of channels."""
_NOTHING_SAID = re.compile(rb"(?:\s|<\|start\|>\w*|<\|end\|>)*")
_BETWEEN = re.compile(rb"<\|(?:message|end|constrain)\|>|<\|start\|>\w*")
_START_OF_ANSWER = re.compile(rb"\s*(?P<mark><\|START_RESPONSE\|>|<\|begin_of_solution\|>)?\s*")
_WRAPPERS = ("answer", "response")  # Hunyuan, Granite
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

    @functools.cached_property
    def shows_after(self) -> int:
        """Number of bytes that show whether a mark begins with them. Those of channels are among the shorter ones."""
        return max((len(text.encode()) for text in self.tokens), default=0)


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


class _State(NamedTuple):
    """What is known about a text so far."""

    thinking: bool
    marked: bool
    answer_from: int
    shown: int | None = None
    """Where the last opening mark ends that the answer only shows."""


class ThoughtReader:
    """Reads an answer piece by piece, and knows whether it is still inside the thoughts."""

    def __init__(self, marks: Marks, *, opened: bool = False) -> None:
        self._marks = marks
        self.text = bytearray()
        self._state = _State(opened, opened, 0)
        self._spoken_from: int | None = None
        """Where the last answer began that is known to say something. It saves reading it again at each mark."""
        self._blank = (0, 0)
        """Where the last answer began, and how far the white space goes with which it begins."""
        self._fences = Fences()
        self._last_mark: int | None = None
        """Where the last mark begins."""
        self._before = self._state
        """The state before the last mark. A further piece may make the mark longer, or show what it is."""
        self._if_ended: _State | None = None
        """The state if the text ends here, where the last mark is one that what follows may change."""

    @property
    def thinking(self) -> bool:
        """Whether the text so far ends inside thoughts."""
        return self._state.thinking

    @property
    def marked(self) -> bool:
        """Whether a mark was seen, in the text or at the end of the prompt."""
        return self._state.marked

    @property
    def answer_from(self) -> int:
        """Where the answer begins, if there are no thoughts after it."""
        return self._state.answer_from

    def add(self, piece: bytes) -> None:
        """Add a piece, which may end inside a mark or a character."""
        n_before = len(self.text)
        self.text += piece
        if self._last_mark is not None and n_before - self._last_mark <= _LONGEST_MARK:
            start, self._state = self._last_mark, self._before
        else:
            start = max(0, n_before - self._marks.shows_after)
        for mark in self._marks.pattern.finditer(self.text, start):
            self._last_mark, self._before, self._if_ended = mark.start(), self._state, None
            if self._state.thinking or self._nothing_said_before(mark.start()):
                self._state = self._behind(mark)
            else:
                self._read_behind_words(mark)

    def _behind(self, mark: re.Match[bytes]) -> _State:
        """Return the state behind a mark that counts."""
        if mark["closing"] is None:
            return self._state._replace(thinking=True, marked=True)
        return _State(thinking=False, marked=True, answer_from=mark.end())

    def _read_behind_words(self, mark: re.Match[bytes]) -> None:
        """Go on behind a mark in the middle of an answer, which may be a word that the answer is about."""
        begin, place, shown = self._state.answer_from, mark.span(), self._state.shown
        in_code = self._fences.inside(self.text, begin, mark.start())
        if mark["closing"] is None:
            counts = not in_code and stands_alone(self.text, begin, *place)
            if counts is None:
                self._if_ended = self._behind(mark)
            self._state = self._behind(mark) if counts else self._state._replace(shown=mark.end())
            return
        if shown is not None and (in_code or says_nothing(self.text, shown, mark.start())):
            return
        mentioned = is_mentioned(self.text, begin, *place)
        if mentioned is None and not is_mentioned_at_the_end(self.text, begin, mark.start()):
            self._if_ended = self._behind(mark)
        if mentioned is False:
            self._state = self._behind(mark)

    def _nothing_said_before(self, position: int) -> bool:
        if self._spoken_from != self.answer_from:
            if _NOTHING_SAID.fullmatch(self.text, self.answer_from, position):
                return True
            self._spoken_from = self.answer_from
        return False

    def cut_at(self, position: int) -> None:
        """Drop what follows a position inside the answer."""
        del self.text[position:]
        if self._last_mark is not None and position <= self._last_mark:
            self._if_ended = None

    def first_word(self) -> int:
        """Return where the answer begins to say something. White space before it is read once, however long it is."""
        return self._first_word(self._state)

    def _first_word(self, state: _State) -> int:
        if not state.marked:
            return state.answer_from
        answer_from, blank_to = self._blank
        found = _START_OF_ANSWER.match(self.text, blank_to if answer_from == state.answer_from else state.answer_from)
        end = found.end() if found else state.answer_from
        if found and not found["mark"]:
            self._blank = state.answer_from, end
        return end

    def said(self) -> Said:
        """Return the answer so far and its thoughts. An incomplete character at the end becomes U+FFFD."""
        state = self._if_ended or self._state
        if not state.marked:
            return Said(self.text.decode("utf-8", "replace"), None, cut=False)
        ends = len(self.text) if state.thinking else state.answer_from
        thoughts = _BETWEEN.sub(b"", self._marks.pattern.sub(b"", self.text[:ends])).decode("utf-8", "replace").strip()
        answer = "" if state.thinking else self.text[self._first_word(state) :].decode("utf-8", "replace")
        shown = thoughts if thoughts or state.thinking else None
        return Said(_unwrapped(without_end_mark(answer)), shown, cut=state.thinking)


def _unwrapped(answer: str) -> str:
    """Return an answer without the tags that some models put around it behind their thoughts."""
    for name in _WRAPPERS:
        if answer.startswith(f"<{name}>"):
            return answer.removeprefix(f"<{name}>").rstrip().removesuffix(f"</{name}>").strip()
    return answer
