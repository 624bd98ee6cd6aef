"""The self-check before an arm's first block: does batched decoding give the same output as one sequence alone?

A few of the arm's items are decoded both ways, by `engines.llama` and by `llama.plain`. The shape of a batch changes
the last bits of the results. Numbers may therefore differ a little, and a greedy answer may change at a position where
the two best tokens are nearly equal. A larger difference means that a fork, a mask or a batch is wrong, and that no
output of the arm can be trusted.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from actors.engines import Answer, Choices, Measured, Refused
from actors.engines.generation import GenerationRequest, Vocabulary
from actors.engines.llama import LlamaEngine
from actors.errors import LlamaError
from actors.items import Choose, Generate, Item, Measure
from actors.llama.gguf_file import read_header
from actors.llama.loaded import LoadedModels
from actors.llama.plain import PlainContext
from actors.orders import CheckOrder, CheckPart, ReportTokens
from conf.files import write_json
from conf.schema.answers import Sampling

CPU_TOLERANCE, GPU_TOLERANCE = 1e-3, 2e-2
"""Allowed mean difference for chunks, in nats per token. Both ways decode chunks with the same kernels (measured on a
CPU: 1e-8)."""
FEW_TOKENS_TOLERANCE, QUANTIZED_TOLERANCE = 2e-2, 0.25
"""Allowed mean difference for choices after a shared context, in nats per token: for unquantized and for quantized
weights. One way decodes few tokens per call and the other many. Kernels for few tokens round at other places. With
quantized weights, activations are also rounded to whole numbers, and such a rounding can go the other way. Measured
with SmolLM2-135M on a CPU over 96 choices of a few tokens each (mean and largest, nats per token): 0.0015 and 0.007
with f16 weights, 0.03 and 0.12 with q8_0, 0.05 and 0.21 with q4_k_m. A question without its context is off by several
nats.

