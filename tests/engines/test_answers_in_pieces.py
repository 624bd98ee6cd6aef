"""Answers that come in pieces: read token by token as they would be read whole, with little work for each token."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.engines import FinishReason
from actors.engines.answer_reader import AnswerReader, ThoughtRules
from actors.thinking import Marks, Said, ThoughtReader, marks_of

OWN_MARK = "reflection-über.this_problem:step"
SPLITS = f"{{% set x = m.content.split('</{OWN_MARK}>') %}}"
MARKS = marks_of(f"{{% if m.reasoning_content %}}<{OWN_MARK}>{{% endif %}}{SPLITS}")
PARTS = (
    *("<think>", "</think>", f"<{OWN_MARK}>", f"</{OWN_MARK}>", "<|begin_of_thought|>", "<|end_of_thought|>"),
    *("<|channel|>", "<|channel|>final", "analysis", "final", "ly", "<|constrain|>", "<|message|>", "<|end|>"),
    *("a", "word ", ".", " ", "\n", "\n\n", "`", "```\n", "(", ")", "…", "タグ", "質"),
    *("<", "</", "<|", "[", "[/THINK]", "Q:", "##"),
    *(" " * 60, "x" * 70, "x" * 300, "\n" * 90),
)
STOPS = ("Q:", "##", "\n\n", "質", "<|", "word a")
TEXTS = st.lists(st.sampled_from(PARTS), max_size=16).map("".join)


@st.composite
def tokens(draw: st.DrawFn) -> list[bytes]:
    """Return the bytes of a text in pieces of any length."""
    raw, most, pieces = draw(TEXTS).encode(), draw(st.sampled_from((1, 3, 9, 60, 1000))), list[bytes]()
    while raw:
        size = draw(st.integers(1, most))
        pieces.append(raw[:size])
        raw = raw[size:]
    return pieces


def read(
    pieces: Sequence[bytes], stops: tuple[str, ...], limit: int, rules: ThoughtRules
) -> tuple[Said, FinishReason | None, int, int]:
    reader = AnswerReader(stops, limit, rules)
    reason = next((reason for piece in pieces if (reason := reader.add(piece))), None)
    return reader.said(), reason, reader.n_tokens, reader.thought_tokens


def read_anew_for_each_token(
    pieces: Sequence[bytes], stops: tuple[str, ...], limit: int, rules: ThoughtRules
) -> tuple[Said, FinishReason | None, int, int]:
    """Return the same by the plain rule: after each token, look at the whole text for marks and stop strings."""
    thoughts, answer_from, whole = 0, 0, ThoughtReader(rules.marks, opened=rules.opened)
    for number in range(1, len(pieces) + 1):
        whole = ThoughtReader(rules.marks, opened=rules.opened)
        whole.add(b"".join(pieces[:number]))
        if whole.thinking or whole.answer_from != answer_from:
            thoughts, answer_from = number, whole.answer_from
        if whole.thinking:
            if number >= (rules.max_tokens or limit):
                return whole.said(), "length", number, thoughts
            continue
        strings = [*stops, "<|end|>"] if whole.marked else stops
        found = [at for stop in strings if (at := whole.text.find(stop.encode(), whole.first_word())) >= 0]
        if found:
            whole.cut_at(min(found))
            return whole.said(), "stop", number, thoughts
        if number - (thoughts if rules.max_tokens else 0) >= limit:
            return whole.said(), "length", number, thoughts
    return whole.said(), None, len(pieces), thoughts


@settings(deadline=None, max_examples=200)
@given(
    pieces=tokens(),
    stops=st.lists(st.sampled_from(STOPS), unique=True).map(tuple),
    limit=st.sampled_from((1, 5, 40, 10_000)),
    rules=st.builds(ThoughtRules, st.just(MARKS), st.booleans(), st.sampled_from((0, 3, 20, 10_000))),
)
def test_an_answer_in_pieces_ends_where_the_whole_text_says(
    pieces: list[bytes], stops: tuple[str, ...], limit: int, rules: ThoughtRules
) -> None:
    assert read(pieces, stops, limit, rules) == read_anew_for_each_token(pieces, stops, limit, rules)


WRITTEN = [mark for mark in MARKS.tokens if mark != "<|channel>"]
WRITTEN += ["<|channel> thought", "<|channel|>analysis", "<|channel|> final"]


@pytest.mark.parametrize("mark", WRITTEN)
def test_every_mark_is_found_one_byte_at_a_time_behind_a_long_text(mark: str) -> None:
    reader = ThoughtReader(MARKS)
    reader.add(b"Words.\n" * 100)
    for byte in f"{mark}\nmore\n".encode():
        reader.add(bytes([byte]))
    assert reader.marked


class _SpiedPattern:
    """The pattern of marks, which notes how many bytes it looks at."""

    def __init__(self) -> None:
        self.looked_at: list[int] = []

    def finditer(self, text: bytearray, start: int) -> object:
        self.looked_at.append(len(text) - start)
        return MARKS.pattern.finditer(text, start)


def test_a_token_of_a_long_answer_is_looked_at_with_only_a_few_bytes_before_it() -> None:
    pattern = _SpiedPattern()
    reader = ThoughtReader(Marks(pattern, MARKS.tokens))  # type: ignore[arg-type]
    for piece in (b"<think>", *[b" word"] * 2000, b"</think>", *[b" word"] * 2000):
        reader.add(piece)
    assert reader.marked
    assert max(pattern.looked_at) < 250
    assert sorted(pattern.looked_at)[len(pattern.looked_at) // 2] < 60
