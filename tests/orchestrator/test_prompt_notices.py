"""A notice tells if an arm's file differs from the model's in what it makes of a text, and not only in its weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import gguf
import pytest

from actors.orchestrator.sources.arms import prompt_notices
from actors.orchestrator.sources.inputs import SourceArm, SourceModel

MODEL = SourceModel("tiny", "", "a", "llama", 1, 1, 1, "F16", None)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("tokenizer.ggml.scores", "other scores of tokens"),
        ("tokenizer.ggml.token_type", "other types of tokens"),
        ("tokenizer.ggml.add_space_prefix", "another space in front of prompts"),
    ],
)
def test_what_an_arm_makes_of_a_text_is_compared(key: str, words: str, tmp_path: Path, tiny_path: str) -> None:
    other = Path(shutil.copy(tiny_path, tmp_path / "other.gguf"))
    reader = gguf.GGUFReader(other, "r+")
    field = reader.get_field(key)
    assert field is not None
    field.parts[-1][0] = 0 if field.parts[-1][0] else 1
    reader.data.flush()
    (notice,) = prompt_notices(SourceArm("theirs", str(other)), SourceModel(**{**vars(MODEL), "path": tiny_path}))
    assert f"({words})" in notice
    assert prompt_notices(SourceArm("same", tiny_path), SourceModel(**{**vars(MODEL), "path": tiny_path})) == ()
