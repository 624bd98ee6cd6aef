"""Render calibration text as conversations: its paragraphs become chat turns in the model's chat template.

Instruction models are used through their template. A matrix collected this way has seen the template's own tokens, with
text around them. The paragraphs keep their words and their order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from actors.chat import Prompt, render_conversations
from actors.items import Message
from actors.llama.model import Model
from actors.rendering import TemplateFailed
from conf.faults import BadInput, Fault

TURN_CHARACTERS = 400
"""Minimum length of a turn: paragraphs are joined until they reach it. Otherwise headings and single lines would become
conversations of their own, and most of the text would be the template's own words (often a system prompt)."""


def split_into_conversations(text: str) -> list[tuple[Message, ...]]:
    """Split a text at its empty lines, join the paragraphs into turns, and pair the turns into conversations.

    The user has the first turn of a pair, the assistant the second. The last conversation may have no answer.
    """
    turns: list[str] = []
    checked: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        checked.append(paragraph.strip())
        if sum(map(len, checked)) >= TURN_CHARACTERS:
            turns.append("\n\n".join(checked))
            checked = []
    if checked:
        turns.append("\n\n".join(checked))
    return [_conversation(turns[start : start + 2]) for start in range(0, len(turns), 2)]


def render_chat_turns(text: str, model: Model, *, key: str) -> Prompt:
    """Return a text as conversations, rendered with the model's chat template.

    Raises:
        BadInput: the model has no template, or its template cannot render them. The message names `key`, the flag.
    """
    try:
        return render_conversations(split_into_conversations(text), model)
    except TemplateFailed as error:
        allowed = f"a model whose chat template can render user and assistant turns ({error})"
        raise BadInput(Fault(key, "chat_template: true", allowed, "Leave chat_template out of the mix.")) from error


def _conversation(turns: Sequence[str]) -> tuple[Message, ...]:
    asked = Message("user", turns[0])
    return (asked, Message("assistant", turns[1])) if len(turns) > 1 else (asked,)
