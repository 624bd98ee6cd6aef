"""jinja2 environments that make every printed value inert.

In Markdown templates each printed value goes through `escape.markdown`. In HTML templates control characters are made
visible, then jinja2's autoescape applies. Only our own macros and filters may return markup. Each environment is made
once, because it keeps the templates that it has compiled: compiling them takes longer than rendering.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from reporting import escape
from reporting.documents.references import authors_text
from reporting.documents.tables.sort_value import sort_value
from reporting.wording import integer, number

_LONGEST_WORD = 12
_LONGEST_PART = 22
TEMPLATES = Path(__file__).parent.parent / "templates"


@functools.cache
def markdown_environment() -> Environment:
    """Return the environment for Markdown: `{{ value }}` is inert; filters `code` and `block` print code."""
    environment = _environment(finalize=_inert_markdown, autoescape=True)
    environment.filters["code"] = lambda value: Markup(escape.code(value))
    environment.filters["block"] = lambda value: Markup(escape.block(value))
    return environment


@functools.cache
def html_environment() -> Environment:
    """Return the environment for HTML: `{{ value }}` is inert text."""
    environment = _environment(finalize=_visible, autoescape=select_autoescape(default=True, default_for_string=True))
    environment.filters["code"] = lambda value: Markup("<code>%s</code>") % escape.visible(str(value))
    environment.filters["authors"] = authors_text
    environment.filters["breakable"] = _breakable
    environment.filters["sort_value"] = sort_value
    return environment


def _breakable(value: object) -> Markup:
    """Return inert text in which long words may wrap, so that no name widens its table.

    `q4_k_m+phigh~plain` may wrap after its signs. A long stretch without signs may wrap anywhere. Short words never
    wrap: Japanese would otherwise wrap after any letter.
    """
    return Markup("").join(_breakable_word(word) for word in re.split(r"(\s+)", escape.visible(str(value))))


def _breakable_word(word: str) -> Markup:
    if len(word) > _LONGEST_WORD:
        return Markup("<wbr>").join(_cut(word))
    return Markup.escape(word) if word.isspace() else Markup("<span>%s</span>") % word


def _cut(word: str) -> list[str]:
    parts = re.findall(r"[^+~_/-]+[+~_/-]*|[+~_/-]+", word)
    return [part[at : at + _LONGEST_PART] for part in parts for at in range(0, len(part), _LONGEST_PART)]


def _environment(**options: Any) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    environment.filters["integer"] = integer
    environment.filters["decimal"] = number
    return environment


def _inert_markdown(value: Any) -> Any:
    return value if hasattr(value, "__html__") else Markup(escape.markdown(value))


def _visible(value: Any) -> Any:
    return value if hasattr(value, "__html__") else escape.visible(str(value))
