"""From messages to the text that is tokenized: through the model's chat template, or joined as they are.

Templates come out of GGUF files, so they are code of strangers: they run in jinja2's immutable sandbox,
see no clock, and get only the names that transformers gives them
(https://huggingface.co/docs/transformers/chat_templating_writing). Evaluation renders its prompts here, and
quantization the calibration texts of mixes that ask for it.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.sandbox

from actors.llama.model import Model
from actors.orders import Message

FIXED_DATE = datetime.datetime(2025, 1, 1)
"""What templates that print today's date are told: a prompt must not change overnight."""


class TemplateFailed(Exception):
    """The model's chat template cannot render these messages."""


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt, and how it is to be tokenized."""

    text: str
    add_special: bool
    """False where the template wrote the BOS token itself."""
    parse_special: bool
    """True for template output, whose `<|...|>` marks are tokens; False for plain text, where they are text."""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def render_prompt(
    messages: Sequence[Message], *, chat: bool, model: Model, template_instead: str | None = None
) -> Prompt:
    """The prompt of a task for one model; `template_instead` of the model's own. Raises `TemplateFailed`."""
    template = (template_instead or model.chat_template) if chat else None
    if template is None:
        return Prompt("".join(message.content for message in messages), add_special=True, parse_special=False)
    bos = _special_text(model, model.bos)
    text = render_template(template, messages, bos_token=bos, eos_token=_special_text(model, model.eos))
    return Prompt(text, add_special=not (bos and text.startswith(bos)), parse_special=True)


def render_conversations(conversations: Sequence[Sequence[Message]], model: Model) -> Prompt:
    """Whole conversations, one after the other. Raises `TemplateFailed`, also for a model without a template."""
    template = model.chat_template
    if template is None:
        raise TemplateFailed("the model has no chat template")
    bos, eos = _special_text(model, model.bos), _special_text(model, model.eos)
    text = "".join(
        render_template(template, messages, bos_token=bos, eos_token=eos, add_generation_prompt=False)
        for messages in conversations
    )
    return Prompt(text, add_special=not (bos and text.startswith(bos)), parse_special=True)


def render_template(
    template: str, messages: Sequence[Message], *, bos_token: str, eos_token: str, add_generation_prompt: bool = True
) -> str:
    """Messages through a chat template: ready for the model's turn, or as they stand. Raises `TemplateFailed`."""
    try:
        return _compiled(template).render(
            messages=_merge_same_role(messages),
            bos_token=bos_token,
            eos_token=eos_token,
            add_generation_prompt=add_generation_prompt,
            tools=None,
            documents=None,
        )
    # A template may fail in any way that Python code can; each of them is the template's fault.
    except (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise TemplateFailed(str(error)) from error


def _merge_same_role(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Neighbours of one role joined: parts of one message are told apart for us, not for the template."""
    return [
        {"role": role, "content": "".join(message.content for message in turn)}
        for role, turn in itertools.groupby(messages, key=lambda message: message.role)
    ]


@functools.lru_cache(maxsize=8)
def _compiled(template: str) -> jinja2.Template:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
    )
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = FIXED_DATE.strftime
    environment.filters["tojson"] = _to_json
    return environment.from_string(template)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _to_json(value: Any, indent: int | None = None) -> str:
    # jinja2's own filter escapes for HTML, which would put \u003c into prompts.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _special_text(model: Model, token: int) -> str:
    return model.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""
