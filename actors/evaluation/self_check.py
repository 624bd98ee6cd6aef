"""The check before an arm's first block: does the batched engine say what one sequence alone would say?

A few of the arm's items are decoded both ways, by `engines.llama` and by `llama.plain`. Batches of another shape give
other last bits, so numbers may differ a little and a greedy answer may turn where the two best tokens are all but
equal; more than that means that a fork, a mask or a batch went wrong, and nothing the arm says could be trusted.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from actors.engines import Answer, Choices, Measured, Refused
from actors.engines.generation import Ask, Vocabulary
from actors.engines.llama import LlamaEngine
from actors.engines.stops import StopWatch
from actors.errors import LlamaError
from actors.llama.gguf_file import read_header
from actors.llama.plain import PlainModel
from actors.orders import CheckOrder, CheckPart, Choose, Generate, Item, Measure, ReportTokens
from actors.store import write_json
from conf.schema import Sampling

CPU_TOLERANCE, GPU_TOLERANCE = 1e-3, 2e-2
"""Nats a token on average, of chunks: both ways decode them with the same kernels (measured on a CPU: 1e-8)."""
FEW_TOKENS_TOLERANCE, QUANTIZED_TOLERANCE = 2e-2, 0.25
"""The same where one way decodes few tokens a call and the other many: choices after a shared context. Kernels for few
tokens round in other places, and with quantized weights activations are rounded to whole numbers, which then fall the
other way. Measured with SmolLM2-135M on a CPU, 96 choices of some tokens: with f16 weights 0.0015 nats a token, the
largest 0.007; with q8_0 0.03 and 0.12; with q4_k_m 0.05 and 0.21. A question without its context is whole nats off.
Of answers, the lead of the best token under which another one may be taken."""
ANSWER_TOKENS = 12
CHUNK_TOKENS = 64
"""Of a chunk, half of them scored: one token at a time is slow."""
SEEDS = (0, 1)
"""Two, so that a prompt is forked; greedy answers of both must be the same."""
Prefixes = Literal["shared", "not_shared"]
_GREEDY = Sampling(temperature=0.0, max_tokens=ANSWER_TOKENS)


@dataclass(frozen=True)
class _Scored:
    """A likelihood as the batched engine has it."""

    tokens: Sequence[int]
    first_scored: int
    loglik: float


@dataclass(frozen=True)
class _Answered:
    """A greedy answer as the batched engine has it, once a seed."""

    item_id: str
    ask: Ask
    texts: tuple[str, ...]


@dataclass(frozen=True)
class PartReport:
    """What was found with the items of one benchmark."""

    benchmark: str
    prefixes: Prefixes
    """Whether sequences go on from a common beginning, or each decodes its own."""
    n_answers: int
    """Greedy answers found equal."""
    n_tokens: int
    """Tokens whose likelihoods were compared."""
    nats_a_token: float | None
    """By how much those differ on average; None where none were compared."""
    tolerance_nats: float


def run_check(order: CheckOrder, report: ReportTokens) -> tuple[PartReport, ...]:
    """Compare, and write what was found as the done-mark. Raises `LlamaError`, also where the two ways disagree."""
    started = time.perf_counter()
    few_tokens = QUANTIZED_TOLERANCE if read_header(order.gguf_path).dequantized_from else FEW_TOKENS_TOLERANCE
    parts = tuple(_check(order, part, few_tokens, report) for part in order.parts)
    seconds = time.perf_counter() - started
    write_json(order.output_path, {"arm": order.arm, "parts": [asdict(part) for part in parts], "seconds": seconds})
    return parts


def _check(order: CheckOrder, part: CheckPart, few_tokens: float, report: ReportTokens) -> PartReport:
    allowed = _tolerance(part, few_tokens)
    # Open until the end: what the answers' tokens are in text is asked of it again where the two ways part.
    with contextlib.closing(LlamaEngine(order.gguf_path, part.layout, order.chat_template)) as engine:
        answered, scored = _answered(engine, part.items, report), _scored(engine, part.items, report)
        lengths = [len(one.ask.tokens) + one.ask.max_tokens for one in answered] + [len(one.tokens) for one in scored]
        plain = PlainModel(
            order.gguf_path,
            n_ctx=max(lengths, default=1),
            threads=part.layout.threads,
            gpu_layers=part.layout.gpu_layers,
            flash_attention=part.layout.flash_attention,
        )
        with contextlib.closing(plain):
            mismatches = (_mismatch(one, engine.vocabulary, plain, few_tokens) for one in answered)
            mismatch = next((found for found in mismatches if found), None)
            nats = sum(abs(one.loglik - plain.loglik(one.tokens, one.first_scored)) for one in scored)
    n_tokens = sum(len(one.tokens) - one.first_scored for one in scored)
    nats_a_token = nats / n_tokens if n_tokens else None
    if nats_a_token is not None and not nats_a_token <= allowed:  # NaN is none, either
        mismatch = f"log-likelihoods differ by {nats_a_token:.2g} nats a token, {allowed:g} are allowed"
    if mismatch:
        raise LlamaError(
            f"self-check of {order.arm} on {part.benchmark}: the batched engine and one sequence alone disagree "
            f"({mismatch}). What this arm says on this machine cannot be trusted; execution.self_check: false goes on"
        )
    prefixes: Prefixes = "shared" if part.layout.share_prefixes else "not_shared"
    return PartReport(part.benchmark, prefixes, len(answered), n_tokens, nats_a_token, allowed)


def _tolerance(part: CheckPart, few_tokens: float) -> float:
    if not isinstance(part.items[0].task, Measure):
        return few_tokens
    return GPU_TOLERANCE if part.layout.gpu_layers else CPU_TOLERANCE


def _answered(engine: LlamaEngine, items: Sequence[Item], report: ReportTokens) -> list[_Answered]:
    """Greedy answers to the questions that are generated for; one that the model cannot be asked is passed over."""
    wanted = [item for item in items if isinstance(item.task, Generate)]
    if not wanted:
        return []
    results = iter(engine.generate(wanted, SEEDS, _GREEDY, report))
    found = []
    for item in wanted:
        ask, texts = engine.ask(item, _GREEDY), [next(results) for _ in SEEDS]
        if not isinstance(ask, Refused):
            texts_only = tuple(answer.text for answer in texts if isinstance(answer, Answer))
            found.append(_Answered(item.item_id, ask.content, texts_only))
    return found


def _scored(engine: LlamaEngine, items: Sequence[Item], report: ReportTokens) -> list[_Scored]:
    """Likelihoods of each question's last choice, and of the first tokens of chunks."""
    found = []
    asked = [item for item in items if isinstance(item.task, Choose)]
    for item, choices in zip(asked, engine.choose(asked, report), strict=True):
        fork = engine.fork(item)
        if isinstance(choices, Choices) and not isinstance(fork, Refused):
            found.append(_Scored(fork.content.choices[-1], fork.content.scored_from, choices.logliks[-1]))
    chunks = [replace(item, task=_cut(item.task)) for item in items if isinstance(item.task, Measure)]
    for item, measured in zip(chunks, engine.measure(chunks, report), strict=True):
        if isinstance(measured, Measured) and isinstance(item.task, Measure):
            found.append(_Scored(item.task.tokens, item.task.first_scored, -measured.nll_sum))
    return found


def _cut(chunk: Measure) -> Measure:
    tokens = chunk.tokens[:CHUNK_TOKENS]
    return Measure(tokens, len(tokens) // 2 + 1)


def _mismatch(answered: _Answered, vocabulary: Vocabulary, plain: PlainModel, few_tokens: float) -> str | None:
    """Both answers, where they differ before the first position at which two tokens are as good as equal."""
    watch = StopWatch(answered.ask.stop)
    expected, ends = "", True
    for step in plain.greedy(answered.ask.tokens, answered.ask.max_tokens):
        expected = watch.text
        if step.lead < few_tokens:
            ends = False
            break
        if vocabulary.is_end(step.token) or watch.add(vocabulary.piece(step.token)):
            break
    expected = watch.text if ends else expected.rstrip("\ufffd")  # a character that goes on behind the tie
    for text in answered.texts:
        if text != expected and (ends or not text.startswith(expected)):
            return f"{answered.item_id}: {text!r} and {expected!r}"
    return None
