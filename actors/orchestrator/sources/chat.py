"""The chat settings of each model: system prompts, and chat templates that replace those in the GGUFs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.chat import TemplateFailed, render_template
from actors.llama.model import Model
from actors.orders import ChatSettings, Message
from actors.store import content_hash
from conf.faults import BadInput, Fault, Faults, checked, near_names
from conf.schema import Chat, PipelineConfig

_TRIAL = (Message("user", "1"), Message("assistant", "2"), Message("user", "3"))
"""A short chat, rendered once to see whether a template works."""


def chat_settings(config: PipelineConfig) -> dict[str, ChatSettings]:
    """Return the chat settings of each model that has some, by model name.

    Raises:
        BadInput: a name that no model has, or a template that does not render.
    """
    known = [model.name for model in config.models]
    faults = Faults()
    allowed = f"the name of a model ({', '.join(known)})"
    for name in config.chat:
        if name not in known:
            faults.add(Fault(f"chat.{name}", name, allowed, near_names(name, known)))
    settings = {name: faults.gather(_settings, name, chat) for name, chat in config.chat.items() if name in known}
    faults.stop_if_any()
    return {name: checked(one) for name, one in settings.items()}


def _settings(name: str, chat: Chat) -> ChatSettings:
    return ChatSettings(chat.system, _template(name, chat))


def _template(name: str, chat: Chat) -> str | None:
    if chat.template is None:
        return None
    key = f"chat.{name}.template"
    try:
        text = chat.template.read_text(encoding="utf-8")
        render_template(text, _TRIAL, bos_token="", eos_token="")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(Fault(key, str(chat.template), "a readable UTF-8 file", f"({error})")) from error
    except TemplateFailed as error:
        raise BadInput(
            Fault(key, str(chat.template), "a chat template in jinja2 that renders", f"({error})")
        ) from error
    return text


def describe_chat(settings: ChatSettings, vocabulary: Model) -> Mapping[str, Any]:
    """Describe for the results which system prompt and which chat template a model uses."""
    template = settings.template or vocabulary.chat_template
    origin = "configuration" if settings.template else "model" if template else "none"
    return {
        "system": settings.system,
        "template": origin,
        "template_sha256": content_hash(template) if template else None,
    }
