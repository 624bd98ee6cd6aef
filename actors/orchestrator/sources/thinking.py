"""How the chat template of each model and arm is used: which variables it gets, and how long thoughts may be.

Templates switch thinking by variables of different names. Which of them a template reads is found out by rendering a
short chat with each value: it reads those that change the prompt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.chat import beginning_of_answer, render_chats, special_texts, template_of
from actors.items import Generate, Message, TemplateUse
from actors.llama.model import Model
from actors.orchestrator.sources.chat import ChatOfName
from actors.orchestrator.sources.inputs import PlannedBenchmark, SourceArm, SourceModel, TemplateUses
from actors.rendering import TemplateFailed
from actors.thinking import declares_thoughts, has_channels, marks_of, opened_by
from conf.faults import BadInput, Fault, Faults, checked
from conf.schema.answers import Chat
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
    faults, of_arms = Faults(), Faults()
    uses = {one.name: faults.gather(_of_file, settings_of(one.name, one.name, chats), one.path) for one in models}
    uses_of_arms = {}
    for arm in arms:
        own = settings_of(arm.name, arm.model or models[0].name, chats)
        if arm.endpoint is not None:
            uses_of_arms[arm.name] = of_arms.gather(_of_endpoint, own)
        else:
            uses_of_arms[arm.name] = of_arms.gather(_of_file, own, arm.path)
    # A setting that a model cannot follow is told once, and not for each arm that takes it on.
    told = {(fault.key, repr(fault.got)) for fault in faults.found}
    faults.add(*(fault for fault in of_arms.found if (fault.key, repr(fault.got)) not in told))
    faults.stop_if_any()
    return TemplateUses(_needed(uses), _needed(uses_of_arms))


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


@dataclass(frozen=True)
class Settings:
    """The chat settings that hold for a model or an arm."""

    name: str
    model: str
    chat: Chat
    template: str | None
    """The text of the template that replaces the one in the GGUF."""
    taken_on: frozenset[str] = frozenset()
    """The settings that an arm has from its model."""

    def key(self, setting: str) -> str:
        """Return the key under which a setting is, or would be, given."""
        return f"chat.{self.model if setting in self.taken_on else self.name}.{setting}"

    def fault(self, setting: str, got: object, allowed: str, step: str = "") -> Fault:
        """Return the fault of a setting. It names the arm that cannot follow what its model can."""
        if setting in self.taken_on:
            allowed = f"{allowed}, for {self.name}, which takes it on"
            step = f"{step} chat.{self.name}.{setting} sets it for {self.name} alone.".lstrip()
        return Fault(self.key(setting), got, allowed, step)


def settings_of(name: str, model: str, chats: Mapping[str, ChatOfName]) -> Settings:
    """Return the settings of a model or arm: its own, and those of its model where it has none."""
    none = ChatOfName(Chat(), None)
    own, shared = chats.get(name, none), none if name == model else chats.get(model, none)
    taken_on = shared.chat.model_fields_set - own.chat.model_fields_set
    template = shared.template if own.template is None else own.template
    return Settings(name, model, own.chat.over(shared.chat), template, frozenset(taken_on))


def template_key(arm: SourceArm, model: SourceModel, chats: Mapping[str, ChatOfName]) -> str:
    """Return the key under which the chat template of an existing arm is, or would be, set."""
    return settings_of(arm.name, model.name, chats).key("template")


def _of_endpoint(own: Settings) -> TemplateUse:
    """Return what a server is asked for. Which template it has is not known, so both common names are sent."""
    chat = own.chat
    asked = {} if chat.thinking == "template" else dict.fromkeys(("enable_thinking", "thinking"), chat.thinking == "on")
    _check_budget(own)
    default = DEFAULT_THINKING_TOKENS if chat.thinking == "on" else 0
    return _use(own.template, chat, asked, chat.thinking_tokens or default)


def _of_file(own: Settings, path: str) -> TemplateUse:
    with Model(path, vocab_only=True) as vocabulary:
        return _of_vocabulary(own, vocabulary)


def _of_vocabulary(own: Settings, vocabulary: Model) -> TemplateUse:
    template, chat = template_of(vocabulary, TemplateUse(own.template)), own.chat
    if template is None:
        _check_nothing_set(own)
        return TemplateUse()
    for argument in chat.template_arguments:
        if not re.search(rf"\b{re.escape(argument)}\b", template):
            allowed = "variables that the chat template reads"
            raise BadInput(own.fault("template_arguments", argument, allowed, "It never names this one."))
    _check_budget(own, vocabulary.n_ctx_train)
    asked = _Asked(template, vocabulary)
    arguments = _switched(own, asked)
    may_think = chat.thinking == "on" or (
        chat.thinking == "template"
        and declares_thoughts(template)
        and asked.opened({**arguments, **chat.template_arguments}) is not False
    )
    default = min(DEFAULT_THINKING_TOKENS, int(vocabulary.n_ctx_train * CONTEXT_SHARE)) if may_think else 0
    return _use(own.template, chat, arguments, chat.thinking_tokens or default)


def _use(template: str | None, chat: Chat, switches: Mapping[str, Any], tokens: int) -> TemplateUse:
    arguments = json.dumps({**switches, **chat.template_arguments}, sort_keys=True, ensure_ascii=False)
    return TemplateUse(template, chat.thinking, arguments, tokens)


def _check_nothing_set(own: Settings) -> None:
    """Raise `BadInput` for settings of thinking where there is no chat template."""
    given = own.chat.model_dump(include={"thinking", "template_arguments", "thinking_tokens"}, exclude_defaults=True)
    allowed = "no settings of thinking: the model has no chat template"
    faults = [own.fault(name, value, allowed, f"Set chat.{own.name}.template.") for name, value in given.items()]
    if faults:
        raise BadInput(faults)


def _check_budget(own: Settings, n_ctx: int | None = None) -> None:
    """Raise `BadInput` for a budget that can have no effect."""
    name, tokens = "thinking_tokens", own.chat.thinking_tokens
    if tokens is not None and own.chat.thinking == "off":
        step = f"Leave out one of the two ({own.key('thinking')}: off)."
        raise BadInput(own.fault(name, tokens, "no budget, because thinking is off", step))
    if tokens is not None and n_ctx is not None and tokens >= n_ctx:
        raise BadInput(own.fault(name, tokens, f"less than the context of the model ({n_ctx} tokens)"))


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


def _switched(own: Settings, asked: _Asked) -> dict[str, Any]:
    """Return the variables that switch thinking on or off, as the configuration asks.

    Raises:
        BadInput: the template has no way to do that, or other settings say the opposite.
    """
    chat = own.chat
    if chat.thinking == "template":
        return {}
    on = chat.thinking == "on"
    found = {key: yes if on else no for key, yes, no in _SWITCHES if asked.reads(key, yes, no)}
    channels = has_channels(asked.template)
    if not found and not channels and asked.reads(_EFFORT, _MOST, _NONE):
        found = {_EFFORT: _MOST if on else _NONE}
    for argument, value in chat.template_arguments.items():
        if argument in found and found[argument] != value:
            allowed = f"one that agrees with {own.key('template_arguments')} ({argument}: {json.dumps(value)})"
            raise BadInput(own.fault("thinking", chat.thinking, allowed, "Leave out one of the two."))
    opened = asked.opened({})
    already = declares_thoughts(asked.template) and (opened is not False if on else opened is False)
    if found or already:
        return found
    if not on and channels:
        step = f"The model always thinks. chat.{own.name}.template_arguments: {{reasoning_effort: low}} shortens it."
        raise BadInput(own.fault("thinking", "off", "on or template", step))
    known = ", ".join((*(one[0] for one in _SWITCHES), _EFFORT))
    step = f"The chat template reads no variable that switches thinking ({known})."
    raise BadInput(own.fault("thinking", chat.thinking, "template", step))