For answers, the same values say how small the lead of the best token must be for another token to be acceptable."""
ANSWER_TOKENS = 12
CHUNK_TOKENS = 64
"""Tokens to take from a chunk. Half of them are scored, because decoding one token at a time is slow."""
SEEDS = (0, 1)
"""Two seeds, so that each prompt is forked. The greedy answers of both must be the same."""
Prefixes = Literal["shared", "not_shared"]
_GREEDY = Sampling(temperature=0.0, max_tokens=ANSWER_TOKENS)


@dataclass(frozen=True)
class _Scored:
    """A log-likelihood from the batched engine."""

    tokens: Sequence[int]
    first_scored: int
    loglik: float


@dataclass(frozen=True)
class _Answered:
    """A greedy answer from the batched engine, one text per seed."""

    item_id: str
    request: GenerationRequest
    texts: tuple[str, ...]


@dataclass(frozen=True)
class PartReport:
    """The outcome of the check on the items of one benchmark."""

    benchmark: str
    prefixes: Prefixes
    """Whether sequences continue from a shared prefix, or each decodes its own."""
    n_answers: int
    """Number of greedy answers that were equal."""
    n_tokens: int
    """Number of tokens whose likelihoods were compared."""
    nats_a_token: float | None
    """Mean difference of those, in nats per token. None: none were compared."""
    tolerance_nats: float


def run_check(order: CheckOrder, report: ReportTokens, models: LoadedModels) -> tuple[PartReport, ...]:
    """Compare both ways and write the result, which marks the check as done. `models` holds the arm afterwards.

    Raises `LlamaError` if a model fails or if the two ways disagree.
    """
    started = time.perf_counter()
    few_tokens = QUANTIZED_TOLERANCE if read_header(order.gguf_path).dequantized_from else FEW_TOKENS_TOLERANCE
    parts = tuple(_check(order, part, few_tokens, report, models) for part in order.parts)
    seconds = time.perf_counter() - started
    write_json(order.output_path, {"arm": order.arm, "parts": [asdict(part) for part in parts], "seconds": seconds})
    return parts


def _check(
    order: CheckOrder, part: CheckPart, few_tokens: float, report: ReportTokens, models: LoadedModels
) -> PartReport:
    allowed, layout = _tolerance(part, few_tokens), part.layout
    (model,) = models.open([(order.gguf_path, layout)])
    # One context after the other: a device may have room for the weights and one of them only.
    with contextlib.closing(LlamaEngine(order.gguf_path, layout, order.chat_template, raw=True, model=model)) as engine:
        answered, scored = _answered(engine, part.items, report), _scored(engine, part.items, report)
    lengths = [len(a.request.tokens) + a.request.max_tokens for a in answered] + [len(one.tokens) for one in scored]
    plain = PlainContext(
        model,
        n_ctx=max(lengths, default=1),
        threads=layout.threads,
        offload=layout.gpu_layers != 0,
        flash_attention=layout.flash_attention,
    )
    with contextlib.closing(plain):
        mismatches = (_mismatch(one, engine.vocabulary, plain, few_tokens) for one in answered)
        mismatch = next((found for found in mismatches if found), None)
        nats = sum(abs(one.loglik - plain.loglik(one.tokens, one.first_scored)) for one in scored)
    n_tokens = sum(len(one.tokens) - one.first_scored for one in scored)
    nats_a_token = nats / n_tokens if n_tokens else None
    if nats_a_token is not None and not nats_a_token <= allowed:  # written so that NaN fails too
        mismatch = f"log-likelihoods differ by {nats_a_token:.2g} nats per token; allowed: {allowed:g}"
    if mismatch:
        raise LlamaError(
            f"self-check of {order.arm} on {part.benchmark}: the batched engine and one sequence alone disagree "
            f"({mismatch}). Do not trust this arm on this machine. execution.self_check: false skips the check"
        )
    prefixes: Prefixes = "shared" if part.layout.share_prefixes else "not_shared"
    return PartReport(part.benchmark, prefixes, len(answered), n_tokens, nats_a_token, allowed)


def _tolerance(part: CheckPart, few_tokens: float) -> float:
    if not isinstance(part.items[0].task, Measure):
        return few_tokens
    return GPU_TOLERANCE if part.layout.gpu_layers else CPU_TOLERANCE


def _answered(engine: LlamaEngine, items: Sequence[Item], report: ReportTokens) -> list[_Answered]:
    """Return the greedy first answers of all items that generate text. Skip items that the engine refuses."""
    wanted = [
        replace(item, task=replace(item.task, then=(), temperature=None))
        for item in items
        if isinstance(item.task, Generate)
    ]
    if not wanted:
        return []
    results = iter(engine.generate(wanted, SEEDS, _GREEDY, report))
    found = []
    for item in wanted:
        request, texts = engine.generation_request(item, _GREEDY), [next(results) for _ in SEEDS]
        if not isinstance(request, Refused):
            texts_only = tuple(answer.text for answer in texts if isinstance(answer, Answer))
            found.append(_Answered(item.item_id, request.request, texts_only))
    return found


def _scored(engine: LlamaEngine, items: Sequence[Item], report: ReportTokens) -> list[_Scored]:
    """Return the log-likelihood of each question's last choice, and of the first tokens of each chunk."""
    found = []
    asked = [item for item in items if isinstance(item.task, Choose)]
    for item, choices in zip(asked, engine.choose(asked, report), strict=True):
        request = engine.choice_request(item)
        if isinstance(choices, Choices) and not isinstance(request, Refused):
            found.append(_Scored(request.request.choices[-1], request.request.scored_from, choices.logliks[-1]))
    chunks = [replace(item, task=_cut(item.task)) for item in items if isinstance(item.task, Measure)]
    for item, measured in zip(chunks, engine.measure(chunks, report), strict=True):
        if isinstance(measured, Measured) and isinstance(item.task, Measure):
            found.append(_Scored(item.task.tokens, item.task.first_scored, -measured.nll_sum))
    return found


def _cut(chunk: Measure) -> Measure:
    tokens = chunk.tokens[:CHUNK_TOKENS]
    return Measure(tokens, len(tokens) // 2 + 1)


def _mismatch(answered: _Answered, vocabulary: Vocabulary, plain: PlainContext, few_tokens: float) -> str | None:
    """Return a description of both answers if they differ before the first position with two nearly equal tokens."""
    watch = answered.request.reader()
    expected, ends = "", True
    for step in plain.greedy(answered.request.tokens, answered.request.max_tokens):
        expected = watch.said().answer
        if step.lead < few_tokens:
            ends = False
            break
        if vocabulary.is_end(step.token) or watch.add(vocabulary.piece(step.token)):
            break
    # After a tie, drop a character that is complete only behind it.
    expected = watch.said().answer if ends else expected.rstrip("\ufffd")
    for text in answered.texts:
        if text != expected and (ends or not text.startswith(expected)):
            return f"{answered.item_id}: {text!r} and {expected!r}"
    return None
