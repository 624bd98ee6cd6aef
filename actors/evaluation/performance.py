"""Measure an arm's speed and memory with a short fixed workload that is the same for all arms.

Timings of blocks depend on the questions and answers. Here every arm does the same work: a prompt and an answer in one
sequence (batch 1), then in as many sequences as its benchmarks decode side by side. The tokens are random, as in
`llama-bench`, because their meaning does not change the time. The numbers hold for this machine, on which other work
may be running, so they are kept in a file of their own and never in records.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil

from actors.llama import library
from actors.llama.batch import Run
from actors.llama.context import Context
from actors.llama.model import Model
from actors.orders import PerformanceOrder, ReportTokens
from actors.store import write_json

PROMPT_TOKENS = 256
ANSWER_TOKENS = 16
SHORT_PROMPT_TOKENS = 16
"""Prompt length of each sequence if there are many."""
SHORT_ANSWER_TOKENS = 8
"""Answer length of each sequence if there are many."""


@dataclass(frozen=True)
class Speed:
    """Speed of decoding a number of sequences side by side. Rates count the tokens of all sequences together."""

    sequences: int
    prompt_tokens_per_second: float
    decode_tokens_per_second: float

    @property
    def time_per_token_ms(self) -> float:
        """Milliseconds from one token of a sequence to its next."""
        return 1000 * self.sequences / self.decode_tokens_per_second


@dataclass(frozen=True)
class Buffers:
    """The sizes of llama.cpp's buffers in bytes, from its log. None: the log does not mention that kind."""

    devices: tuple[str, ...]
    weights_bytes: int | None
    kv_bytes: int | None
    compute_bytes: int | None


def measure_performance(order: PerformanceOrder, report: ReportTokens) -> None:
    """Load the arm, time it, and write `order.output_path`. Raise `LlamaError` if the model fails."""
    started = time.perf_counter()
    with (
        library.captured_log() as log,
        Model(order.gguf_path, gpu_layers=order.layout.gpu_layers) as model,
        contextlib.closing(Context(model, order.layout, max_sequences=order.layout.sequences + 2)) as context,
    ):
        load_s = time.perf_counter() - started
        # Without a unified cache a sequence has only its own share of the cells.
        room = context.cells_per_sequence
        _time(context, model, 1, 1, 1, report)  # warm-up: the first pass reads the weights from the file
        one = _time(context, model, 1, min(PROMPT_TOKENS, room - ANSWER_TOKENS), ANSWER_TOKENS, report)
        # A share has at least 256 cells, so a short sequence always has room in it.
        fitting = room // (SHORT_PROMPT_TOKENS + SHORT_ANSWER_TOKENS) if context.unified else order.layout.sequences
        sequences = min(order.layout.sequences, fitting)
        many = _time(context, model, sequences, SHORT_PROMPT_TOKENS, SHORT_ANSWER_TOKENS, report)
        rss_bytes = psutil.Process().memory_info().rss
    buffers = read_buffers(log)
    write_json(
        order.output_path,
        {
            "arm": order.arm,
            "file_bytes": Path(order.gguf_path).stat().st_size,
            "load_s": load_s,
            "batch_1": {**asdict(one), "time_per_token_ms": one.time_per_token_ms},
            "batched": {**asdict(many), "time_per_token_ms": many.time_per_token_ms},
            "devices": list(buffers.devices),
            "weights_bytes": buffers.weights_bytes,
            "kv_bytes": buffers.kv_bytes,
            "compute_bytes": buffers.compute_bytes,
            "process_rss_bytes": rss_bytes,
            "threads": order.layout.threads,
            "n_ctx": order.layout.n_ctx,
        },
    )


def _time(
    context: Context, model: Model, sequences: int, prompt_tokens: int, answer_tokens: int, report: ReportTokens
) -> Speed:
    """Time the prompts of all sequences, then their answers token by token, starting from an empty cache."""
    context.clear()
    tokens = np.random.default_rng(0).integers(0, model.n_vocab, (sequences, prompt_tokens + answer_tokens))
    started = time.perf_counter()
    _decode(context, [Run(n, 0, row[:prompt_tokens].tolist(), prompt_tokens - 1) for n, row in enumerate(tokens)])
    prompted = time.perf_counter()
    for position in range(prompt_tokens, prompt_tokens + answer_tokens):
        _decode(context, [Run(n, position, [int(row[position])], 0) for n, row in enumerate(tokens)])
    ended = time.perf_counter()
    report(sequences * (prompt_tokens + answer_tokens))
    return Speed(
        sequences,
        sequences * prompt_tokens / (prompted - started),
        sequences * answer_tokens / (ended - prompted),
    )


def _decode(context: Context, runs: Sequence[Run]) -> None:
    for rows in context.decode(runs):
        rows.logits[-1:].max(initial=0.0)  # reading the logits waits for a device that works asynchronously


_BUFFER = re.compile(r"(\S+)\s+(model|KV|RS|compute) buffer size\s*=\s*([\d.]+) MiB")
_KINDS = {"model": "weights", "KV": "kv", "RS": "kv", "compute": "compute"}  # RS: recurrent state


def read_buffers(log: Sequence[str]) -> Buffers:
    """Sum the buffer sizes over all devices, from the lines that llama.cpp logs while it loads."""
    found: dict[str, int] = {}
    devices: dict[str, None] = {}
    for line in log:
        for device, kind, mebibytes in _BUFFER.findall(line):
            name = _KINDS[kind]
            found[name] = found.get(name, 0) + round(float(mebibytes) * 2**20)
            devices[device.removesuffix("_Mapped")] = None
    return Buffers(tuple(devices), found.get("weights"), found.get("kv"), found.get("compute"))
