"""How the chat template of each model and arm is used: which variables it gets, and how long thoughts may be.

Templates switch thinking by variables of different names. Which of them a template reads is found out by rendering a
short chat with each value: it reads those that change the prompt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actors.chat import beginning_of_answer, render_chats, special_texts, template_of
from actors.llama.model import Model
from actors.orchestrator.sources.chat import ChatOfName
from actors.orchestrator.sources.inputs import PlannedBenchmark, SourceArm, SourceModel, TemplateUses
from actors.orders import Generate, Message, TemplateUse
from actors.rendering import TemplateFailed
from actors.thinking import declares_thoughts, has_channels, marks_of, opened_by
from conf.faults import BadInput, Fault, Faults, checked
from conf.schema import Chat
from reporting.notices import Notice

DEFAULT_THINKING_TOKENS = 4096
"""Eight times the default limit of an answer. Every sequence has room in the KV cache for thoughts of this length, so
a much larger budget would leave few sequences side by side. What is cut off is counted and shown."""
CONTEXT_SHARE = 0.5
"""The default budget takes at most this share of the context, so that prompt and answer have room too."""
_SWITCHES: tuple[tuple[str, Any, Any], ...] = (
    ("enable_thinking", True, False),  # Qwen, GLM, Gemma, Apertus, SmolLM, Hunyuan and others
    ("thinking", True, False),  # DeepSeek, Granite, Kimi
    ("reasoning", True, False),  # Command
    ("thinking_budget", -1, 0),  # Seed
)
"""Variables that switch thinking, each with its values for on and for off."""
_EFFORT, _MOST, _NONE = "reasoning_effort", "high", "none"
_TRIAL = (Message("user", "1"),)


def template_uses(
    models: Sequence[SourceModel], arms: Sequence[SourceArm], chats: Mapping[str, ChatOfName]
) -> TemplateUses:
    """Return how the chat templates of all models and existing arms are used.

    Raises:
        BadInput: a setting that a template cannot follow.
    """
    faults = Faults()
    of_models = {model.name: faults.gather(_of_file, model.name, model.path, chats.get(model.name)) for model in models}
    of_arms = {}
    for arm in arms:
        own = _over(chats.get(arm.name), chats.get(arm.model or models[0].name))
        if arm.endpoint is not None:
            of_arms[arm.name] = faults.gather(_of_endpoint, arm.name, own or ChatOfName(Chat(), None))
        else:
            of_arms[arm.name] = faults.gather(_of_file, arm.name, arm.path, own)
    faults.stop_if_any()
    return TemplateUses(_needed(of_models), _needed(of_arms))


def thinking_notices(
    uses: TemplateUses, chats: Mapping[str, ChatOfName], benchmarks: Iterable[PlannedBenchmark]
) -> list[Notice]:
    """Return a notice for each model that may think although nobody asked for it, which makes answers long."""
    tasks = [item.task for benchmark in benchmarks for item in benchmark.items]
    if not any(isinstance(task, Generate) and task.chat for task in tasks):
        return []
    said = {name for name, own in chats.items() if own.chat.thinking_tokens is not None}
    return [
        Notice("may_think", model=name, tokens=use.thinking_tokens)
        for name, use in uses.models.items()
        if use.thinking == "template" and use.thinking_tokens and name not in said
    ]


def _needed(found: Mapping[str, TemplateUse | None]) -> dict[str, TemplateUse]:
    """Leave out what is as it would be without any settings."""
    return {name: checked(use) for name, use in found.items() if use != TemplateUse()}


def _over(own: ChatOfName | None, shared: ChatOfName | None) -> ChatOfName | None:
    """Return an arm's settings, with those of its model where it has none."""
    if own is None or shared is None:
        return own or shared
    return ChatOfName(own.chat.over(shared.chat), shared.template if own.template is None else own.template)


def _of_endpoint(name: str, given: ChatOfName) -> TemplateUse:
    """Return what a server is asked for. Which template it has is not known, so both common names are sent."""
    chat = given.chat
    asked = {} if chat.thinking == "template" else dict.fromkeys(("enable_thinking", "thinking"), chat.thinking == "on")
    _check_budget(name, chat)
    default = DEFAULT_THINKING_TOKENS if chat.thinking == "on" else 0
    return _use(given.template, chat, asked, chat.thinking_tokens or default)


def _of_file(name: str, path: str, given: ChatOfName | None) -> TemplateUse:
    chat, own = (given.chat, given.template) if given else (Chat(), None)
    with Model(path, vocab_only=True) as vocabulary:
        return _of_vocabulary(name, chat, own, vocabulary)


