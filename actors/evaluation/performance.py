"""Measure an arm's speed and memory with a short fixed workload that is the same for all arms.

Timings of blocks depend on the questions and answers. Here every arm does the same work: a prompt and an answer in one
sequence (batch 1), then in as many sequences as its benchmarks decode side by side, several rounds of both. The tokens
are random, as in `llama-bench`, because their meaning does not change the time. The numbers hold for this machine, on
which other work may be running, so they are kept in a file of their own and never in records, with what else went on.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from actors.llama import library
from actors.llama.batch import Run
from actors.llama.buffers import read_buffers
from actors.llama.context import Context
from actors.llama.loaded import LoadedModels
from actors.llama.model import Model
from actors.machine_load import watch_machine
from actors.orders import PerformanceOrder, ReportTokens
from conf.files import write_json

PROMPT_TOKENS = 256
ANSWER_TOKENS = 16
SHORT_PROMPT_TOKENS = 16
"""Prompt length of each sequence if there are many."""
SHORT_ANSWER_TOKENS = 8
"""Answer length of each sequence if there are many."""
ROUNDS = 5
"""How often the workload is timed, so that the speed has a spread."""


@dataclass(frozen=True)
class Rounds:
    """How long some rounds took that decode a number of sequences side by side."""

    sequences: int
    prompt_tokens: int
    """Tokens of the prompts of all sequences together, in one round."""
    answer_tokens: int
    """Tokens of the answers of all sequences together, in one round."""
    prompt_s: tuple[float, ...]
    """Seconds to decode the prompts, by round."""
    decode_s: tuple[float, ...]
    """Seconds to decode the answers, by round."""


def measure_performance(order: PerformanceOrder, report: ReportTokens, models: LoadedModels) -> None:
    """Load the arm, time it, and write `order.output_path`. Raise `LlamaError` if the model fails.

    `models` holds nothing before, and the arm afterwards.
    """
    load = watch_machine()
    started = time.perf_counter()
    with contextlib.ExitStack() as opened:
        log = opened.enter_context(library.captured_log())
        (model,) = models.open([(order.gguf_path, order.layout)])
        context = Context(model, order.layout, max_sequences=order.layout.sequences + 2)
        opened.callback(context.close)
        load_s = time.perf_counter() - started
        # Closing the context logs sizes again, so they are read here.
        buffers = read_buffers(log)
        # Without a unified cache a sequence has only its own share of the cells.
        room = context.cells_per_sequence
        _time(context, model, 1, 1, 1, report)  # warm-up: the first pass reads the weights from the file
        one = _rounds(context, model, 1, min(PROMPT_TOKENS, room - ANSWER_TOKENS), ANSWER_TOKENS, report)
        # A share has at least 256 cells, so a short sequence always has room in it.
        fitting = room // (SHORT_PROMPT_TOKENS + SHORT_ANSWER_TOKENS) if context.unified else order.layout.sequences
        sequences = min(order.layout.sequences, fitting)
        many = _rounds(context, model, sequences, SHORT_PROMPT_TOKENS, SHORT_ANSWER_TOKENS, report)
    write_json(
        order.output_path,
        {
            "arm": order.arm,
            "file_bytes": Path(order.gguf_path).stat().st_size,
            "load_s": load_s,
            "batch_1": asdict(one),
            "batched": asdict(many),
            "memory": [asdict(place) for place in buffers],
            "machine": asdict(load()),
            "worker_pid": os.getpid(),
            "threads": order.layout.threads,
            "n_ctx": order.layout.n_ctx,
        },
    )


def _rounds(
    context: Context, model: Model, sequences: int, prompt_tokens: int, answer_tokens: int, report: ReportTokens
) -> Rounds:
    times = [_time(context, model, sequences, prompt_tokens, answer_tokens, report) for _ in range(ROUNDS)]
    prompt_s, decode_s = zip(*times, strict=True)
    return Rounds(sequences, sequences * prompt_tokens, sequences * answer_tokens, prompt_s, decode_s)


def _time(
    context: Context, model: Model, sequences: int, prompt_tokens: int, answer_tokens: int, report: ReportTokens
) -> tuple[float, float]:
    """Return the seconds of the prompts of all sequences, then of their answers, starting from an empty cache."""
    context.clear()
    tokens = np.random.default_rng(0).integers(0, model.n_vocab, (sequences, prompt_tokens + answer_tokens))
    started = time.perf_counter()
    _decode(context, [Run(n, 0, row[:prompt_tokens].tolist(), prompt_tokens - 1) for n, row in enumerate(tokens)])
    prompted = time.perf_counter()
    for position in range(prompt_tokens, prompt_tokens + answer_tokens):
        _decode(context, [Run(n, position, [int(row[position])], 0) for n, row in enumerate(tokens)])
    ended = time.perf_counter()
    report(sequences * (prompt_tokens + answer_tokens))
    return prompted - started, ended - prompted


def _decode(context: Context, runs: Sequence[Run]) -> None:
    for rows in context.decode(runs):
        rows.logits[-1:].max(initial=0.0)  # reading the logits waits for a device that works asynchronously
