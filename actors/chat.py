"""Turn messages into the text to tokenize: rendered with the model's chat template, or simply joined.

Templates are rendered in a process of its own (`rendering`). What a template expects is found out by rendering short
chats with it: the content of a message as text or as a list of parts (`content[0]['text']`, as in vision models), and
whether it accepts a system message. If it raises for one, the system text goes in front of the first user turn.
Evaluation renders its prompts here, and quantization renders the calibration texts of mixes that ask for it.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from actors.items import Message, Role, TemplateUse
from actors.llama.model import Model
from actors.rendering import TemplateFailed, TemplateOverLimit, renderer
from actors.thinking import closing_of, marks_of, opened_by

_SYSTEM_END = "\n\n"
"""Between the system text and the first user turn, if a template accepts no system message."""
_ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt, and how to tokenize it."""

    text: str
    add_special: bool
    """False if the template wrote the BOS token itself."""
    parse_special: bool
    """True for template output, where marks such as `<|...|>` are tokens. False for plain text, where they are text."""
    opens_thoughts: bool | None = None
    """Whether it ends inside thoughts that the template has opened. False: the template has closed them. None: it says
    nothing about thoughts."""
    closing: str = ""
    """What closes the thoughts that it ends in."""

    def without_thoughts(self) -> Prompt:
        """Return the prompt behind which an answer stands at once, such as a given choice."""
        return replace(self, text=self.text + self.closing, opens_thoughts=False, closing="") if self.closing else self

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def tokens(self, model: Model, ending: str = "") -> list[int]:
        """Return the tokens of the prompt with an ending, as the model wants its input to begin.

        No end token is added: an answer follows. A text that would have no token gets the one that begins texts.
        """
        tokens = model.tokenize(self.text + ending, add_special=self.add_special, parse_special=self.parse_special)
        begin = begin_token(model)
        return tokens if tokens or begin is None else [begin]


@dataclass(frozen=True)
class SpecialTexts:
    """The texts of the special tokens that templates may name. Empty: the model has no such token."""

    bos_token: str = ""
    eos_token: str = ""
    unk_token: str = ""
    pad_token: str = ""


@dataclass(frozen=True)
class TemplateForm:
    """How messages are handed to a template."""

    parts: tuple[Role, ...] = ()
    """The roles whose content is a list of parts. For all others it is a text."""
    system_first: bool = True
    """False: it raises for a system message."""


def render_prompt(messages: Sequence[Message], *, chat: bool, model: Model, use: TemplateUse | None = None) -> Prompt:
    """Return the prompt of a task for a model. `use` says how its template is used, or which one replaces it.

    Raises:
        TemplateFailed: the template cannot render the messages.
    """
    (prompt,) = render_prompts([messages], chat=chat, model=model, use=use)
    if isinstance(prompt, TemplateFailed):
        raise prompt
    return prompt


def render_prompts(
    chats: Sequence[Sequence[Message]], *, chat: bool, model: Model, use: TemplateUse | None = None
) -> list[Prompt | TemplateFailed]:
    """Return the prompts of many tasks, or why one cannot be rendered. They are kept for `render_prompt`."""
    template = template_of(model, use) if chat else None
    if template is None:
        return [
            Prompt("".join(message.content for message in messages), add_special=True, parse_special=False)
            for messages in chats
        ]
    special, arguments = special_texts(model), (use or TemplateUse()).arguments
    texts = render_chats(template, chats, special, arguments=arguments)
    return [
        text if isinstance(text, TemplateFailed) else _prompt(text, messages, template, special, arguments)
        for text, messages in zip(texts, chats, strict=True)
    ]


def beginning_of_answer(
    text: str, messages: Sequence[Message], template: str, special: SpecialTexts, arguments: str
) -> str:
    """Return what a template has written behind the messages of a prompt. What they say about marks does not count."""
    usual = _beginning_of_answer(template, special, arguments)
    return usual if text.endswith(usual) else _behind(text, messages)  # it may depend on the messages


@functools.lru_cache(maxsize=32)
def _beginning_of_answer(template: str, special: SpecialTexts, arguments: str) -> str:
    """Return what a template writes behind the messages, where the answer begins."""
    (text,) = render_chats(template, [_PROBE[:1]], special, arguments=arguments)
    return "" if isinstance(text, TemplateFailed) else _behind(text, _PROBE[:1])


def _behind(text: str, messages: Sequence[Message]) -> str:
    said = messages[-1].content.strip() if messages else ""
    return text.rpartition(said)[2] if said else ""


def render_conversations(conversations: Sequence[Sequence[Message]], model: Model) -> Prompt:
    """Return whole conversations, one after another, as one text.

    Raises:
        TemplateFailed: the template cannot render them, or the model has none.
    """
    template = model.chat_template
    if template is None:
        raise TemplateFailed("the model has no chat template")
    special = special_texts(model)
    texts = []
    for text in render_chats(template, conversations, special, add_generation_prompt=False):
        if isinstance(text, TemplateFailed):
            raise text
        texts.append(text)
    return Prompt("".join(texts), add_special=_needs_bos("".join(texts), special), parse_special=True)


def template_of(model: Model, use: TemplateUse | None = None) -> str | None:
    """Return the chat template that is used. None: there is none, and messages are joined."""
    return model.chat_template if use is None or use.template is None else use.template


