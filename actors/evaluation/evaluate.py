"""One block: its questions through an engine, its answers through the benchmark's scorer, its records to a file.

Pure but for `write_block`. The orchestrator decides what a block is; the engine how it is decoded.
"""

from __future__ import annotations

import itertools
import os
import resource
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from actors.engines import CONTEXT_TOO_LONG, Answer, Choices, ClassSums, Divergence, Engine, Measured, Refused, Usage
from actors.evaluation.contract import ScoreFunction
from actors.evaluation.custom_function import evaluate_function
from actors.evaluation.scorers import scorer_of
from actors.orders import BlockOrder, Call, Choose, Generate, Item, Record, ReportTokens, Timing
from actors.store import content_hash, timings_path, write_jsonl
from conf.schema import Sampling

NO_REFERENCE = "no_reference"


@dataclass(frozen=True)
class BlockResult:
    """All that a block gave."""

    records: tuple[Record, ...]
    """Items in the order of the block, seeds within an item."""
    timing: Timing


@dataclass(frozen=True)
class BlockSummary:
    """What the orchestrator is told of a block that is written."""

    records_path: str
    outcomes: Mapping[str, int]
    """Records by outcome."""
    prompt_tokens: int
    completion_tokens: int
    wall_s: float
    worker_pid: int


def evaluate_block(order: BlockOrder, engine: Engine, report: ReportTokens) -> BlockResult:
    """Decode and score a block. Raises `LlamaError` where the engine fails: the block is then tried again whole."""
    started = time.perf_counter()
    score = scorer_of(order.scorer)
    results = _decode(order, engine, report)
    questions = itertools.product(order.items, order.seeds)
    records = tuple(
        make_record(score, item, seed, order.sampling, result, NO_REFERENCE)
        for (item, seed), result in zip(questions, results, strict=True)
    )
    return BlockResult(records, timing_of(engine.take_usage(), time.perf_counter() - started))


def calls_function(order: BlockOrder) -> bool:
    """Whether a block is a function of the user's, which needs no engine."""
    return isinstance(order.items[0].task, Call)


def evaluate_call(order: BlockOrder) -> BlockResult:
    """Call the function of a block. Raises `FunctionFailed`."""
    started = time.perf_counter()
    records = evaluate_function(order)
    return BlockResult(records, timing_of(Usage(), time.perf_counter() - started, resource.RUSAGE_CHILDREN))


def timing_of(usage: Usage, wall_s: float, whose: int = resource.RUSAGE_SELF) -> Timing:
    """What a block's work took."""
    return Timing(
        load_s=usage.load_s,
        prompt_tokens=usage.prompt_tokens,
        prompt_s=usage.prompt_s,
        completion_tokens=usage.completion_tokens,
        decode_s=usage.decode_s,
        wall_s=wall_s,
        # Linux counts in KiB.
        peak_rss_bytes=resource.getrusage(whose).ru_maxrss * 1024,
        worker_pid=os.getpid(),
    )


def write_block(order: BlockOrder, result: BlockResult) -> None:
    """Timings first, records last: the records file being there says that the block is done."""
    write_jsonl(timings_path(order.records_path), [result.timing])
    write_jsonl(order.records_path, result.records)


def summarize(order: BlockOrder, result: BlockResult) -> BlockSummary:
    """The counts of a block."""
    return BlockSummary(
        records_path=order.records_path,
        outcomes=dict(Counter(record.outcome for record in result.records)),
        prompt_tokens=result.timing.prompt_tokens,
        completion_tokens=result.timing.completion_tokens,
        wall_s=result.timing.wall_s,
        worker_pid=result.timing.worker_pid,
    )


def _decode(order: BlockOrder, engine: Engine, report: ReportTokens) -> Sequence[Answer | Choices | Measured | Refused]:
    """Results in the order of the records. What does not depend on the seed is decoded once and serves all."""
    asked = [item for item in order.items if not item.too_long]
    found = iter(_ask(replace(order, items=tuple(asked)), engine, report) if asked else ())
    refused = Refused(CONTEXT_TOO_LONG)
    return [refused if item.too_long else next(found) for item in order.items for _ in order.seeds]


def _ask(order: BlockOrder, engine: Engine, report: ReportTokens) -> Sequence[Answer | Choices | Measured | Refused]:
    task = order.items[0].task
    if isinstance(task, Generate):
        return engine.generate(order.items, order.seeds, order.sampling, report)
    once: Sequence[Answer | Choices | Measured | Refused] = (
        engine.choose(order.items, report) if isinstance(task, Choose) else engine.measure(order.items, report)
    )
    return [result for result in once for _ in order.seeds]


def make_record(
    score: ScoreFunction,
    item: Item,
    seed: int,
    sampling: Sampling,
    result: Answer | Choices | Measured | Refused,
    not_compared: str | None,
) -> Record:
    """The record of one result. `not_compared`: why a text is not compared with a reference, where it is not."""
    record = Record(
        item.item_id,
        seed,
        record_prompt_hash(item, sampling),
        None,
        "unscored",
        shots_dropped=item.shots_dropped,
    )
    if isinstance(result, Refused):
        return replace(record, rendered_hash=result.rendered_hash, reason=result.reason)
    verdict = score(item, result)
    record = replace(record, outcome=verdict.outcome, score=verdict.score, reason=verdict.reason, answer=verdict.answer)
    record = replace(record, prompt_tokens=result.prompt_tokens)
    if isinstance(result, Measured):
        return _measured(record, result, not_compared)
    record = replace(record, rendered_hash=result.rendered_hash, completion_tokens=result.completion_tokens)
    if isinstance(result, Choices):
        return replace(record, choice_logliks=result.logliks)
    return replace(record, text=result.text, finish_reason=result.finish_reason)


def _measured(record: Record, result: Measured, not_compared: str | None) -> Record:
    classes = None
    if result.by_class is not None:
        classes = {label: _class_sums(sums) for label, sums in result.by_class.items()}
    return replace(
        record,
        nll_sum=result.nll_sum,
        n_tokens=result.n_tokens,
        divergence_reason=None if result.divergence else not_compared,
        token_classes=classes,
        **_flat(result.divergence),
    )


def _class_sums(sums: ClassSums) -> dict[str, float | None]:
    return {"n_tokens": sums.n_tokens, "nll_sum": sums.nll_sum, **_flat(sums.divergence)}


def _flat(divergence: Divergence | None) -> dict[str, Any]:
    if divergence is None:
        return {field.name: None for field in fields(Divergence)}
    return asdict(divergence)


def record_prompt_hash(item: Item, sampling: Sampling) -> str:
    """What a record pairs on: the prompt before any chat template and, where answers are drawn, how they are drawn."""
    if not isinstance(item.task, Generate):
        return item.prompt_hash
    settings = sampling.model_dump() | {
        "max_tokens": min(sampling.max_tokens, item.task.max_tokens),
        "stop": item.task.stop,
    }
    return content_hash({"prompt": item.prompt_hash, "sampling": settings})
