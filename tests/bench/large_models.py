"""What models of 7, 32 and 70 billion weights take: disk, memory and time of a pipeline, as the table of the README.

    python -m tests.bench.large_models [--measure]

No weights are needed. For each model this writes a GGUF with the tensors of the real one and a hole in place of their
values. Sizes are those of llama.cpp's dry run, and memory is what the plan asks for. Times are estimates: the tokens
that a plan counts, at a rate measured with a smaller model and divided by how many times more weights this one has.
`--measure` prints the rates of this machine's processor, to put in the place of `ONE_CORE`.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actors.llama.batch import Run
from actors.llama.context import Context
from actors.llama.file_types import resolve_type
from actors.llama.gguf_file import GgufHeader, read_header
from actors.llama.layout import EngineLayout
from actors.llama.model import Model
from actors.llama.quantizer import quantize
from actors.orchestrator.placement import WORKER_OVERHEAD_BYTES
from actors.orchestrator.sources.recipes import predict_size
from actors.quantization.memory import needed_to_collect, needed_to_quantize
from actors.recipes import resolve_recipe
from conf.schema.recipes import Calibration
from tests.bench.models import model_file
from tests.hollow_model import write_header
from tests.tiny_model import TinyShape

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
MATRIX = Tokens(Calibration().dataset_size, 0)
"""The importance matrix."""


@dataclass(frozen=True)
class Rates:
    """Tokens per second, each with the weights of the model that it was measured with."""

    read: float
    read_weights: float
    generated: float
    generated_weights: float

    def hours(self, tokens: Tokens, weights: float) -> float:
        """Return how long the work takes, if a model with twice the weights takes twice the time."""
        reading = tokens.read / self.read * weights / self.read_weights
        return (reading + tokens.generated / self.generated * weights / self.generated_weights) / 3600


GPU = Rates(822, 8.03e9, 465, 6.74e9)
"""Published by llama.cpp: Llama-3.1-8B in Q4_K_M reads 822 tokens/s (tools/quantize/README.md, which names no device);
LLaMA-7B in F16 generates 465 in 32 sequences (tools/batched-bench/README.md)."""
LARGE_WEIGHTS = 492e6
ONE_CORE = Rates(192, LARGE_WEIGHTS, 137, LARGE_WEIGHTS)
"""Measured by `--measure` on one core of an AMD EPYC. Per weight, SmolLM2-135M took 1.3 times (reading) and 1.6 times
(generating) as long, so larger models may well be faster than this."""
QUANTIZED = 21e6
"""Weights per second that one core quantizes to q4_k_m without an importance matrix, measured in the same way."""
CORES = 2


def column(header: GgufHeader) -> list[str]:
    """Return the cells of one model."""
    weights = header.n_parameters
    sizes = [predict_size(str(header.path), resolve_recipe(name, {}), with_imatrix=True) for name in RECIPES]
    cache = CACHE_CELLS * header.kv_bytes_per_cell
    answering = sizes[0] + cache + WORKER_OVERHEAD_BYTES
    comparing = sum(sizes) + 3 * CHUNK * header.kv_bytes_per_cell + WORKER_OVERHEAD_BYTES
    making = max(needed_to_collect(header, CHUNK), needed_to_quantize(header))
    return [
        f"{weights / 1e9:.1f}",
        " / ".join(_gib(size) for size in sizes),
        f"{8 * sizes[-1] / weights:.2f}",
        _gib(sum(sizes)),
        _gib(making),
        f"{_gib(answering)} ({_gib(cache)})",
        _gib(comparing),
        f"{_time(GPU.hours(MATRIX, weights))}",
        " / ".join(_time(GPU.hours(work, weights)) for work in (SAMPLE, DEFAULT)),
        f"{_time(ONE_CORE.hours(MATRIX, weights) / CORES)}",
        " / ".join(_time(ONE_CORE.hours(work, weights) / CORES) for work in (SAMPLE, DEFAULT)),
        f"{_time(weights / QUANTIZED / CORES / 3600)}",
    ]


TITLES = (
    "weights, billions",
    "f16 / q8_0 / q4_k_m, GiB",
    "bits per weight of q4_k_m",
    "disk for all three, GiB",
    "memory for the importance matrix, GiB",
    "memory for answers (KV cache in it), GiB",
    "memory for perplexity and KL divergence, GiB",
    "one GPU: the importance matrix",
    "one GPU: evaluating an arm",
    "two CPU cores: the importance matrix",
    "two CPU cores: evaluating an arm",
    "two CPU cores: making q4_k_m",
)


def _gib(n_bytes: float) -> str:
    value = n_bytes / 2**30
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _time(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:.2g} min"
    return f"{hours:.2g} h" if hours < 72 else f"{hours / 24:.2g} days"


def table(folder: Path) -> str:
    """Return the table as Markdown. `folder` holds the files while they are read."""
    columns = []
    for name, shape in SHAPES.items():
        path = write_header(folder / f"{name}.gguf", shape)
        columns.append(column(read_header(path)))
        path.unlink()
    rows = [f"| {' | '.join((title, *cells))} |" for title, *cells in zip(TITLES, *columns, strict=True)]
    return "\n".join([f"| | {' | '.join(SHAPES)} |", "|---|" + "--:|" * len(SHAPES), *rows])


def measure(folder: Path) -> str:
    """Return the rates of one core, by the processor's time, which other work on the machine hardly changes."""
    source, quantized = model_file("large", folder), folder / "quantized.gguf"
    started = time.process_time()
    quantize(source, quantized, resolve_type("q4_k_m"), imatrix=None, threads=1)
    quantizing = LARGE_WEIGHTS / (time.process_time() - started)
    quantize(source, quantized, resolve_type("q8_0"), imatrix=None, threads=1)
    layout = EngineLayout(1, 32, 2048, 512, 34 * 256, kv_unified=False, flash_attention=True, gpu_layers=0)
    with Model(str(quantized)) as model, contextlib.closing(Context(model, layout, max_sequences=34)) as context:
        tokens = np.random.default_rng(0).integers(0, model.n_vocab, (32, 44))
        times = [time.process_time()]
        _decode(context, [Run(n, 0, row[:32].tolist(), 31) for n, row in enumerate(tokens)])
        times.append(time.process_time())
        for place in range(32, 44):
            _decode(context, [Run(n, place, [int(row[place])], 0) for n, row in enumerate(tokens)])
        times.append(time.process_time())
    reading, generating = 32 * 32 / (times[1] - times[0]), 32 * 12 / (times[2] - times[1])
    return (
        f"one core: {reading:.0f} tokens/s read, {generating:.0f} generated; {quantizing / 1e6:.0f} million weights/s"
    )


def _decode(context: Context, runs: Sequence[Run]) -> None:
    for rows in context.decode(runs):
        rows.logits[-1:].max(initial=0.0)  # reading the logits waits for the result


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, or what this machine can do."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="print the rates of this machine's processor")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        print(measure(Path(temporary)) if options.measure else table(Path(temporary)))


if __name__ == "__main__":
    main()