def _prompt(text: str, messages: Sequence[Message], template: str, special: SpecialTexts, arguments: str) -> Prompt:
    begins, marks = beginning_of_answer(text, messages, template, special, arguments), marks_of(template)
    return Prompt(
        text,
        add_special=_needs_bos(text, special),
        parse_special=True,
        opens_thoughts=opened_by(begins, marks),
        closing=closing_of(begins, marks),
    )


def _needs_bos(text: str, special: SpecialTexts) -> bool:
    """Return whether the template did not write the token that begins texts."""
    return not (special.bos_token and text.lstrip().startswith(special.bos_token))


def render_chats(
    template: str,
    chats: Sequence[Sequence[Message]],
    special: SpecialTexts,
    *,
    add_generation_prompt: bool = True,
    arguments: str = "{}",
) -> list[str | TemplateFailed]:
    """Render chats with a chat template. Each gives its text, or why there is none.

    Args:
        add_generation_prompt: True: a text ends where the model's turn begins. False: it ends with the last message.
        arguments: further variables for the template, as a JSON object.
    """
    form = template_form(template, special)
    return _rendered(template, chats, form, special, add_generation_prompt=add_generation_prompt, arguments=arguments)


def _rendered(
    template: str,
    chats: Sequence[Sequence[Message]],
    form: TemplateForm,
    special: SpecialTexts,
    *,
    add_generation_prompt: bool = True,
    arguments: str = "{}",
) -> list[str | TemplateFailed]:
    variables = [
        json.loads(arguments)
        | {
            "messages": _handed_over(messages, form),
            "bos_token": special.bos_token,
            "eos_token": special.eos_token,
            "unk_token": special.unk_token,
            "pad_token": special.pad_token,
            "add_generation_prompt": add_generation_prompt,
            "tools": None,
            "documents": None,
        }
        for messages in chats
    ]
    return renderer().render(template, variables)


def _handed_over(messages: Sequence[Message], form: TemplateForm) -> list[dict[str, Any]]:
    turns = merge_same_role(messages if form.system_first else _system_in_user_turn(messages))
    return [{"role": turn.role, "content": _content(turn, form)} for turn in turns]


def _content(turn: Message, form: TemplateForm) -> Any:
    return [{"type": "text", "text": turn.content}] if turn.role in form.parts else turn.content


def merge_same_role(messages: Sequence[Message]) -> list[Message]:
    """Join neighbouring messages of the same role. They are parts of one message that only we keep apart."""
    return [
        Message(role, "".join(message.content for message in turn))
        for role, turn in itertools.groupby(messages, key=lambda message: message.role)
    ]


def _system_in_user_turn(messages: Sequence[Message]) -> list[Message]:
    system = "".join(message.content for message in messages if message.role == "system")
    others = [message for message in messages if message.role != "system"]
    first = next((place for place, message in enumerate(others) if message.role == "user"), None)
    if not system or first is None:
        return others
    others[first] = replace(others[first], content=system + _SYSTEM_END + others[first].content)
    return others


_PROBE = (Message("user", "probe-one"), Message("assistant", "probe-two"), Message("user", "probe-three"))
_SYSTEM_PROBE = (Message("system", "probe-system"), Message("user", "probe-one"))


@functools.lru_cache(maxsize=32)
def template_form(template: str, special: SpecialTexts) -> TemplateForm:
    """Return how a template wants its messages. It depends on the template alone, so every process finds the same.

    If nothing makes it show all messages, it gets texts, and `sources.chat` reports what it does with them.
    """
    for chat in (_PROBE, _PROBE[:1]):  # some templates know single turns only
        for parts in ((), _ROLES, ("user",)):
            form = TemplateForm(parts)
            (text,) = _rendered(template, [chat], form, special)
            if isinstance(text, TemplateOverLimit):
                return TemplateForm()
            if isinstance(text, str) and not missing_messages(text, chat):
                return _with_system(template, form, special)
    return TemplateForm()


def _with_system(template: str, form: TemplateForm, special: SpecialTexts) -> TemplateForm:
    others: tuple[Role, ...] = tuple(role for role in form.parts if role != "system")
    raised = False
    for candidate in (form, TemplateForm(others), TemplateForm((*others, "system"))):
        (text,) = _rendered(template, [_SYSTEM_PROBE], candidate, special)
        raised = raised or isinstance(text, TemplateFailed)
        if isinstance(text, str) and not missing_messages(text, _SYSTEM_PROBE):
            return candidate
    return replace(form, system_first=not raised)


def missing_messages(text: str, messages: Sequence[Message]) -> list[Message]:
    """Return the messages whose text is not in a rendered text. Templates may strip white space around it."""
    return [message for message in merge_same_role(messages) if message.content.strip() not in text]


def special_texts(model: Model) -> SpecialTexts:
    """Return the texts of a model's special tokens."""
    return SpecialTexts(*(_special_text(model, token) for token in (model.bos, model.eos, model.unk, model.pad)))


def begin_token(model: Model) -> int | None:
    """Return the token that stands before a text, where one is needed: BOS, else EOS. None: the model has neither."""
    return next((token for token in (model.bos, model.eos) if token >= 0), None)


def _special_text(model: Model, token: int) -> str:
    return model.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""


def system_is_moved(messages: Sequence[Message], model: Model, use: TemplateUse | None = None) -> bool:
    """Return whether a system message goes in front of the first user turn, because the template raises for one."""
    template = template_of(model, use)
    has_system = any(message.role == "system" for message in messages)
    return bool(template) and has_system and not template_form(str(template), special_texts(model)).system_first
