"""Columns, folded lines and shortened names, in terminal columns and not in characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reporting.terminal.layout import WIDTH, columns, display_width, fold, short_name


def test_a_name_loses_its_middle_because_ends_differ() -> None:
    assert short_name("a-very-long-model-name~q4_k_m", 15) == "a-very-…~q4_k_m"
    assert short_name("日本語モデル~q8_0", 11) == "日本…~q8_0"
    assert short_name("q8_0", 4) == "q8_0"


def test_a_table_that_is_too_wide_gets_shorter_names_and_whole_numbers() -> None:
    rows = [["x" * 70, "y" * 20, "1,234.5"], ["q8_0", "f16", "7"]]
    first, second = columns(rows, left=(0, 1))
    assert display_width(first) == WIDTH
    assert first.endswith("y" * 20 + "  1,234.5")
    assert second.split() == ["q8_0", "f16", "7"]


def test_the_last_column_goes_on_below_itself() -> None:
    lines = columns([["q8_0", "no worse", "word " * 20]], left=(0, 1), folded=True)
    assert len(lines) == 2
    assert lines[1].startswith(" " * 16 + "word")


def test_lines_break_at_spaces_and_a_long_word_breaks_anywhere() -> None:
    assert fold("one two three", 8, "  ") == ["one two", "  three"]
    assert fold("  indented text", 10, "    ") == ["  indented", "    text"]
    assert fold("日本語の文", 4, "") == ["日本", "語の", "文"]
    assert fold("", 8) == [""]


@given(st.text(), st.integers(4, 30), st.sampled_from(["", "  "]))
def test_folding_keeps_every_character_and_the_width(text: str, width: int, later: str) -> None:
    lines = fold(text, width, later)
    assert "".join("".join(lines).split()) == "".join(text.split())
    start = len(text) - len(text.lstrip(" "))
    assert all(display_width(line) <= max(width, start + 2) for line in lines)


@given(st.text(min_size=1), st.integers(2, 40))
def test_a_short_name_is_never_too_wide(name: str, longest: int) -> None:
    assert display_width(short_name(name, longest)) <= longest


@pytest.mark.parametrize(("text", "width"), [("量子化 q4", 9), ("か\u3099", 2)])
def test_japanese_takes_two_columns_a_character(text: str, width: int) -> None:
    assert display_width(text) == width
