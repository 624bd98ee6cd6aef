"""Our Python's share of a decode step: the processor time of our thread between two calls of `llama_decode`.

64 sequences are decoded with a vocabulary of 151,936 tokens by a tiny model with random weights, because its size does
not matter here. The answers are help topics of Python (English and code) in the tokens of SmolLM2's vocabulary; each
sequence reads another part. A random model's own tokens would be no text. None of the stop strings occurs.

- sampled: top-k, top-p, min-p and temperature as by default; the highest logits are selected by llama.cpp
- greedy: temperature 0, else the same
- thoughts: each answer is half thoughts, with marks around them
- whole vocabulary: all logits reach the host, as without a device

llama.cpp selects on a CPU here. On a GPU the share is the same work; only its processor may be another.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import llama_cpp

from actors.engines.llama import LlamaEngine
from actors.llama.layout import EngineLayout
from actors.llama.model import Model
from actors.orders import Generate, Item, Message
from conf.schema import Sampling
from tests.bench.frame import Bench, Measure, Setting, Target
from tests.bench.models import model_file, text_file
from tests.tiny_model import TinyShape, write_tiny_model

SEQUENCES, ANSWER_TOKENS = 64, 128
SHAPE = TinyShape(n_embd=64, n_layers=1, n_ff=64, n_vocab=151_936)
STOPS = ("Question:", "\n\n\n\n\n", "</answer>")
MOST_MS = Target(most=2)


def run(setting: Setting) -> Sequence[Measure]:
    """Measure all cases."""
    path = setting.folder / "large-vocabulary.gguf"
    if not path.exists():
        setting.folder.mkdir(parents=True, exist_ok=True)
        write_tiny_model(path, shape=SHAPE)
    answers = _answers(setting)
    thinking = [_with_thoughts(answer) for answer in answers]
    sampled, greedy = Sampling(max_tokens=ANSWER_TOKENS), Sampling(max_tokens=ANSWER_TOKENS, temperature=0.0)
    measures = []
    layout = EngineLayout(
        threads=setting.threads,
        sequences=SEQUENCES,
        n_batch=2048,
        n_ubatch=512,
        n_ctx=SEQUENCES * (ANSWER_TOKENS + 32),
        kv_unified=True,
        flash_attention=False,
        gpu_layers=-1,
    )
    with contextlib.closing(LlamaEngine(str(path), layout)) as engine:
        for name, said, sampling in (
            ("sampled", answers, sampled),
            ("greedy", answers, greedy),
            ("sampled, thoughts", thinking, sampled),
        ):
            measures.append(_measure(name, [_step_ms(engine, said, sampling) for _ in range(setting.repeats)], MOST_MS))
    with contextlib.closing(LlamaEngine(str(path), replace(layout, gpu_layers=0))) as engine:
        whole = [_step_ms(engine, answers, sampled) for _ in range(setting.repeats)]
    return [*measures, _measure("sampled, whole vocabulary", whole, None)]


def _measure(name: str, times_ms: list[float], target: Target | None) -> Measure:
    case = f"our share of a step, {SEQUENCES} sequences, {SHAPE.n_vocab:,} tokens"
    return Measure("own-share", case, name, "ms", False, tuple(times_ms), (), target)


def _step_ms(engine: LlamaEngine, answers: Sequence[Sequence[bytes]], sampling: Sampling) -> float:
    """Return the mean share of a step while the engine says these answers."""
    tasks = [Generate((Message("user", str(number)),), False, STOPS, ANSWER_TOKENS) for number in range(SEQUENCES)]
    items = [Item(str(number), task, None, "") for number, task in enumerate(tasks)]
    own = engine.vocabulary
    engine.vocabulary = replace(own, piece=_said_by_turns(own.piece, answers), is_end=lambda token: False)
    try:
        with _time_between_calls() as gaps_s:
            engine.generate(items, [0], sampling, _ignore)
    finally:
        engine.vocabulary = own
    return 1e3 * statistics.fmean(gaps_s)


def _said_by_turns(piece: Callable[[int], bytes], answers: Sequence[Sequence[bytes]]) -> Callable[[int], bytes]:
    """Return a function that looks a token up, as always, and then returns the next piece of the next answer."""
    pieces: Iterator[bytes] = itertools.chain.from_iterable(zip(*answers, strict=True))

    def said(token: int) -> bytes:
        piece(token)
        return next(pieces)

    return said


def _answers(setting: Setting) -> list[list[bytes]]:
    """Return the pieces of one answer for each sequence."""
    with Model(model_file("smollm2", setting.folder), vocab_only=True) as vocabulary:
        text = text_file(setting.folder).read_text(encoding="utf-8")[: SEQUENCES * ANSWER_TOKENS * 8]
        tokens = vocabulary.tokenize(text, add_special=False, parse_special=False)
        pieces = [vocabulary.piece(token) for token in tokens[: SEQUENCES * ANSWER_TOKENS]]
    return [pieces[start : start + ANSWER_TOKENS] for start in range(0, len(pieces), ANSWER_TOKENS)]


def _with_thoughts(answer: Sequence[bytes]) -> list[bytes]:
    half = ANSWER_TOKENS // 2
    return [b"<think>", *answer[1:half], b"</think>", *answer[half + 1 :]]


@contextlib.contextmanager
def _time_between_calls() -> Iterator[list[float]]:
    """Collect the processor time, in seconds, from the result of each `llama_decode` to the next call."""
    gaps_s: list[float] = []
    returned_s: float | None = None
    original = llama_cpp.llama_decode

    def timed(handle: Any, batch: Any) -> int:
        nonlocal returned_s
        if returned_s is not None:
            gaps_s.append(time.thread_time() - returned_s)
        status = original(handle, batch)
        llama_cpp.llama_synchronize(handle)
        returned_s = time.thread_time()
        return int(status)

    llama_cpp.llama_decode = timed
    try:
        yield gaps_s
    finally:
        llama_cpp.llama_decode = original


def _ignore(tokens: int) -> None:
    """Ignore the progress."""


BENCH = Bench("our Python's share of a decode step, in processor time", run)
