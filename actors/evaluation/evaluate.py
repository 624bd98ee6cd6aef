"""Evaluate one block: decode its items with an engine, score the results, and write the records to a file.

Only `write_block` has side effects. The orchestrator decides what is in a block, the engine how it is decoded.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from actors.engines import CONTEXT_TOO_LONG, Answer, Choices, ClassSums, Divergence, Engine, Measured, Refused, Usage
from actors.engines.turns import with_temperature
from actors.evaluation.contract import ScoreFunction
from actors.evaluation.custom_function import evaluate_function
from actors.evaluation.scorers import scorer_of
from actors.hashing import content_hash
from actors.items import Call, Choose, Generate, Item
from actors.json_lines import write_jsonl
from actors.machine_load import MachineLoad, watch_machine
from actors.orders import BlockOrder, ReportTokens
from actors.records import Record, Timing
from actors.stored_files import timings_path
from conf.schema.answers import Sampling
from reporting.judging_reasons import CUT_WHILE_THINKING

NO_REFERENCE = "no_reference"


@dataclass(frozen=True)
class BlockResult:
    """The records of a block and how long they took."""

    records: tuple[Record, ...]
    """In the block's order of items, and by seed within an item."""
    timing: Timing


@dataclass(frozen=True)
class BlockSummary:
    """What the worker reports to the orchestrator about a block that it has written."""

    records_path: str
    outcomes: Mapping[str, int]
    """Number of records per outcome."""
    prompt_tokens: int
    completion_tokens: int
    wall_s: float
    worker_pid: int


def evaluate_block(order: BlockOrder, engine: Engine, report: ReportTokens) -> BlockResult:
    """Decode and score a block. Raise `LlamaError` if the engine fails; the whole block is then tried again."""
    load = watch_machine()
    score = scorer_of(order.scorer)
    results = _decode(order, engine, report)
    questions = itertools.product(order.items, order.seeds)
    records = tuple(
        make_record(score, item, seed, order.sampling, result, NO_REFERENCE)
        for (item, seed), result in zip(questions, results, strict=True)
    )
    return BlockResult(records, timing_of(engine.take_usage(), load()))


def calls_function(order: BlockOrder) -> bool:
    """Return whether a block calls a custom function, which needs no engine."""
    return isinstance(order.items[0].task, Call)


def evaluate_call(order: BlockOrder) -> BlockResult:
    """Call the function of a block. Raise `FunctionFailed` if it fails."""
    load = watch_machine()
    records = evaluate_function(order)
    return BlockResult(records, timing_of(Usage(), load()))


def timing_of(usage: Usage, machine: MachineLoad, share: float = 1.0) -> Timing:
    """Return the timing of a block that took this share of the time in which the machine was watched."""
    return Timing(
        load_s=usage.load_s,
        prompt_tokens=usage.prompt_tokens,
        prompt_s=usage.prompt_s,
        completion_tokens=usage.completion_tokens,
        decode_s=usage.decode_s,
        wall_s=machine.observed_s * share,
        worker_pid=os.getpid(),
        memory=usage.memory,
        machine=machine,
    )


def write_block(order: BlockOrder, result: BlockResult) -> None:
    """Write the timings, then the records. The records file comes last, because it marks the block as done."""
    write_jsonl(timings_path(order.records_path), [result.timing])
    write_jsonl(order.records_path, result.records)


def summarize(order: BlockOrder, result: BlockResult) -> BlockSummary:
    """Count what a block gave."""
    return BlockSummary(
        records_path=order.records_path,
        outcomes=dict(Counter(record.outcome for record in result.records)),
        prompt_tokens=result.timing.prompt_tokens,
        completion_tokens=result.timing.completion_tokens,
        wall_s=result.timing.wall_s,
        worker_pid=result.timing.worker_pid,
    )


def _decode(order: BlockOrder, engine: Engine, report: ReportTokens) -> Sequence[Answer | Choices | Measured | Refused]:
    """Return the results in the order of the records. Decode once what does not depend on the seed, and reuse it."""
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
    """Return the record of one result. `not_compared` says why a text has no comparison with a reference."""
    record = Record(
        item.item_id,
        seed,
        record_prompt_hash(item, sampling),
        rendered_hash=None,
        outcome="unscored",
        shots_dropped=item.shots_dropped,
    )
    if isinstance(result, Refused):
        return replace(record, rendered_hash=result.rendered_hash, reason=result.reason)
    scored = score(item, result)
    if isinstance(result, Answer) and result.cut_while_thinking:
        scored = replace(scored, reason=CUT_WHILE_THINKING)  # also where a judge scores it later
    record = replace(record, outcome=scored.outcome, score=scored.score, reason=scored.reason, answer=scored.answer)
    record = replace(record, prompt_tokens=result.prompt_tokens)
    if isinstance(result, Measured):
        return _measured(record, result, not_compared)
    record = replace(record, rendered_hash=result.rendered_hash, completion_tokens=result.completion_tokens)
    if isinstance(result, Choices):
        record = replace(record, choice_logliks=result.logliks)
        if scored.outcome == "measured":  # the only choice is a text that is measured, such as a gold solution
            return replace(record, nll_sum=-result.logliks[0], n_tokens=result.completion_tokens)
        return record
    return replace(
        record,
        text=result.text,
        finish_reason=result.finish_reason,
        thoughts=result.thoughts,
        thought_tokens=result.thought_tokens,
        earlier_texts=result.earlier_texts or None,
        earlier_finish_reasons=result.earlier_finish_reasons or None,
        earlier_cuts=result.earlier_cuts if any(result.earlier_cuts) else None,
    )


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
    """Hash the prompt before any chat template and, if answers are sampled, the sampling settings.

    Records of two arms are compared if this hash is the same.
    """
    if not isinstance(item.task, Generate):
        return item.prompt_hash
    settings = sampling.model_dump() | {
        "temperature": with_temperature(sampling, item.task).temperature,
        "max_tokens": min(sampling.max_tokens, item.task.max_tokens),
        "stop": item.task.stop,
    }
    return content_hash({"prompt": item.prompt_hash, "sampling": settings})
