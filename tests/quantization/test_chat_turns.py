"""Calibration text in the chat template: no text is lost, and the template's marks become special tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.llama.model import Model
from actors.quantization.calibration import make_chunks
from actors.quantization.chat_turns import TURN_CHARACTERS, render_chat_turns, split_into_conversations
from actors.quantization_orders import CalibrationText, ChunkRules
from conf.faults import BadInput
from tests.tiny_model import CHAT_TEMPLATE, write_tiny_model

LONG = "the thing " * (TURN_CHARACTERS // 10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="module")
def vocabulary(folder: Path) -> Iterator[Model]:
    with Model(write_tiny_model(folder / "tiny.gguf"), vocab_only=True) as model:
        yield model


def test_paragraphs_become_turns_and_short_ones_are_joined_to_the_next() -> None:
    conversations = split_into_conversations(f"= Heading =\n\n{LONG}A\n\n{LONG}B\n \nshort\n\n{LONG}C\n")
    assert [[(message.role, message.content) for message in one] for one in conversations] == [
        [("user", f"= Heading =\n\n{LONG}A"), ("assistant", f"{LONG}B")],
        [("user", f"short\n\n{LONG}C")],
    ]


@given(st.lists(st.text("ab .\n日", min_size=1), min_size=1).map("\n\n".join).filter(str.strip))
def test_no_word_is_lost_or_moved(text: str) -> None:
    conversations = split_into_conversations(text)
    said = " ".join(message.content for conversation in conversations for message in conversation)
    assert said.split() == text.split()
    for conversation in conversations:
        assert [message.role for message in conversation] in (["user"], ["user", "assistant"])
    assert all(len(conversation) == 2 for conversation in conversations[:-1])


def test_the_templates_marks_become_special_tokens(vocabulary: Model, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text(f"{LONG}A\n\n{LONG}B\n\n{LONG}C\n\n{LONG}D", encoding="utf-8")
    taken = (CalibrationText(str(text), "", 1.0),)
    plain = make_chunks(vocabulary, taken, dataset_size=256, ctx=256)
    turned = make_chunks(vocabulary, taken, dataset_size=256, ctx=256, rules=ChunkRules(chat_template=True))
    (mark,) = vocabulary.tokenize("<|im_start|>", add_special=False, parse_special=True)
    assert mark not in plain.chunks[0]
    assert turned.chunks[0][:2] == (vocabulary.bos, mark)
    # The same as the rendered template, without a turn that waits for the model's answer.
    prompt = render_chat_turns(text.read_text(encoding="utf-8"), vocabulary, key="--calibration")
    assert prompt.text.count("<|im_start|>user\n") == prompt.text.count("<|im_start|>assistant\n") == 2
    assert prompt.text.endswith(f"{LONG}D<|im_end|>\n")
    whole = vocabulary.tokenize(prompt.text, add_special=True, parse_special=True)
    assert turned.chunks[0] == tuple(whole[:256])


def test_a_template_that_writes_bos_gets_no_second_one(folder: Path) -> None:
    path = write_tiny_model(folder / "bos.gguf", chat_template="{{ bos_token }}" + CHAT_TEMPLATE)
    with Model(path, vocab_only=True) as model:
        prompt = render_chat_turns(f"{LONG}A\n\n{LONG}B", model, key="--calibration")
        tokens = model.tokenize(prompt.text, add_special=prompt.add_special, parse_special=prompt.parse_special)
        assert tokens.count(model.bos) == 1
        assert tokens[0] == model.bos


@pytest.mark.parametrize("template", [None, "{{ raise_exception('user only') }}"])
def test_a_model_that_cannot_render_conversations_is_bad_input(folder: Path, template: str | None) -> None:
    path = write_tiny_model(folder / "without.gguf", chat_template=template)
    with Model(path, vocab_only=True) as model, pytest.raises(BadInput, match="chat_template: true"):
        render_chat_turns("text", model, key="--calibration")
