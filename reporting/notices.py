"""Notices for people: a code with its values, which becomes a sentence in the language of the place that shows it.

A notice is also its English sentence, because logs, progress and the terminal are in English. The results file has
both (`notices` and `notice_codes`), so documents in Japanese say in Japanese what was noticed. What a notice quotes
from another program, such as an error, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reporting.notice_texts import TEXTS
from reporting.wording import Words, listed

_ENGLISH = Words("en")


class Notice(str):
    """A notice. As a string it is its English sentence."""

    code: str
    values: Mapping[str, Any]

    def __new__(cls, code: str, /, **values: Any) -> Notice:
        """Make a notice.

        Args:
            code: a key of `TEXTS`.
            values: the values of its placeholders: texts, numbers, other notices, or lists of texts or notices.
        """
        made = super().__new__(cls, _sentence(_ENGLISH, code, values))
        made.code, made.values = code, values
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        """Return what `pickle` and `copy` make the notice from again."""
        return (self.code,), dict(self.values)


def say_notice(words: Words, notice: str) -> str:
    """Return a notice in the wanted language; a plain text, of an older version say, as it is."""
    return _sentence(words, notice.code, notice.values) if isinstance(notice, Notice) else notice


def codes_of(notices: Iterable[str]) -> list[dict[str, Any] | None]:
    """Return the codes and values of notices for a JSON file; None for a plain text."""
    return [_as_json(one) if isinstance(one, Notice) else None for one in notices]


def notices_of(comparison: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the notices of `quantization_comparison.json`. What has no code, or an unknown one, stays a plain text."""
    texts: Sequence[str] = comparison["notices"]
    codes: Sequence[Any] = comparison.get("notice_codes") or ()
    if len(codes) != len(texts):
        return tuple(texts)
    return tuple(_known(code) or text for code, text in zip(codes, texts, strict=True))


def _known(code: Any) -> Any:
    """Return the notice of a code; None if there is none, or none that this version can say."""
    try:
        return _from_json(code)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _sentence(words: Words, code: str, values: Mapping[str, Any]) -> str:
    said = {name: _said(words, value) for name, value in values.items()}
    return words.say(*TEXTS[code]).format_map(said)


def _said(words: Words, value: Any) -> Any:
    if isinstance(value, str):
        return say_notice(words, value)
    if isinstance(value, Sequence):
        return listed(words, (say_notice(words, str_or_notice) for str_or_notice in value))
    return value


def _as_json(value: Any) -> Any:
    if isinstance(value, Notice):
        return {"code": value.code, "values": {name: _as_json(one) for name, one in value.values.items()}}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_json(one) for one in value]
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(one) for one in value]
    if isinstance(value, dict):
        return Notice(value["code"], **{name: _from_json(one) for name, one in value["values"].items()})
    return value
