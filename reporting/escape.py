"""Making foreign text inert: text of models, data sets and names is data wherever it is shown.

`visible` takes the teeth out of control characters (terminal escapes, bidirectional overrides), `markdown`
and `code` out of Markdown. HTML escaping is left to jinja2's autoescape, SVG escaping to the chart renderer.
"""

from __future__ import annotations

import re

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_MARKUP = re.compile(
    r"[\\`*\[\]<>#|~&$@{}]"  # structure wherever it stands
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis, but not inside a word
    r"|^[-+](?!\d)|^=|-(?=-)|(?<=-)-|^\d+[.)](?=\s|$)"  # lists (not signed numbers), headings underlined, rules
    r"|:(?=//)|(?<=[Ww]{3})[.]"  # bare addresses
)
_INTERVAL = re.compile(r"(\[[+−]?[\d.,]+, [+−]?[\d.,]+\](?![(\[:]))")
"""An interval of numbers: its brackets can be no link, so it stays readable in the source."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.+~/=,: -]*[A-Za-z0-9_.+~/=,:-]")


def visible(text: str) -> str:
    """`text` with every control or invisible character shown as its code point, tabs as spaces, line ends as LF."""
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    return _CONTROLS.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", text)


def one_line(text: str, limit_chars: int = 80) -> str:
    """Inert text for a label: one line, cut with an ellipsis."""
    line = " ".join(visible(text).split())
    return line if len(line) <= limit_chars else line[: limit_chars - 1] + "…"


def cut(text: str, limit_chars: int) -> str:
    """The beginning of a long text, saying how much was left off."""
    if len(text) <= limit_chars:
        return text
    return f"{text[:limit_chars]} … (+{len(text) - limit_chars})"


def markdown(value: object) -> str:
    """`value` as inert Markdown for a paragraph or a table cell.

    Every character with a meaning becomes a numeric character reference: CommonMark (section 2.5) never reads
    those as structure, and neither does python-markdown. A line end becomes `<br>`, the only markup let in;
    bare web and mail addresses are broken up, because GitHub would make links of them.
    """
    return "<br>".join(_inert_line(line) for line in visible(str(value)).strip("\n").split("\n"))


def _inert_line(line: str) -> str:
    stripped = line.lstrip(" ")
    # Splitting by a pattern with one group gives text and intervals in turn.
    parts = _INTERVAL.split(stripped)
    inert = "".join(part if place % 2 else _MARKUP.sub(_references, part) for place, part in enumerate(parts))
    return "&nbsp;" * (len(line) - len(stripped)) + inert


def _references(match: re.Match[str]) -> str:
    return "".join(f"&#{ord(letter)};" for letter in match.group())


def code(value: object) -> str:
    """A name or hash as a Markdown code span where that is safe, else as inert Markdown."""
    text = visible(str(value))
    return f"`{text}`" if _PLAIN_NAME.fullmatch(text) else markdown(text)


def block(value: object) -> str:
    """Lines as a fenced code block whose fence is longer than any run of backticks in it (CommonMark, section 4.5)."""
    text = visible(str(value)).strip("\n")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
