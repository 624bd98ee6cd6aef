"""Blocks of several arms on the same chunks of text, beside their reference: one pass of the reference serves them all.

Each block's records are what the block would give alone, so it does not matter which arms share a pass: what is there
already is left out, and what failed is tried again by itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from actors.engines import CONTEXT_TOO_LONG, Measured, Refused
from actors.engines.llama import LlamaEngine, task_of
from actors.engines.side_by_side import measure_side_by_side
from actors.evaluation.evaluate import NO_REFERENCE, BlockResult, make_record, timing_of
from actors.evaluation.scorers import scorer_of
from actors.orders import BlockOrder, Measure, PassOrder, Record, ReportTokens

VOCABULARIES_DIFFER = "vocabularies_differ"


def evaluate_pass(
    order: PassOrder, reference: LlamaEngine, engines: Sequence[LlamaEngine], reports: Sequence[ReportTokens]
) -> list[BlockResult]:
    """Decode the blocks of a pass, which have the same items.

    Args:
        order: what to decode.
        reference: what the arms are compared with.
        engines: of each block; the reference's own is `reference` itself.
        reports: who is told of the tokens of each block.

    Raises:
        LlamaError: a model fails: the blocks are then tried again.
    """
    started = time.perf_counter()
    reference.listen(_nobody)
    for engine, report in zip(engines, reports, strict=True):
        engine.listen(report)
    found = _measure(order, reference, engines)
    wall_s = time.perf_counter() - started
    usages = [engine.take_usage() for engine in engines]
    reference.take_usage()  # where it has no block here, nobody asks for it
    decode_s = sum(usage.prompt_s for usage in usages)
    results = []
    for block, usage, results_of_block in zip(order.blocks, usages, found, strict=True):
        share = usage.prompt_s / decode_s if decode_s else 1 / len(usages)
        results.append(BlockResult(_records(block, results_of_block), timing_of(usage, wall_s * share)))
    return results


def _measure(
    order: PassOrder, reference: LlamaEngine, engines: Sequence[LlamaEngine]
) -> list[tuple[tuple[Measured | Refused, str | None], ...]]:
    """By block, the results of its items that are not refused beforehand, and why they are not compared."""
    first = order.blocks[0]
    tasks = [task_of(item, Measure) for item in first.items if not item.too_long]
    others = [engine for engine in engines if engine is not reference]
    alike = [engine for engine in others if engine.vocabulary_hash == reference.vocabulary_hash]
    threads = first.layout.threads
    together = measure_side_by_side([reference, *alike], tasks, threads)
    by_engine = {id(engine): [row[place] for row in together] for place, engine in enumerate([reference, *alike])}
    reasons: dict[int, str] = {id(reference): NO_REFERENCE}
    for engine in others:
        if engine not in alike:
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


def _nobody(tokens: int) -> None:
    """A reference that is decoded for others has no block of its own to report on."""
