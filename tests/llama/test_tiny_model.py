"""The tiny test model is usable: it loads, and any text can be tokenized and restored."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.llama.model import Model
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf"), vocab_only=True)


@settings(deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0▁"), max_size=60))
def test_any_text_can_be_restored_from_its_tokens(vocabulary: Model, text: str) -> None:
    tokens = vocabulary.tokenize(text, add_special=False, parse_special=False)
    assert b"".join(vocabulary.piece(token) for token in tokens).decode() == text


def test_special_tokens_are_recognised(vocabulary: Model) -> None:
    assert vocabulary.adds_bos
    assert vocabulary.tokenize("<|im_end|>", add_special=True, parse_special=True) == [vocabulary.bos, 4]
    assert vocabulary.is_end_of_generation(4)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, again = write_tiny_model(tmp_path / "a.gguf"), write_tiny_model(tmp_path / "b.gguf")
    other = write_tiny_model(tmp_path / "c.gguf", seed=1)
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
