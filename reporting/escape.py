"""Make foreign text inert: text from models, data sets and names must never act as markup or control codes.

`visible` neutralises control characters (terminal escapes, bidirectional overrides). `hanging` also indents further
lines, so that none looks like one of ours, and `json_line` does it for JSON. `markdown`, `code` and `block` neutralise
Markdown. jinja2's autoescape escapes HTML, and the chart renderer escapes SVG.
"""

from __future__ import annotations

import json
import re

from conf.controls import CONTROLS, escaped_json

_MARKUP = re.compile(
    r"[\\`*\[\]<>#|~&$@{}]"  # structure at any position
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis, but not inside a word
    r"|^[-+](?!\d)|^=|-(?=-)|(?<=-)-|^\d+[.)](?=\s|$)"  # lists (not signed numbers), underlined headings, rules
    r"|:(?=//)|(?<=[Ww]{3})[.]"  # bare addresses
)
_INTERVAL = re.compile(r"(\[[+−]?[\d.,]+, [+−]?[\d.,]+\](?![(\[:]))")
"""An interval of numbers. Its brackets cannot form a link, so it is kept readable in the Markdown source."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.+~/=,: -]*[A-Za-z0-9_.+~/=,:-]")


def visible(text: str) -> str:
    """Return `text` with control and invisible characters shown as code points, tabs as spaces, line ends as LF."""
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    return CONTROLS.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", text)


def hanging(text: str, indent: str = "    ") -> str:
    """Return inert text for a terminal: all lines but the first are indented, so that none looks like one of ours."""
    return visible(text).rstrip("\n").replace("\n", f"\n{indent}")


def json_line(value: object) -> str:
    """Return a value as one line of JSON without a control or invisible character. It is read back unchanged."""
    return escaped_json(json.dumps(value, ensure_ascii=False))


def one_line(text: str, limit_chars: int = 80) -> str:
    """Return inert text for a label: one line, cut to `limit_chars` with an ellipsis."""
    line = " ".join(visible(text).split())
    return line if len(line) <= limit_chars else line[: limit_chars - 1] + "…"


def cut(text: str, limit_chars: int) -> str:
    """Return the first `limit_chars` characters of a text, and how many were cut off."""
    if len(text) <= limit_chars:
        return text
    return f"{text[:limit_chars]} … (+{len(text) - limit_chars})"


def markdown(value: object) -> str:
    """Return `value` as inert Markdown for a paragraph or a table cell.

    Every character that has a meaning in Markdown becomes a numeric character reference. CommonMark (section 2.5) and
    python-markdown never read those as structure. A line end becomes `<br>`, the only markup in the output. Bare web
    and mail addresses are broken up, because GitHub would turn them into links.
    """
    return "<br>".join(_inert_line(line) for line in visible(str(value)).strip("\n").split("\n"))


def _inert_line(line: str) -> str:
    stripped = line.lstrip(" ")
    # Splitting by a pattern with one group returns text and intervals alternately.
    parts = _INTERVAL.split(stripped)
    inert = "".join(part if index % 2 else _MARKUP.sub(_references, part) for index, part in enumerate(parts))
    return "&nbsp;" * (len(line) - len(stripped)) + inert


def _references(match: re.Match[str]) -> str:
    return "".join(f"&#{ord(letter)};" for letter in match.group())


def code(value: object) -> str:
    """Return a name or hash as a Markdown code span if that is safe, else as inert Markdown."""
    text = visible(str(value))
    return f"`{text}`" if _PLAIN_NAME.fullmatch(text) else markdown(text)


def block(value: object) -> str:
    """Return lines as a fenced code block.

    The fence is longer than any run of backticks inside it (CommonMark, section 4.5).
    """
    text = visible(str(value)).strip("\n")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
