"""Read what an OpenAI-compatible endpoint answered. Only what the engine uses is read, and that must have its type.

Servers differ in everything else, so nothing else is required.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from actors.errors import EndpointFailed

MOST_TOKENS = 2**31 - 1
"""A larger number of tokens is a fault of the endpoint."""


class BadTokenCount(Exception):
    """The text of an answer is readable, but a number of tokens beside it is none."""


@dataclass(frozen=True)
class CompletionText:
    """What an answer says."""

    text: str
    finish_reason: str | None
    prompt_tokens: int
    """0 if the server does not count."""
    completion_tokens: int
    reasoning: str | None = None
    """The thoughts, if the server tells them from the answer."""
    reasoning_tokens: int | None = None
    """How many of the completion's tokens are thoughts. None: the server does not say."""


class _Message(BaseModel):
    content: str | None = None
    """Null or missing if the model wrote nothing, or nothing but thoughts."""
    reasoning_content: Any = None
    """The thoughts, under the name that llama.cpp, SGLang and older servers use."""
    reasoning: Any = None
    """The same, as newer ones call it."""

    @model_validator(mode="before")
    @classmethod
    def _join_parts(cls, message: Any) -> Any:
        """Take a content that is a list of parts, as some servers write it, as the text and the thoughts in them."""
        parts = message.get("content") if isinstance(message, dict) else None
        if not isinstance(parts, list):
            return message
        text, thoughts = "", ""
        for part in parts:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind == "text" and isinstance(part.get("text"), str):
                text += part["text"]
            elif kind == "thinking" and isinstance(part.get("thinking"), list):
                thoughts += "".join(map(_text_of, part["thinking"]))
            else:
                raise ValueError(f"a part of the content is neither text nor thinking, but {str(part)[:80]!r}")
        return {**message, "content": text, **({"reasoning": thoughts} if thoughts else {})}


def _text_of(part: Any) -> str:
    """Return the text of a part of the thoughts; nothing if it is no text, such as a reference."""
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else ""


class _ChatChoice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _TextChoice(BaseModel):
    text: str | None
    finish_reason: str | None = None


class _ChatCompletion(BaseModel):
    choices: list[_ChatChoice] = Field(min_length=1)
    usage: Any = None


class _TextCompletion(BaseModel):
    choices: list[_TextChoice] = Field(min_length=1)
    usage: Any = None


def read_completion(content: bytes, content_type: str, *, chat: bool) -> CompletionText:
    """Return what the body of an answer says.

    Raises:
        EndpointFailed: it is no completion.
        BadTokenCount: it is one, but its numbers of tokens are none.
    """
    try:
        parsed = json.loads(content)
        # Half of a surrogate pair, which JSON can hold, cannot be written as UTF-8.
        text = json.dumps(parsed, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    except (ValueError, RecursionError):
        begins = content[:80].decode(errors="replace")
        raise EndpointFailed(f"its answer is no JSON (content type {content_type[:80]!r}): {begins!r}") from None
    try:
        if chat:
            said = _ChatCompletion.model_validate_json(text)
            message, finish, usage = said.choices[0].message, said.choices[0].finish_reason, said.usage
            told, thoughts = message.content, _thoughts(message)
        else:
            plain = _TextCompletion.model_validate_json(text)
            told, finish, usage, thoughts = plain.choices[0].text, plain.choices[0].finish_reason, plain.usage, None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole answer"
        kind = "chat completion" if chat else "completion"
        raise EndpointFailed(f"its answer is no {kind}: {where}: {first['msg']}, in {text[:80]!r}") from None
    counts = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    return CompletionText(told or "", finish, *counts, thoughts, _reasoning_tokens(usage))


def _thoughts(message: _Message) -> str | None:
    given = (message.reasoning_content, message.reasoning)
    return next((one for one in given if isinstance(one, str) and one.strip()), None)


def _reasoning_tokens(usage: Any) -> int | None:
    """Return the number of tokens of the thoughts; None if it is not given, or is no number of tokens."""
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    count = details.get("reasoning_tokens") if isinstance(details, dict) else None
    return count if type(count) is int and 0 <= count <= MOST_TOKENS else None


def _count(usage: Any, name: str) -> int:
    count = usage.get(name, 0) if isinstance(usage, dict) else 0
    if type(count) is not int or not 0 <= count <= MOST_TOKENS:
        raise BadTokenCount(name)
    return count
