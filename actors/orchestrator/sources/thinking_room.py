"""Whether the context has room for the thoughts that the settings allow.

All arms of a model get the same items, so the largest budget of all of them decides which items fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.evaluation.contract import BenchmarkData
from actors.evaluation.prompt_fit import room_for_thoughts
from actors.items import Generate, TemplateUse
from actors.llama.model import Model
from actors.orchestrator.sources.chat import ChatOfName
from actors.orchestrator.sources.inputs import SourceArm, TemplateUses
from actors.orchestrator.sources.thinking import settings_of
from conf.faults import Fault, Faults
from conf.schema.answers import Sampling
from reporting.notices import Notice


@dataclass(frozen=True)
class Budget:
    """The token budget of thoughts, and where it comes from."""

    tokens: int
    key: str
    """The key that sets it, or would set another one."""
    is_default: bool


def longest_thoughts(
    model: str, arms: Sequence[SourceArm], uses: TemplateUses, chats: Mapping[str, ChatOfName]
) -> Budget:
    """Return the largest budget of a model and its existing GGUFs. Endpoints have a context of their own."""
    found = {model: uses.models.get(model, TemplateUse()).thinking_tokens}
    found |= {one.name: uses.arms.get(one.name, TemplateUse()).thinking_tokens for one in arms if one.endpoint is None}
    name = max(found, key=lambda one: found[one])
    own = settings_of(name, model, chats)
    return Budget(found[name], own.key("thinking_tokens"), own.chat.thinking_tokens is None)


def check_room(
    budget: Budget, benchmarks: Sequence[BenchmarkData], sampling: Sampling, vocabulary: Model, use: TemplateUse
) -> tuple[str, ...]:
    """Return a notice for each benchmark of which thoughts leave no room for some items, which then stay unscored.

    Raises:
        BadInput: there is a benchmark of which they leave none for any item.
    """
    faults, notices = Faults(), []
    context = f"the context of {vocabulary.n_ctx_train} tokens"
    for data in benchmarks:
        name, rooms = data.spec.name, _rooms(budget, data, sampling, vocabulary, use)
        if rooms and all(item.too_long for item in data.items):
            some = f" (at most {max(rooms)} for some of them)" if max(rooms) > min(rooms) else ""
            allowed = f"at most {min(rooms)}, so that the items of {name} have room in {context}{some}"
            step = "It is the default. Set a smaller one." if budget.is_default else ""
            faults.add(Fault(budget.key, budget.tokens, allowed, step))
        elif rooms:
            notices.append(
                Notice(
                    "no_room_for_thoughts",
                    benchmark=name,
                    n=len(rooms),
                    n_items=len(data.items),
                    tokens=budget.tokens,
                    n_ctx=vocabulary.n_ctx_train,
                    key=budget.key,
                    largest=min(rooms),
                )
            )
    faults.stop_if_any()
    return tuple(notices)


def _rooms(budget: Budget, data: BenchmarkData, sampling: Sampling, vocabulary: Model, use: TemplateUse) -> list[int]:
    """Return the longest thoughts of each item that is too long because of its thoughts."""
    tasks = [item.task for item in data.items if item.too_long and budget.tokens]
    chats = [task for task in tasks if isinstance(task, Generate) and task.chat]
    return [room for task in chats if (room := room_for_thoughts(task, sampling.max_tokens, vocabulary, use)) > 0]
