"""Thoughts have a budget of their own; stop strings and the token limit belong to the answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.engines import FinishReason
from actors.engines.answer_reader import AnswerReader, ThoughtRules, was_cut
from actors.engines.mark_tokens import PiecesWithMarks
from actors.llama.model import Model
from actors.thinking import Said, marks_of
from tests import thinking_models as templates
from tests.thinking_models import write_thinking_model


def read(
    *pieces: str, stops: tuple[str, ...] = (), limit: int = 4, budget: int = 0, opened: bool = False
) -> tuple[Said, FinishReason | None, int, int]:
    """Return what was read, why it ended, and the numbers of tokens in all and in the thoughts."""
    reader = AnswerReader(stops, limit, ThoughtRules(marks_of(), opened, budget))
    reason = next((reason for piece in pieces if (reason := reader.add(piece.encode()))), None)
    return reader.said(), reason, reader.n_tokens, reader.thought_tokens


def test_the_limit_of_the_answer_counts_behind_the_thoughts() -> None:
    thoughts = ("<think>", "a", "a", "a", "</think>")
    assert read(*thoughts, *"bcdefg", budget=8) == (Said("bcde", "aaa", cut=False), "length", 9, 5)
    assert read(*thoughts, *"bc", budget=8) == (Said("bc", "aaa", cut=False), None, 7, 5)


def test_thoughts_longer_than_their_budget_are_cut() -> None:
    said, reason, n_tokens, n_thoughts = read("<think>", *"aaaaaaaa", budget=6)
    assert (said, reason, n_tokens, n_thoughts) == (Said("", "aaaaa", cut=True), "length", 6, 6)
    assert was_cut(said, reason)
    assert read(*"aaaaaaaa", budget=6, opened=True)[1:] == ("length", 6, 6)


def test_without_a_budget_thoughts_count_in_the_limit_of_the_answer() -> None:
    assert read("<think>", "a", "</think>", *"bcd") == (Said("b", "a", cut=False), "length", 4, 3)
    assert read("<think>", *"aaaa") == (Said("", "aaa", cut=True), "length", 4, 4)


def test_an_answer_without_thoughts_gets_no_part_of_their_budget() -> None:
    assert read(*"bcdefg", budget=100) == (Said("bcde", None, cut=False), "length", 4, 0)


def test_a_limit_right_behind_the_thoughts_cuts_them_too() -> None:
    said, reason, *_ = read("<think>", "a", "</think>", "\n", limit=4)
    assert was_cut(said, reason) and not said.cut
    assert not was_cut(Said("", "a", cut=True), "eog")
    assert not was_cut(Said("", None, cut=False), "length")


def test_stop_strings_count_only_in_the_answer() -> None:
    thoughts = ("<think>", "Q:", "a\n\n", "</think>", "\n\n")
    assert read(*thoughts, "b", " Q", ":", "c", stops=("Q:",), limit=9, budget=9) == (
        Said("b ", "Q:a", cut=False), "stop", 8, 4,
    )  # fmt: skip
    # White space between thoughts and answer is no answer that a stop string could end.
    assert read(*thoughts, "b", "\n\n", stops=("\n\n",), limit=9, budget=9)[:2] == (Said("b", "Q:a", cut=False), "stop")
    assert read("Q:", "a", "Q:", stops=("Q:",), opened=True, budget=3)[1] == "length"
    assert read("a", "Q:", stops=("Q:",)) == (Said("a", None, cut=False), "stop", 2, 0)


def test_thoughts_behind_words_end_before_a_stop_string_counts_and_a_mentioned_mark_ends_nothing() -> None:
    pieces = ("Hm.", "\n", "<think>", "\n", "Q:", "</think>", "b", "Q:")
    assert read(*pieces, stops=("Q:",), budget=9) == (Said("b", "Hm.\n\nQ:", cut=False), "stop", 8, 6)
    assert read("See ", "</think>", " tag", "s", budget=9) == (
        Said("See </think> tags", None, cut=False),
        "length",
        4,
        0,
    )
    assert read("So.", "</think>", "\n\n", "b", limit=9) == (Said("b", "So.", cut=False), None, 4, 3)


HARMONY = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>it<|end|><|start|>user"
WRITTEN = [
    (templates.QWEN_3, "<think>hm</think>it", False),
    (templates.DEEPSEEK_R1, "hm</think>it", True),
    (templates.GPT_OSS, HARMONY, False),
    (templates.LLM_JP_4, HARMONY.removeprefix("<|channel|>analysis<|message|>"), True),
    (templates.MAGISTRAL, "[THINK]hm[/THINK]it", False),
    (templates.SEED, "<seed:think>hm</seed:think>it", False),
    (templates.REFLECTING, "<reflection>hm</reflection>it", False),
]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    path = write_thinking_model(tmp_path_factory.mktemp("thinking") / "model.gguf", templates.QWEN_3)
    with Model(path, vocab_only=True) as loaded:
        yield loaded


@pytest.mark.parametrize(("template", "text", "opened"), WRITTEN)
def test_marks_that_are_control_tokens_are_seen(template: str, text: str, opened: bool, vocabulary: Model) -> None:
    marks = marks_of(template)
    pieces = PiecesWithMarks(vocabulary, marks)
    tokens = vocabulary.tokenize(text, add_special=False, parse_special=True)
    # llama.cpp itself shows the marks of channels in a vocabulary that has them.
    assert (b"".join(map(vocabulary.piece, tokens)).decode() == text) is ("<|channel|>" in text)
    assert not any(map(vocabulary.is_end_of_generation, tokens))
    reader = AnswerReader((), 20, ThoughtRules(marks, opened, 60))
    reason = next((reason for token in tokens if (reason := reader.add(pieces.piece(token)))), None)
    assert reader.said() == Said("it", "hm", cut=False)
    # A message of a model with channels ends where the next one would begin.
    assert reason == ("stop" if "<|end|>" in text else None)


def test_other_control_tokens_have_no_text(vocabulary: Model) -> None:
    pieces = PiecesWithMarks(vocabulary, marks_of())
    (token,) = vocabulary.tokenize("<|im_start|>", add_special=False, parse_special=True)
    assert pieces.piece(token) == vocabulary.piece(token) == b""
