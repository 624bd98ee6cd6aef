"""Questions with several turns, and with temperatures of their own. Pure.

The prompt of a later turn holds the answers before it, as `Answer.text` shows them: without thoughts. Items of one
temperature are decoded together. An item whose own temperature is 0 gives the same answer under all seeds, so it is
asked once and the answer is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from actors.engines import Answer, Refused
from actors.items import Generate, Item, Message
from conf.schema.answers import Sampling

_ANSWER = "(answer)"
"""Stands for an answer where only the length of what is around it matters."""
Result = Answer | Refused
Part = TypeVar("Part", str, int)
AskGroup = Callable[[Sequence[Item], Sequence[int], Sampling], list[Result]]
"""Answers items of one temperature, in the order of items, then seeds."""


def messages_of_turn(task: Generate, answers: Sequence[str]) -> tuple[Message, ...]:
    """Return the messages of the turn after these answers."""
    said = zip(answers, task.then, strict=False)
    turns = (turn for answer, user in said for turn in (Message("assistant", answer), Message("user", user)))
    return (*task.messages, *turns)


def whole_conversation(task: Generate) -> tuple[Message, ...]:
    """Return the messages of the last turn, with a short text in place of each answer."""
    return messages_of_turn(task, [_ANSWER] * len(task.then))


def seeds_asked(task: Generate, seeds: Sequence[int]) -> tuple[int, ...]:
    """Return the seeds under which an item is asked: only the first if its own temperature is 0."""
    return tuple(seeds[:1] if task.temperature == 0.0 else seeds)


def with_temperature(sampling: Sampling, task: Generate) -> Sampling:
    """Return the sampling settings of an item."""
    return sampling if task.temperature is None else sampling.model_copy(update={"temperature": task.temperature})


def ask_by_temperature(
    items: Sequence[Item], tasks: Sequence[Generate], seeds: Sequence[int], sampling: Sampling, ask: AskGroup
) -> list[Result]:
    """Return one result per item and seed, in the order of items, then seeds. `ask` gets one temperature at a time."""
    results: dict[int, list[Result]] = {}
    for temperature in dict.fromkeys(task.temperature for task in tasks):
        places = [place for place, task in enumerate(tasks) if task.temperature == temperature]
        asked = seeds_asked(tasks[places[0]], seeds)
        found = ask([items[place] for place in places], asked, with_temperature(sampling, tasks[places[0]]))
        for number, place in enumerate(places):
            results[place] = under_all_seeds(found[number * len(asked) : (number + 1) * len(asked)], seeds)
    return [result for place in range(len(items)) for result in results[place]]


def under_all_seeds(found: list[Result], seeds: Sequence[int]) -> list[Result]:
    """Return one result per seed: those found, or copies of the only one."""
    return found if len(found) == len(seeds) else found * len(seeds)


def joined(before: Answer, after: Result) -> Result:
    """Return the answer to a conversation, from the turns before and the turn after them."""
    if isinstance(after, Refused):
        return replace(after, rendered_hash=before.rendered_hash)
    return replace(
        after,
        rendered_hash=before.rendered_hash,
        prompt_tokens=before.prompt_tokens + after.prompt_tokens,
        completion_tokens=before.completion_tokens + after.completion_tokens,
        earlier_texts=(*before.earlier_texts, before.text),
        earlier_cuts=(*before.earlier_cuts, before.cut_while_thinking),
        earlier_finish_reasons=(*before.earlier_finish_reasons, before.finish_reason),
        thoughts=_both(before.thoughts, after.thoughts, "\n\n"),
        thought_tokens=_both(before.thought_tokens, after.thought_tokens, 0),
    )


def _both(one: Part | None, other: Part | None, between: Part) -> Part | None:
    return one + between + other if one is not None and other is not None else one if other is None else other
