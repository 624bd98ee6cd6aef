"""Calibration text as conversations: its paragraphs take turns through the model's chat template.

An instruction model is used through its template, so a matrix may be wanted that has seen the template's own tokens,
and text on both sides of them. What the paragraphs say stays as it is, in its order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from actors.chat import Prompt, TemplateFailed, render_conversations
from actors.llama.model import Model
from actors.orders import Message
from conf.faults import BadInput, Fault

TURN_CHARACTERS = 400
"""Paragraphs are gathered until a turn has as many: headings and lone lines would else be conversations of their own,
and the template's own words (a system prompt, often) most of the text."""


def split_into_conversations(text: str) -> list[tuple[Message, ...]]:
    """A text cut at its empty lines, gathered into turns; each two turns are one conversation.

    The user says the first of them, the assistant answers with the second; the last turn may be without an answer.
    """
    turns: list[str] = []
    gathered: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        gathered.append(paragraph.strip())
        if sum(map(len, gathered)) >= TURN_CHARACTERS:
            turns.append("\n\n".join(gathered))
            gathered = []
    if gathered:
        turns.append("\n\n".join(gathered))
    return [_conversation(turns[start : start + 2]) for start in range(0, len(turns), 2)]


def render_chat_turns(text: str, model: Model, *, key: str) -> Prompt:
    """A text as conversations, through the model's chat template.

    Raises:
        BadInput: the model has no template, or one that cannot render them; `key` is the flag that it names.
    """
    try:
        return render_conversations(split_into_conversations(text), model)
    except TemplateFailed as error:
        allowed = f"a model whose chat template renders user and assistant ({error})"
        raise BadInput(Fault(key, "chat_template: true", allowed, "Leave chat_template out of the mix.")) from error


def _conversation(turns: Sequence[str]) -> tuple[Message, ...]:
    asked = Message("user", turns[0])
    return (asked, Message("assistant", turns[1])) if len(turns) > 1 else (asked,)
