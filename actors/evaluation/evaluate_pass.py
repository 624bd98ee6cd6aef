"""Evaluate blocks of several arms on the same chunks of text, decoding their reference only once for all of them.

Each block's records are the same as if the block were decoded alone, so it does not matter which arms share a pass.
Blocks that are already done are left out, and a block that failed is tried again by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.engines import CONTEXT_TOO_LONG, Measured, Refused
from actors.engines.llama import LlamaEngine, task_of
from actors.engines.side_by_side import measure_side_by_side
from actors.evaluation.evaluate import NO_REFERENCE, BlockResult, make_record, timing_of
from actors.evaluation.scorers import scorer_of
from actors.items import Measure
from actors.machine_load import watch_machine
from actors.orders import BlockOrder, PassOrder, ReportTokens
from actors.records import Record

VOCABULARIES_DIFFER = "vocabularies_differ"


def evaluate_pass(
    order: PassOrder, reference: LlamaEngine, engines: Sequence[LlamaEngine], reports: Sequence[ReportTokens]
) -> list[BlockResult]:
    """Decode the blocks of a pass, which have the same items.

    Args:
        order: what to decode.
        reference: the model that the arms are compared with.
        engines: one per block. For a block of the reference itself it is `reference`.
        reports: one per block: called with the number of tokens decoded.

    Raises:
        LlamaError: a model failed. The blocks are then tried again.
    """
    load = watch_machine()
    reference.report_to(_ignore)
    for engine, report in zip(engines, reports, strict=True):
        engine.report_to(report)
    found = _measure(order, reference, engines)
    machine = load()
    usages = [engine.take_usage() for engine in engines]
    reference.take_usage()  # if the reference has no block here, its usage would count towards a later one
    decode_s = sum(usage.prompt_s for usage in usages)
    results = []
    for block, usage, results_of_block in zip(order.blocks, usages, found, strict=True):
        share = usage.prompt_s / decode_s if decode_s else 1 / len(usages)
        results.append(BlockResult(_records(block, results_of_block), timing_of(usage, machine, share)))
    return results


def _measure(
    order: PassOrder, reference: LlamaEngine, engines: Sequence[LlamaEngine]
) -> list[tuple[tuple[Measured | Refused, str | None], ...]]:
    """Return, per block, the results of the items that fit the context, each with why it has no comparison."""
    first = order.blocks[0]
    tasks = [task_of(item, Measure) for item in first.items if not item.too_long]
    others = [engine for engine in engines if engine is not reference]
    comparable = [engine for engine in others if engine.vocabulary_hash == reference.vocabulary_hash]
    threads = order.host_threads
    together = measure_side_by_side([reference, *comparable], tasks, threads)
    by_engine = {id(engine): [row[place] for row in together] for place, engine in enumerate([reference, *comparable])}
    reasons: dict[int, str] = {id(reference): NO_REFERENCE}
    for engine in others:
        if engine not in comparable:
            by_engine[id(engine)] = [found for (found,) in measure_side_by_side([engine], tasks, threads)]
            reasons[id(engine)] = VOCABULARIES_DIFFER
    return [tuple((found, reasons.get(id(engine))) for found in by_engine[id(engine)]) for engine in engines]


def _records(block: BlockOrder, found: Sequence[tuple[Measured | Refused, str | None]]) -> tuple[Record, ...]:
    score = scorer_of(block.scorer)
    measured = iter(found)
    refused = (Refused(CONTEXT_TOO_LONG), None)
    results = [refused if item.too_long else next(measured) for item in block.items]
    return tuple(
        make_record(score, item, seed, block.sampling, result, reason)
        for item, (result, reason) in zip(block.items, results, strict=True)
        for seed in block.seeds
    )


def _ignore(tokens: int) -> None:
    """Drop the report of a reference that is decoded only for other arms' blocks."""
