"""Thoughts and answers are told apart for every family, however the text is cut into pieces."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.thinking import (
    NO_MARKS,
    Said,
    ThoughtReader,
    closing_of,
    declares_thoughts,
    has_channels,
    marks_of,
    opened_by,
    split,
)
from tests import chat_templates
from tests import thinking_models as templates

HARMONY = "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>"
FAMILIES = [
    ("Qwen", "<think>\na\n</think>\n\nb", "a", "b"),
    ("Qwen, not thinking", "<think>\n\n</think>\n\nb", None, "b"),
    ("Magistral", "[THINK]a[/THINK]b", "a", "b"),
    ("gpt-oss", f"{HARMONY}final<|message|>b", "a", "b"),
    ("gpt-oss, a format", f"{HARMONY}final <|constrain|>json<|message|>b", "a", "b"),
    ("gpt-oss, two thoughts", f"{HARMONY}commentary<|message|>c<|end|><|start|>assistant<|channel|>final<|message|>b",
     "ac", "b"),
    ("gpt-oss, no thoughts", "<|channel|>final<|message|>b", None, "b"),
    ("gpt-oss, marks removed", "analysisWe need a.assistantfinalb", "We need a.", "b"),
    ("Gemma", "<|channel>thought\na<channel|>b", "a", "b"),
    ("Command", "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b", "a", "b"),
    ("Seed", "<seed:think>a</seed:think>b", "a", "b"),
    ("EXAONE", "<thought>\na\n</thought>\nb", "a", "b"),
    ("Kimi", "◁think▷a◁/think▷b", "a", "b"),
    ("Apertus", "<|inner_prefix|>a<|inner_suffix|>b", "a", "b"),
    ("Hunyuan", "<think>\na\n</think>\n<answer>\nb\n</answer>", "a", "b"),
    ("the template opened it", "a\n</think>\n\nb", "a", "b"),
    ("twice", "<THINK>a</THINK>b<think>c</think>d", "abc", "d"),
    ("no thoughts", "I think b", None, "I think b"),
    ("an answer about a mark", "The <think> tag opens thoughts.", None, "The <think> tag opens thoughts."),
    ("white space stays", "  b \n", None, "  b \n"),
    ("behind words, on a line", "Let me see.\n<think>\na\n</think>\n\nb", "Let me see.\n\na", "b"),
    ("behind words, not closed", "Let me see.\n<think>\na", "Let me see.\n\na", ""),
    ("behind words, in a line", "Okay. <think>a</think>b", "Okay. a", "b"),
    ("a block behind words", "<think>a</think>b\n<think>\nc\n</think>\nd", "ab\n\nc", "d"),
    ("the template opened it, no line", "a.</think>b", "a.", "b"),
    ("the template opened it, a quotation", 'He said "a"</think>\n\nb', 'He said "a"', "b"),
    ("shown between blanks", "b. (A </think> tag closes thoughts.)", None, "b. (A </think> tag closes thoughts.)"),
    ("shown before a comma", "b, see </think>, c", None, "b, see </think>, c"),
    ("shown in brackets", "The tag (</think>) is b", None, "The tag (</think>) is b"),
    ("shown as code", "Write `<think>a</think>` b", None, "Write `<think>a</think>` b"),
    ("shown as a pair", "<think>a</think>Write <think>…</think>b", "a", "Write <think>…</think>b"),
    ("shown as a block of code", "See:\n```\n<think>\na\n</think>\n```\nb", None,
     "See:\n```\n<think>\na\n</think>\n```\nb"),
    ("shown in Japanese", "bは</think>タグで閉じます。", None, "bは</think>タグで閉じます。"),
    ("shown in Japanese brackets", "<think>a</think>「</think>」はb", "a", "「</think>」はb"),
    ("shown at the end", "b ends with </think>", None, "b ends with </think>"),
    ("an end mark", f"{HARMONY}final<|message|>b<|return|>", "a", "b"),
    ("an end mark in tags", "<think>a</think><response>b</response>\n<|im_end|>\n", "a", "b"),
    ("an end mark of Command", "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "a", "b"),
]  # fmt: skip
NAMES = [row[0] for row in FAMILIES]
REMOVED = "gpt-oss, marks removed"


def read_in_pieces(text: str, sizes: Sequence[int]) -> Said:
    reader, raw = ThoughtReader(marks_of()), text.encode()
    for size in [*sizes, *[1] * len(raw)]:
        reader.add(raw[:size])
        raw = raw[size:]
    return reader.said()


@pytest.mark.parametrize(
    ("text", "thoughts", "answer"), [row[1:] for row in FAMILIES], ids=[row[0] for row in FAMILIES]
)
def test_the_answer_is_what_follows_the_thoughts(text: str, thoughts: str | None, answer: str) -> None:
    assert split(text) == Said(answer, thoughts, cut=not answer)


@settings(deadline=None)
@given(st.sampled_from([row for row in FAMILIES if row[0] != REMOVED]), st.lists(st.integers(1, 9), max_size=60))
def test_pieces_say_the_same_as_the_whole(family: tuple[str, str, str | None, str], sizes: list[int]) -> None:
    assert read_in_pieces(family[1], sizes) == split(family[1])


@settings(deadline=None)
@given(st.text(alphabet="a<|>/[]thinkTHINK \n質", max_size=60), st.lists(st.integers(1, 5), max_size=60))
def test_pieces_of_any_text_say_the_same_as_the_whole(text: str, sizes: list[int]) -> None:
    assert read_in_pieces(text, sizes) == split(text)


PARTS = (
    "<think>",
    "</think>",
    "a",
    ".",
    " ",
    "\n",
    "`",
    "```\n",
    "(",
    ")",
    "…",
    "タグ",
    "を",
    "質",
    "<|channel|>final",
    "\t",
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join), st.lists(st.integers(1, 9), max_size=60))
def test_pieces_of_marks_among_words_say_the_same_as_the_whole(text: str, sizes: list[int]) -> None:
    assert read_in_pieces(text, sizes) == split(text)


@settings(deadline=None)
@given(st.text(max_size=200).filter(lambda text: "<" not in text and "[" not in text and "◁" not in text))
def test_a_text_without_marks_stays_as_it_is(text: str) -> None:
    if not text.lstrip().startswith("analysis"):
        assert split(text) == Said(text.encode("utf-8", "replace").decode(), None, cut=False)


@pytest.mark.parametrize(
    ("text", "opened", "thoughts"),
    [
        ("<think>\na", False, "a"),
        ("a", True, "a"),
        ("", True, ""),
        ("[THINK]a", False, "a"),
        ("<|channel|>analysis<|message|>a<|end|>", False, "a"),
        ("analysisWe need a", False, "We need a"),
        ("a</think>b<think>", True, "a"),
    ],
)
def test_thoughts_that_never_end_leave_no_answer(text: str, opened: bool, thoughts: str) -> None:
    found = split(text, opened=opened)
    if text.endswith("b<think>"):  # a mark behind an answer is part of it
        assert found == Said("b<think>", "a", cut=False)
    else:
        assert found == Said("", thoughts, cut=True)


def test_a_template_can_declare_a_tag_of_its_own() -> None:
    said = "<reflection>a</reflection>b"
    assert split(said).thoughts is None
    assert split(said, marks_of(templates.REFLECTING)) == Said("b", "a", cut=False)
    assert split("<tool_call>a</tool_call>b", marks_of("reasoning_content .split('</tool_call>') <tool_call>")).answer
    assert split(said, NO_MARKS).answer == said


@pytest.mark.parametrize(
    ("template", "declares", "channels"),
    [
        (templates.QWEN_3, True, False),
        (templates.DEEPSEEK_R1, True, False),
        (templates.DEEPSEEK_V3, True, False),
        (templates.GPT_OSS, True, True),
        (templates.LLM_JP_4, True, True),
        (templates.MAGISTRAL, True, False),
        (templates.SEED, True, False),
        (templates.REFLECTING, True, False),
        (chat_templates.LLAMA_3, False, False),
        (chat_templates.GEMMA, False, False),
        (chat_templates.MISTRAL, False, False),
    ],
)
def test_a_template_shows_whether_its_model_may_think(template: str, declares: bool, channels: bool) -> None:
    assert (declares_thoughts(template), has_channels(template)) == (declares, channels)


@pytest.mark.parametrize(
    ("end", "opened", "closing"),
    [
        ("<|im_end|>\n<|im_start|>assistant\n", None, ""),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False, ""),
        ("<|Assistant|><think>\n", True, "\n</think>\n\n"),
        ("<|Assistant|></think>", False, ""),
        (
            "<|start|>assistant<|channel|>analysis<|message|>",
            True,
            "<|end|><|start|>assistant<|channel|>final<|message|>",
        ),
        ("<|START_THINKING|>", True, "<|END_THINKING|>"),
        ("[THINK]", True, "\n[/THINK]\n\n"),
    ],
)
def test_the_end_of_a_prompt_opens_or_closes_thoughts(end: str, opened: bool | None, closing: str) -> None:
    assert opened_by(end, marks_of()) is opened
    assert closing_of(end, marks_of()) == closing
    assert not closing or split(f"{end}a{closing}b").answer == "b"


@pytest.mark.parametrize(
    "part",
    [
        *("<think>", " <think>", "</think>", "<", "<|channel|>", " ", "x<think>", "[", "<answer>", "x </think> y"),
        *("x<think>..", "x\n```\n<think>\n", "`</think>", "x<think></think>"),
    ],
)
def test_hostile_texts_of_200_kilobytes_are_split_in_seconds(part: str) -> None:
    started = time.process_time()
    split((part * 200_000)[:200_000])
    split(" " * 100_000 + (part * 100_000)[:100_000])
    assert time.process_time() - started < 5
