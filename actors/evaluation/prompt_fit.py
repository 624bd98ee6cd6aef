"""Fit prompts to the model's context: leave out worked examples, or mark the item as too long.

This is decided while the plan is made, from the model's tokenizer and context alone, so that every arm of a model gets
the same prompt. Text is never cut. The first examples are left out first, because the last ones are nearest to the
question.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, replace

from actors.chat import render_prompt
from actors.engines.turns import whole_conversation
from actors.items import Choose, Generate, Measure, TemplateUse
from actors.llama.model import Model
from actors.rendering import TemplateFailed
from actors.thinking import thinking_room

_SPECIAL_TOKENS = 8  # allowance for BOS and similar tokens in the bound by bytes


@dataclass(frozen=True)
class Fitted:
    """A task whose prompt fits the context, or one that is marked as too long."""

    task: Generate | Choose | Measure
    shots_dropped: int
    too_long: bool
    """True if the task does not fit even without examples. `task` then still has all its examples."""


def fit(
    task: Generate | Choose | Measure, max_tokens: int, model: Model, chat_template: TemplateUse | None = None
) -> Fitted:
    """Keep as many of a task's worked examples as the model's context has room for.

    Args:
        task: the task with all its examples.
        max_tokens: the pipeline's limit for an answer.
        model: the model, of which only the vocabulary and the context length are needed.
        chat_template: how the model's chat template is used, or which one replaces it.
    """
    room = model.n_ctx_train
    if isinstance(task, Measure):
        return Fitted(task, shots_dropped=0, too_long=len(task.tokens) > room)
    if _fits(task, max_tokens, model, room, chat_template):
        return Fitted(task, shots_dropped=0, too_long=False)
    shots = sorted({message.shot for message in task.messages if message.shot is not None})

    def without(dropped: int) -> Generate | Choose:
        return replace(task, messages=tuple(one for one in task.messages if one.shot not in shots[:dropped]))

    # Bisection works, because a prompt with fewer examples is shorter.
    counts = range(len(shots) + 1)
    dropped = bisect.bisect_left(
        counts, True, key=lambda count: _fits(without(count), max_tokens, model, room, chat_template)
    )
    return Fitted(without(dropped), dropped, too_long=False) if dropped in counts else Fitted(task, 0, too_long=True)


def _fits(task: Generate | Choose, max_tokens: int, model: Model, room: int, chat_template: TemplateUse | None) -> bool:
    """Return whether the prompt with its answer (or longest choice) has room. Of several turns, the last one.

    True if the chat template fails, because the engine reports that.
    """
    try:
        messages = whole_conversation(task) if isinstance(task, Generate) else task.messages
        prompt = render_prompt(messages, chat=task.chat, model=model, use=chat_template)
    except TemplateFailed:
        return True
    endings = [prompt.closing + choice for choice in task.choices] if isinstance(task, Choose) else [""]
    answer = 0
    if isinstance(task, Generate):
        answer = _answers(task, max_tokens) + thinking_room(task, chat_template)
    longest = max(len((prompt.text + ending).encode()) for ending in endings)
    if longest + _SPECIAL_TOKENS + answer <= room:  # no token is shorter than a byte
        return True
    # Most tokens come from the examples. So the longest ending decides most cases, and the others are not asked.
    longest_first = sorted(endings, key=len, reverse=True)
    return all(len(prompt.tokens(model, ending)) + answer <= room for ending in longest_first)


def room_for_thoughts(task: Generate, max_tokens: int, model: Model, chat_template: TemplateUse) -> int:
    """Return how long the thoughts of a task without examples may be, in tokens. Less than 0: it does not fit anyway.

    Raises:
        TemplateFailed: the template cannot render it.
    """
    bare = replace(task, messages=tuple(message for message in task.messages if message.shot is None))
    prompt = render_prompt(whole_conversation(bare), chat=task.chat, model=model, use=chat_template)
    return model.n_ctx_train - len(prompt.tokens(model)) - _answers(task, max_tokens)


def _answers(task: Generate, max_tokens: int) -> int:
    """Return the tokens of the answers of all turns. Prompts hold them without thoughts, so only the last has some."""
    return (1 + len(task.then)) * min(task.max_tokens, max_tokens)
