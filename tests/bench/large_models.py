"""What models of 7, 32 and 70 billion weights take: disk, memory and time of a pipeline, as the table of the README.

    python -m tests.bench.large_models

No weights are needed. For each model this writes a GGUF with the tensors of the real one and a hole in place of their
values. Sizes are those of llama.cpp's dry run, and memory is what the plan asks for. Times are estimates: the tokens
that a plan counts, at a rate measured with another model and divided by how many times more weights this one has.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

from actors.llama.gguf_file import GgufHeader, read_header
from actors.orchestrator.placement import WORKER_OVERHEAD_BYTES
from actors.orchestrator.sources.recipes import predict_size
from actors.quantization.memory import needed_to_collect, needed_to_quantize
from actors.recipes import resolve_recipe
from tests.tiny_model import TinyShape, add_metadata, add_vocabulary

SHAPES = {
    "7B": TinyShape(3584, 28, 18_944, 28, 4, 32_768, n_vocab=152_064),  # Qwen2.5-7B
    "32B": TinyShape(5120, 64, 27_648, 40, 8, 32_768, n_vocab=152_064),  # Qwen2.5-32B
    "70B": TinyShape(8192, 80, 28_672, 64, 8, 8192, n_vocab=128_256),  # Llama-3-70B
}
RECIPES = ("f16", "q8_0", "q4_k_m")
CACHE_CELLS = 87_040
"""Cells of the largest KV cache of the default benchmarks (MATH, 32 sequences), planned with SmolLM2's vocabulary."""


@dataclass(frozen=True)
class Tokens:
    """The tokens that one arm reads and generates, as a plan estimates them: answers of half the longest length."""

    read: int
    generated: int


GSM8K_ANSWER, MATH_ANSWER, QUESTION, CHOICES, CHUNK = 128, 256, 100, 130, 512
DEFAULT = Tokens(
    (1319 + 500) * QUESTION + 1172 * CHOICES + (592 + 1222) * CHUNK, 5 * (1319 * GSM8K_ANSWER + 500 * MATH_ANSWER)
)
"""The default run: GSM8K and MATH-500 under five seeds, ARC-Challenge, both texts."""
SAMPLE = Tokens(40 * QUESTION + 40 * CHOICES + 2 * 40 * CHUNK, 3 * 40 * GSM8K_ANSWER)
"""The run that the README shows: --runs 3 --limit 40, without MATH."""


@dataclass(frozen=True)
class Rates:
    """Tokens per second of one machine, each with the weights of the model that it was measured with."""

    read: float
    read_weights: float
    generated: float
    generated_weights: float

    def hours(self, tokens: Tokens, weights: float) -> float:
        """Return how long an arm takes, if a model with twice the weights takes twice the time."""
        reading = tokens.read / self.read * weights / self.read_weights
        return (reading + tokens.generated / self.generated * weights / self.generated_weights) / 3600


GPU = Rates(822, 8.03e9, 465, 6.74e9)
"""Published by llama.cpp: Llama-3.1-8B in Q4_K_M reads 822 tokens/s (tools/quantize/README.md, which names no device);
LLaMA-7B in F16 generates 465 in 32 sequences (tools/batched-bench/README.md)."""
TWO_CORES = Rates(567, 134.5e6, 466, 134.5e6)
"""Measured on two cores of an AMD EPYC with SmolLM2-135M: reading as the importance matrix is collected; q8_0
generating in 32 sequences."""


def write_header(path: Path, shape: TinyShape) -> Path:
    """Write a GGUF in f16 with the tensors of `shape` and a hole in place of their values."""
    writer = gguf.GGUFWriter(path, "llama")
    add_metadata(writer, shape, path.stem, "f16")
    add_vocabulary(writer, None, shape.n_vocab)
    n_bytes = 0
    for name, size in _tensors(shape):
        kind = np.dtype(np.float32 if len(size) == 1 else np.float16)
        writer.add_tensor_info(name, size, kind, int(np.prod(size)) * kind.itemsize)
        n_bytes += int(np.prod(size)) * kind.itemsize
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        start = -(-path.stat().st_size // gguf.GGUF_DEFAULT_ALIGNMENT) * gguf.GGUF_DEFAULT_ALIGNMENT
        file.truncate(start + n_bytes)
    return path


def _tensors(shape: TinyShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    embd, ff, kv = shape.n_embd, shape.n_ff, shape.n_embd * shape.n_kv_heads // shape.n_heads
    yield "token_embd.weight", (shape.n_vocab, embd)
    for layer in range(shape.n_layers):
        sizes = {"attn_q": (embd, embd), "attn_k": (kv, embd), "attn_v": (kv, embd), "attn_output": (embd, embd)}
        sizes |= {"ffn_gate": (ff, embd), "ffn_up": (ff, embd), "ffn_down": (embd, ff)}
        for name, size in {"attn_norm": (embd,), "ffn_norm": (embd,), **sizes}.items():
            yield f"blk.{layer}.{name}.weight", size
    yield "output_norm.weight", (embd,)
    yield "output.weight", (shape.n_vocab, embd)


def column(header: GgufHeader) -> list[str]:
    """Return the cells of one model."""
    weights = header.n_parameters
    f16, q8_0, q4_k_m = sizes = [
        predict_size(str(header.path), resolve_recipe(name, {}), with_imatrix=True) for name in RECIPES
    ]
    cache = CACHE_CELLS * header.kv_bytes_per_cell
    answering = f16 + cache + WORKER_OVERHEAD_BYTES
    comparing = sum(sizes) + 3 * CHUNK * header.kv_bytes_per_cell + WORKER_OVERHEAD_BYTES
    making = max(needed_to_collect(header, CHUNK), needed_to_quantize(header))
    return [
        f"{weights / 1e9:.1f}",
        " / ".join(_gib(size) for size in sizes),
        f"{8 * q4_k_m / weights:.2f}",
        _gib(sum(sizes)),
        _gib(making),
        f"{_gib(answering)} ({_gib(cache)} of it KV cache)",
        _gib(comparing),
        f"{_time(GPU.hours(SAMPLE, weights))} / {_time(GPU.hours(DEFAULT, weights))}",
        f"{_time(TWO_CORES.hours(SAMPLE, weights))} / {_time(TWO_CORES.hours(DEFAULT, weights))}",
    ]


TITLES = (
    "weights, billions",
    "f16 / q8_0 / q4_k_m, GiB",
    "bits per weight of q4_k_m",
    "disk for all three, GiB",
    "memory for the importance matrix, GiB",
    "memory for answers, GiB",
    "memory for perplexity and KL divergence, GiB",
    "time per arm on one GPU",
    "time per arm on two CPU cores",
)


def _gib(n_bytes: float) -> str:
    value = n_bytes / 2**30
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _time(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} days"


def table(folder: Path) -> str:
    """Return the table as Markdown. `folder` holds the files while they are read."""
    columns = []
    for name, shape in SHAPES.items():
        path = write_header(folder / f"{name}.gguf", shape)
        columns.append(column(read_header(path)))
        path.unlink()
    rows = [f"| {' | '.join((title, *cells))} |" for title, *cells in zip(TITLES, *columns, strict=True)]
    return "\n".join([f"| | {' | '.join(SHAPES)} |", "|---|" + "--:|" * len(SHAPES), *rows])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        print(table(Path(temporary)))
