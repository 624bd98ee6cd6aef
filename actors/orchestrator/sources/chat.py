"""The chat settings of each model, and the check of what its chat template makes of the prompts.

System prompts, and chat templates that replace those in the GGUFs, come from the configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from actors.chat import (
    Prompt,
    SpecialTexts,
    missing_messages,
    render_chats,
    render_prompts,
    special_texts,
    system_is_moved,
    template_of,
)
from actors.engines.turns import whole_conversation
from actors.evaluation.contract import BenchmarkData
from actors.hashing import content_hash
from actors.items import ChatSettings, Choose, Generate, Message
from actors.llama.model import Model
from actors.orchestrator.sources.addresses import is_endpoint
from actors.rendering import TemplateFailed
from conf.faults import BadInput, Fault, Faults, checked, near_names
from conf.schema.answers import Chat
from conf.schema.pipeline import PipelineConfig
from conf.user_files import SMALL_FILE_BYTES, read_user_text
from reporting.notices import Notice

CHECKED_ITEMS = 16
"""Number of items of each benchmark whose rendered prompts are read."""
_TRIAL = (Message("user", "1"),)
"""A short chat, rendered once to see whether a template works."""
_SHOWN_CHARACTERS = 60
_EXAMPLE = (Message("system", "{system}"), Message("user", "{prompt}"))
"""The messages of the example of a prompt."""
_LONGEST_EXAMPLE = 4000
"""Characters. A longer example shows more of the template than of the form of a prompt."""


@dataclass(frozen=True)
class ChatOfName:
    """The chat settings of a model or an existing arm."""

    chat: Chat
    template: str | None
    """The text of the template that replaces the one in the GGUF."""


def chat_settings(config: PipelineConfig) -> dict[str, ChatOfName]:
    """Return the chat settings of each model and existing arm that has some, by name.

    Raises:
        BadInput: a name that no model or arm has, a template that does not render, or a setting of a model for an arm.
    """
    models, endpoints = [model.name for model in config.models], {a.name for a in config.arms if is_endpoint(a.path)}
    known = list(dict.fromkeys([*models, *(arm.name for arm in config.arms)]))
    faults = Faults()
    allowed = f"the name of a model or of an arm that exists ({', '.join(known)})"
    for name, chat in config.chat.items():
        if name not in known:
            faults.add(Fault(f"chat.{name}", name, allowed, near_names(name, known)))
        elif name not in models and chat.system is not None:
            allowed_text = "none: all arms of a model get the same messages"
            faults.add(Fault(f"chat.{name}.system", chat.system, allowed_text, "Set it for the model."))
        elif name in endpoints and chat.template is not None:
            faults.add(Fault(f"chat.{name}.template", str(chat.template), "none: the server has its own template"))
    settings = {name: faults.gather(_settings, name, chat) for name, chat in config.chat.items() if name in known}
    faults.stop_if_any()
    return {name: checked(one) for name, one in settings.items()}


def _settings(name: str, chat: Chat) -> ChatOfName:
    return ChatOfName(chat, _template(name, chat))


def _template(name: str, chat: Chat) -> str | None:
    if chat.template is None:
        return None
    key = f"chat.{name}.template"
    text = read_user_text(chat.template, key=key, what="chat template", limit_bytes=SMALL_FILE_BYTES)
    (rendered,) = render_chats(text, [_TRIAL], SpecialTexts())
    if isinstance(rendered, TemplateFailed):
        allowed = "a chat template in jinja2 that renders"
        raise BadInput(Fault(key, str(chat.template), allowed, f"({rendered})")) from rendered
    return text


@dataclass(frozen=True)
class TemplateOwner:
    """Whose chat template it is: a model's or an arm's."""

    flag: str
    """The flag that named it."""
    name: str
    key: str
    """The key by which the configuration sets its template: an arm's own, or its model's."""


def template_fault(owner: TemplateOwner, path: str, chat: ChatSettings, what: str) -> Fault:
    """Return the fault of a chat template. It names the owner's file if the configuration sets no template."""
    allowed = "a chat template that shows every message of the prompts"
    if chat.use.template is not None:
        return Fault(owner.key, owner.name, allowed, f"{what}.")
    step = f"{what}. Set another one in the configuration ({owner.key}), or leave out the benchmarks that chat."
    return Fault(owner.flag, f"{owner.name}={path}", allowed, step)


def check_prompts(
    owner: TemplateOwner, vocabulary: Model, chat: ChatSettings, benchmarks: Iterable[BenchmarkData]
) -> tuple[str, ...]:
    """Render the first prompts of each benchmark that chats, and return notices about how messages are handed over.

    Args:
        owner: the model or arm.
        vocabulary: its vocabulary and chat template.
        chat: its chat settings.
        benchmarks: with their items in the order in which they are evaluated.

    Raises:
        BadInput: a template fails, or the text of a message is not in what it renders.
    """
    template = template_of(vocabulary, chat.use)
    if template is None:
        return ()
    faults = Faults()
    moved = False
    for data in benchmarks:
        tasks = {item.item_id: item.task for item in data.items[:CHECKED_ITEMS]}
        chats = {
            item_id: whole_conversation(task) if isinstance(task, Generate) else task.messages
            for item_id, task in tasks.items()
            if isinstance(task, Generate | Choose) and task.chat
        }
        prompts = render_prompts(list(chats.values()), chat=True, model=vocabulary, use=chat.use)
        for (item_id, messages), prompt in zip(chats.items(), prompts, strict=True):
            what = _wrong_with(prompt, messages, template)
            if what is not None:
                said = f"The template makes no prompt of item {item_id} of {data.spec.name}: {what}"
                faults.add(template_fault(owner, vocabulary.path, chat, said))
                break
            moved = moved or system_is_moved(messages, vocabulary, chat.use)
    faults.stop_if_any()
    if not moved:
        return ()
    return (Notice("system_message_moved", owner=owner.name),)


def _wrong_with(prompt: Prompt | TemplateFailed, messages: Iterable[Message], template: str) -> str | None:
    """Return what is wrong with a prompt. None: every message is in it."""
    if isinstance(prompt, TemplateFailed):
        return str(prompt)
    missing = missing_messages(prompt.text, list(messages))
    if not missing:
        return None
    shown = missing[0].content.strip()[:_SHOWN_CHARACTERS]
    what = "the text is empty" if not prompt.text.strip() else f"the {missing[0].role} message ({shown!r}) is not in it"
    lines = [number for number, line in enumerate(template.splitlines(), 1) if "messages" in line]
    return f"{what}; line {lines[0]} reads the messages" if lines else f"{what}; it never reads `messages`"


def describe_chat(settings: ChatSettings, vocabulary: Model) -> Mapping[str, Any]:
    """Describe for the results which system prompt and which chat template a model uses."""
    template = template_of(vocabulary, settings.use)
    origin = "none" if template is None else "model" if settings.use.template is None else "configuration"
    return {
        "system": settings.system,
        "template": origin,
        "template_sha256": None if template is None else content_hash(template),
        "example": _example(vocabulary),
    }


def _example(vocabulary: Model) -> str | None:
    """Return a prompt as the template in the model's file makes it; None if there is none, or if it fails."""
    if vocabulary.chat_template is None:
        return None
    (text,) = render_chats(vocabulary.chat_template, [_EXAMPLE], special_texts(vocabulary))
    usable = isinstance(text, str) and len(text) <= _LONGEST_EXAMPLE and not missing_messages(text, _EXAMPLE)
    return str(text) if usable else None
