"""Measure in a few seconds how fast a model works on this machine, for the estimate of a plan's time.

A process that only measures calls it, because a model that is too large may end the process: `speed_process` on this
machine, or a worker on a node of a cluster.

The measurement uses the engine, so that sampling and the handling of logits count, too. It begins with one short
answer. How much is measured after that depends on how long this took, so a large model does not take much longer than a
small one. The rates are those of an idle machine, as far as they can be. `actors.evaluation.performance` measures the
arms of a run more carefully.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from actors.engines.llama import LlamaEngine, Prepared
from actors.errors import LlamaError, QuantAssayError
from actors.items import Generate, Item, Measure, Message
from actors.llama import ggml
from actors.llama.layout import EngineLayout
from actors.machine_load import watch_machine
from conf.schema.answers import Sampling

WANTED_S = 1.5
"""Seconds that each of the measurements should take."""
_FIRST_TOKENS, _MOST_TOKENS = 4, 48
"""Length of the first answer and of the longest ones."""
_BATCH_GAIN = 8
"""Answers that take hardly longer side by side than one alone. More are only measured if they do not take too long."""
_CHUNK_TOKENS = 256
_MOST_CHUNKS = 8
_ROWS, _ROW_LENGTH = 64, 1024
"""Size of the weights that are quantized: few enough for the slowest types."""
_PROMPT = "Tell me {} things about the sea. "


@dataclass(frozen=True)
class Speed:
    """Tokens, or weights, per second of one worker."""

    prompt: float
    """Tokens of prompts that are read."""
    answer: float
    """Generated tokens of `sequences` answers together."""
    text: float
    """Tokens of a text whose likelihood is measured."""
    sequences: int
    """Answers side by side."""
    quantized: dict[str, float]
    """Weights that one thread quantizes, by tensor type."""


def answer_question(question: Mapping[str, Any]) -> str:
    """Return as JSON the `speed` of a model and how `busy` other programs kept the machine meanwhile, or an `error`.

    Args:
        question: `path`, `layout` (its identity) and `kinds`, as for `measure_speed`.
    """
    layout = small_layout(EngineLayout.of(question["layout"]))
    watched = watch_machine()
    try:
        speed = measure_speed(question["path"], layout, question["kinds"])
    except (QuantAssayError, MemoryError, ValueError, OSError) as error:
        return json.dumps({"error": f"{type(error).__name__}: {error}"})
    load = watched()
    busy = max(0.0, load.all_cpu_s - load.own_cpu_s) / (load.cpus * load.observed_s)
    return json.dumps({"error": None, "busy": busy, "speed": asdict(speed)})


def measure_speed(path: str, layout: EngineLayout, kinds: Sequence[str]) -> Speed:
    """Load a model, work with it for a few seconds, and return its speed. Raise `LlamaError` if it fails.

    Args:
        path: the GGUF.
        layout: how the plan decodes it.
        kinds: tensor types, in upper case, whose quantization is timed.
    """
    engine, clock = LlamaEngine(path, layout), _clock_of(layout)
    try:
        _answer(engine, clock, 1, 1)  # reads the weights
        alone = _answer(engine, clock, 1, _FIRST_TOKENS)
        sequences = max(1, min(layout.sequences, int(_BATCH_GAIN * WANTED_S / alone.wall_s)))
        short = _answer(engine, clock, sequences, 1)
        tokens = max(_FIRST_TOKENS, min(_MOST_TOKENS, int(_FIRST_TOKENS * WANTED_S / short.wall_s)))
        long = _answer(engine, clock, sequences, tokens)
        text = _text(engine, clock)
    finally:
        engine.close()
    # The prompts of both are the same, so what the longer answers take is the time of their tokens.
    more_s, more_tokens = max(long.seconds - short.seconds, 1e-9), max(long.answered - short.answered, 1)
    return Speed(
        short.read / short.seconds, more_tokens / more_s, text, sequences, {kind: _quantized(kind) for kind in kinds}
    )


@dataclass(frozen=True)
class _Work:
    """What some answers took."""

    read: int
    """Tokens of the prompts."""
    answered: int
    seconds: float
    wall_s: float


def _clock_of(layout: EngineLayout) -> Callable[[], float]:
    """Return a clock that other programs do not slow down: the processor time of this process, by thread.

    A model on a GPU works while the process waits, so there only the time on the wall counts.
    """
    return time.perf_counter if layout.gpu_layers else lambda: time.process_time() / layout.threads


def _answer(engine: LlamaEngine, clock: Callable[[], float], sequences: int, tokens: int) -> _Work:
    """Generate answers of this length side by side."""
    tasks = [Generate((Message("user", _PROMPT.format(number)),), False, (), tokens) for number in range(sequences)]
    items = [Item(f"i{number}", task, None, "") for number, task in enumerate(tasks)]
    engine.take_usage()
    wall, started = time.perf_counter(), clock()
    engine.generate(items, (0,), Sampling(max_tokens=tokens), _nobody_listens)
    seconds, wall_s = max(clock() - started, 1e-6), max(time.perf_counter() - wall, 1e-6)
    used = engine.take_usage()
    # A model may end its answers at once. The rates are then too low, but not 0.
    return _Work(max(used.prompt_tokens, 1), max(used.completion_tokens, 1), seconds, wall_s)


def _text(engine: LlamaEngine, clock: Callable[[], float]) -> float:
    """Return the rate at which a text is measured."""
    sentence = Generate((Message("user", _PROMPT),), False, (), 1)
    prepared = engine.generation_request(Item("t", sentence, None, ""), Sampling())
    if not isinstance(prepared, Prepared):
        raise LlamaError("the context of the model has no room for one sentence")
    repeated = [*prepared.request.tokens] * _CHUNK_TOKENS
    n_tokens = next(n for n in (_CHUNK_TOKENS, 128, 64, 32, 16) if n == 16 or not engine.too_long(n))
    chunk = Measure(tuple(repeated[:n_tokens]), n_tokens // 2)
    done, wall, started = 0, time.perf_counter(), clock()
    while done < _MOST_CHUNKS and (not done or time.perf_counter() - wall < WANTED_S):
        engine.measure([Item("t", chunk, None, "")], _nobody_listens)
        done += 1
    return done * n_tokens / max(clock() - started, 1e-6)


def _quantized(kind: str) -> float:
    """Return the weights per second that one thread quantizes to a type."""
    weights = np.random.default_rng(0).standard_normal((_ROWS, _ROW_LENGTH), np.float32)
    started = time.thread_time()
    ggml.quantize_rows(ggml.tensor_types()[kind], weights, np.ones(_ROW_LENGTH, np.float32))
    return weights.size / max(time.thread_time() - started, 1e-9)


def _nobody_listens(tokens: int) -> None:
    pass


def small_layout(layout: EngineLayout) -> EngineLayout:
    """Return a layout with room for what is measured here, and otherwise as given."""
    room = (layout.sequences + 2) * (len(_PROMPT) + _MOST_TOKENS) + _CHUNK_TOKENS
    return replace(
        layout, n_ctx=max(min(layout.n_ctx, room), _CHUNK_TOKENS * (1 if layout.kv_unified else layout.sequences + 2))
    )
