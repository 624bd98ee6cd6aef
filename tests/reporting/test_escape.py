"""Foreign text is inert in Markdown, and its control characters are visible."""

from __future__ import annotations

import html
import json
import re

import markdown as renderer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reporting import escape
from tests.reporting.results_folder import HOSTILE


def shown(text: str) -> tuple[str, set[str]]:
    """Render Markdown and return the text that a reader sees, and the set of HTML tags."""
    page = renderer.markdown(text, extensions=["tables"])
    return html.unescape(re.sub(r"<[^>]*>", "", page)), set(re.findall(r"<(\w+)", page))


def test_hostile_text_becomes_only_a_paragraph() -> None:
    text, tags = shown(escape.markdown(HOSTILE))
    assert tags <= {"p", "br"}
    assert "<script>alert(1)</script>" in text
    assert "⟨U+001B⟩[31mred⟨U+0007⟩" in text
    assert "⟨U+202E⟩" in text


@pytest.mark.parametrize(
    "text",
    [
        "- item",
        "1. item",
        "1) item",
        "# head",
        "> quote",
        "===",
        "---",
        "[a]: http://x.example",
        "    code",
        "[x](y)",
        "a|b",
        "`code`",
        "&lt;",
        "\\*",
        "**b**",
        "__b__",
        "~~x~~",
        "![x](y)",
        "<b>",
        "[ ] task",
        "- [x] task",
    ],
)
def test_markdown_structures_are_shown_as_plain_text(text: str) -> None:
    seen, tags = shown(escape.markdown(text))
    assert seen.replace("\xa0", " ").strip("\n") == text
    assert tags <= {"p"}


@given(st.text(max_size=60))
def test_any_text_gives_no_markup(text: str) -> None:
    _, tags = shown("| a |\n| --- |\n| x" + escape.markdown(text) + " |")
    assert tags <= {"table", "thead", "tbody", "tr", "th", "td", "br"}


@given(st.text(max_size=60))
def test_no_text_is_lost_by_rendering(text: str) -> None:
    seen, _ = shown("x" + escape.markdown(text) + "x")
    wanted = escape.visible(text).strip("\n")
    assert re.sub(r"\s", "", seen) == re.sub(r"\s", "", f"x{wanted}x")


def test_an_interval_stays_readable_in_the_source() -> None:
    assert escape.markdown("−3.4 pp [−13.9, +7.0]") == "−3.4 pp [−13.9, +7.0]"
    assert "[" not in escape.markdown("[1, 2](http://evil.example)")


def test_names_and_hashes_are_code_spans_and_others_are_inert() -> None:
    assert escape.code("q4_k_m+en-ja4") == "`q4_k_m+en-ja4`"
    assert "<" not in escape.code("`<b>`")


def test_a_label_is_one_cut_line() -> None:
    assert escape.one_line("a\nb\x1b") == "a b⟨U+001B⟩"
    assert escape.one_line("x" * 100, 10) == "x" * 9 + "…"


@given(st.text(alphabet="`~ab#\n<", max_size=40))
def test_text_cannot_end_its_own_code_block(text: str) -> None:
    """For any content, the only line that closes the fence is the last line."""
    lines = escape.block(text).split("\n")
    fence = lines[0]
    assert set(fence) == {"`"}
    assert [place for place, line in enumerate(lines) if line.startswith(fence)] == [0, len(lines) - 1]


FOREIGN = "\x1b]0;title\x07a\r\nFAILED b: c\rd\x9b31m\u2028FAILED e\u202e\x85f"


def test_further_lines_of_foreign_text_look_like_none_of_ours() -> None:
    shown = escape.hanging(FOREIGN)
    first, second = shown.splitlines()
    assert first == "⟨U+001B⟩]0;title⟨U+0007⟩a"
    assert second == "    FAILED b: c⟨U+000D⟩d⟨U+009B⟩31m⟨U+2028⟩FAILED e⟨U+202E⟩⟨U+0085⟩f"


def test_json_is_one_line_without_control_characters_and_is_read_back_unchanged() -> None:
    line = escape.json_line({FOREIGN: [FOREIGN, "日本語 \U000e0041\ud800"]})
    assert json.loads(line) == {FOREIGN: [FOREIGN, "日本語 \U000e0041\ud800"]}
    assert len(line.splitlines()) == 1 and escape.visible(line) == line and "日本語" in line
