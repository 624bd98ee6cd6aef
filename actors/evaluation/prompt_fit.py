"""Prompts that are longer than the model's context: worked examples are left out, or the item is not asked at all.

Decided while the plan is made, from the model's tokenizer and context alone, so that every arm of a model is asked the
same; never by cutting text. The first examples go first: the last ones stand nearest to the question.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, replace

from actors.chat import TemplateFailed, render_prompt
from actors.llama.model import Model
from actors.orders import Choose, Generate, Measure

_SPECIAL_TOKENS = 8  # BOS and the like, for the bound by bytes


@dataclass(frozen=True)
class Fitted:
    """A task as it is asked."""

    task: Generate | Choose | Measure
    shots_dropped: int
    too_long: bool
    """True where it does not fit even without examples: it is refused, with all its examples in it."""


def fit(task: Generate | Choose | Measure, max_tokens: int, model: Model, chat_template: str | None = None) -> Fitted:
    """The task with as many of its worked examples as the model's context has room for.

    Args:
        task: as the benchmark asks it.
        max_tokens: the pipeline's limit of an answer.
        model: its tokenizer and context; the vocabulary alone will do.
        chat_template: in place of the model's own.
    """
    room = model.n_ctx_train
    if isinstance(task, Measure):
        return Fitted(task, 0, len(task.tokens) > room)
    if _fits(task, max_tokens, model, room, chat_template):
        return Fitted(task, 0, False)
    shots = sorted({message.shot for message in task.messages if message.shot is not None})

    def without(dropped: int) -> Generate | Choose:
        return replace(task, messages=tuple(one for one in task.messages if one.shot not in shots[:dropped]))

    # Halving: a prompt with fewer examples is shorter.
    counts = range(len(shots) + 1)
    dropped = bisect.bisect_left(
        counts, True, key=lambda count: _fits(without(count), max_tokens, model, room, chat_template)
    )
    return Fitted(without(dropped), dropped, False) if dropped in counts else Fitted(task, 0, True)


def _fits(task: Generate | Choose, max_tokens: int, model: Model, room: int, chat_template: str | None) -> bool:
    """Whether prompt and answer (or the longest choice) have room; a template that fails is the engine's to tell."""
    try:
        prompt = render_prompt(task.messages, chat=task.chat, model=model, template_instead=chat_template)
    except TemplateFailed:
        return True
    endings = task.choices if isinstance(task, Choose) else ("",)
    answer = min(task.max_tokens, max_tokens) if isinstance(task, Generate) else 0
    longest = max(len((prompt.text + ending).encode()) for ending in endings)
    if longest + _SPECIAL_TOKENS + answer <= room:  # no token is shorter than a byte
        return True
    tokens = [
        model.tokenize(prompt.text + ending, add_special=prompt.add_special, parse_special=prompt.parse_special)
        for ending in endings
    ]
    return max(map(len, tokens)) + answer <= room