def _of_vocabulary(name: str, chat: Chat, own: str | None, vocabulary: Model) -> TemplateUse:
    template = template_of(vocabulary, TemplateUse(own))
    if template is None:
        if chat.thinking != "template" or chat.template_arguments or chat.thinking_tokens:
            allowed = "no settings of thinking: the model has no chat template"
            raise BadInput(Fault(f"chat.{name}", name, allowed, f"Set chat.{name}.template."))
        return TemplateUse()
    for argument in chat.template_arguments:
        if not re.search(rf"\b{re.escape(argument)}\b", template):
            allowed = "variables that the chat template reads"
            raise BadInput(Fault(f"chat.{name}.template_arguments", argument, allowed, "It never names this one."))
    _check_budget(name, chat, vocabulary.n_ctx_train)
    asked = _Asked(template, vocabulary)
    arguments = _switched(name, chat, asked)
    may_think = chat.thinking == "on" or (
        chat.thinking == "template"
        and declares_thoughts(template)
        and asked.opened({**arguments, **chat.template_arguments}) is not False
    )
    default = min(DEFAULT_THINKING_TOKENS, int(vocabulary.n_ctx_train * CONTEXT_SHARE)) if may_think else 0
    return _use(own, chat, arguments, chat.thinking_tokens or default)


def _use(template: str | None, chat: Chat, switches: Mapping[str, Any], tokens: int) -> TemplateUse:
    arguments = json.dumps({**switches, **chat.template_arguments}, sort_keys=True, ensure_ascii=False)
    return TemplateUse(template, chat.thinking, arguments, tokens)


def _check_budget(name: str, chat: Chat, n_ctx: int | None = None) -> None:
    """Raise `BadInput` for a budget that can have no effect."""
    tokens, key = chat.thinking_tokens, f"chat.{name}.thinking_tokens"
    if tokens is not None and chat.thinking == "off":
        raise BadInput(Fault(key, tokens, "no budget, because thinking is off", "Leave out one of the two."))
    if tokens is not None and n_ctx is not None and tokens >= n_ctx:
        raise BadInput(Fault(key, tokens, f"less than the context of the model ({n_ctx} tokens)"))


class _Asked:
    """A template that is asked what it makes of variables."""

    def __init__(self, template: str, vocabulary: Model) -> None:
        self.template = template
        self._special = special_texts(vocabulary)

    def prompt(self, arguments: Mapping[str, Any]) -> str | None:
        """Return the prompt of a short chat. None: the template fails."""
        (text,) = render_chats(self.template, [_TRIAL], self._special, arguments=json.dumps(arguments))
        return None if isinstance(text, TemplateFailed) else text

    def reads(self, name: str, one: Any, other: Any) -> bool:
        """Return whether the prompt depends on a variable."""
        texts = self.prompt({name: one}), self.prompt({name: other})
        return None not in texts and texts[0] != texts[1]

    def opened(self, arguments: Mapping[str, Any]) -> bool | None:
        """Return whether a prompt ends inside thoughts; False if it closes them."""
        text = self.prompt(arguments)
        if text is None:
            return None
        begins = beginning_of_answer(text, _TRIAL, self.template, self._special, json.dumps(arguments))
        return opened_by(begins, marks_of(self.template))


def _switched(name: str, chat: Chat, asked: _Asked) -> dict[str, Any]:
    """Return the variables that switch thinking on or off, as the configuration asks.

    Raises:
        BadInput: the template has no way to do that, or other settings say the opposite.
    """
    if chat.thinking == "template":
        return {}
    on = chat.thinking == "on"
    found = {key: yes if on else no for key, yes, no in _SWITCHES if asked.reads(key, yes, no)}
    channels = has_channels(asked.template)
    if not found and not channels and asked.reads(_EFFORT, _MOST, _NONE):
        found = {_EFFORT: _MOST if on else _NONE}
    key = f"chat.{name}.thinking"
    for argument, value in chat.template_arguments.items():
        if argument in found and found[argument] != value:
            allowed = f"one that agrees with template_arguments ({argument}: {json.dumps(value)})"
            raise BadInput(Fault(key, chat.thinking, allowed, "Leave out one of the two."))
    opened = asked.opened({})
    already = declares_thoughts(asked.template) and (opened is not False if on else opened is False)
    if found or already:
        return found
    if not on and channels:
        step = f"The model always thinks. chat.{name}.template_arguments: {{reasoning_effort: low}} shortens it."
        raise BadInput(Fault(key, "off", "on or template", step))
    known = ", ".join((*(one[0] for one in _SWITCHES), _EFFORT))
    step = f"The chat template reads no variable that switches thinking ({known})."
    raise BadInput(Fault(key, chat.thinking, "template", step))
