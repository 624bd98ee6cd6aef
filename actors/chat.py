"""Turn messages into the text to tokenize: rendered with the model's chat template, or simply joined.

Templates come from GGUF files, so they are untrusted code. They run in jinja2's immutable sandbox, see no clock, and
get only the names that transformers provides (https://huggingface.co/docs/transformers/chat_templating_writing).
Evaluation renders its prompts here, and quantization renders the calibration texts of mixes that ask for it.
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
"""The date that templates get when they ask for today's date: a prompt must not change overnight."""


class TemplateFailed(Exception):
    """Raised if the model's chat template cannot render the messages."""


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt, and how to tokenize it."""

    text: str
    add_special: bool
    """False if the template wrote the BOS token itself."""
    parse_special: bool
    """True for template output, where marks such as `<|...|>` are tokens. False for plain text, where they are text."""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def render_prompt(
    messages: Sequence[Message], *, chat: bool, model: Model, template_instead: str | None = None
) -> Prompt:
    """Return the prompt of a task for a model. `template_instead` replaces the model's template.

    Raises:
        TemplateFailed: the template cannot render the messages.
    """
    template = (template_instead or model.chat_template) if chat else None
    if template is None:
        return Prompt("".join(message.content for message in messages), add_special=True, parse_special=False)
    bos = _special_text(model, model.bos)
    text = render_template(template, messages, bos_token=bos, eos_token=_special_text(model, model.eos))
    return Prompt(text, add_special=not (bos and text.startswith(bos)), parse_special=True)


def render_conversations(conversations: Sequence[Sequence[Message]], model: Model) -> Prompt:
    """Return whole conversations, one after another, as one text.

    Raises:
        TemplateFailed: the template cannot render them, or the model has none.
    """
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
    """Render messages with a chat template. Raise `TemplateFailed` if that fails.

    Args:
        add_generation_prompt: True: the text ends where the model's turn begins. False: it ends with the last message.
    """
    try:
        return _compiled(template).render(
            messages=_merge_same_role(messages),
            bos_token=bos_token,
            eos_token=eos_token,
            add_generation_prompt=add_generation_prompt,
            tools=None,
            documents=None,
        )
    # A template may fail in any way that Python code can. Every failure is the template's.
    except (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise TemplateFailed(str(error)) from error


def _merge_same_role(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Join neighbouring messages of the same role. They are parts of one message that only we keep apart."""
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
