"""The blocks of an arm's benchmark: their items, seeds, keys and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from actors.orchestrator.plan import PlannedArm, PlannedBlock, RecordsDirectory, seeds_of
from actors.orchestrator.planning.layouts import layout_of
from actors.orchestrator.planning.passes import Beside
from actors.orchestrator.sources.inputs import Inputs, PlannedBenchmark
from actors.orders import GENERATION_VERSION, Item
from actors.store import KEY_RULE, RunDirectory, content_hash
from actors.token_classes import class_rules
from conf.schema import PipelineConfig

CHUNKS_SHARE = 4
"""By how much blocks of perplexity have fewer items than others."""

DECODE_WEIGHT = 4
"""Cost of a generated token against one that is only read, for the estimate of the time left."""

FUNCTION_TOKENS = 10_000
"""Cost of a call to a function of the user's, for the same estimate: nobody can know."""


def seed_groups(known: Sequence[Sequence[int]], seeds: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Seeds in groups: known groups keep their places, for files are named by them; missing seeds form one more."""
    missing = tuple(sorted(set(seeds) - {seed for group in known for seed in group}))
    groups = [tuple(group) for group in known]
    return (*groups, missing) if missing else tuple(groups)


def plan_blocks(
    config: PipelineConfig,
    run: RunDirectory,
    inputs: Inputs,
    arm: PlannedArm,
    benchmark: PlannedBenchmark,
    known_seed_groups: Mapping[str, Sequence[Sequence[int]]],
    measured: Beside | None,
) -> tuple[RecordsDirectory, list[PlannedBlock]]:
    layout = layout_of(config, inputs, arm, benchmark)
    key: dict[str, Any] = {
        "rule": KEY_RULE,
        "kind": "records",
        "arm": arm.key_hash,
        "benchmark": benchmark.name,
        "version": benchmark.spec.version,
        "data": benchmark.data.data_hash,
        "sampling": config.sampling.model_dump() if benchmark.spec.kind in ("generate", "function") else None,
        "engine": "function" if benchmark.spec.kind == "function" else "llama",
        "build": dict(inputs.build),
        "layout": asdict(layout),
        "block_items": _block_items(config, benchmark),
    }
    if benchmark.spec.kind == "generate":
        key["generation"] = GENERATION_VERSION
    if benchmark.spec.kind == "measure":
        key["token_classes"] = class_rules()
        key["reference"] = None if measured is None else measured.key_hash
    if arm.model in inputs.chat_templates and any(getattr(item.task, "chat", False) for item in benchmark.items):
        key["chat_template"] = content_hash(inputs.chat_templates[arm.model])
    if arm.endpoint is not None:
        # What answers there, and how it is laid out, is the server's own matter.
        key |= {"engine": "openai", "build": None, "layout": None, "generation": None}
    path = run.records(benchmark.name, arm.name, content_hash(key))
    seeds = seeds_of(config, benchmark)
    groups = seed_groups(known_seed_groups.get(str(path), ()), seeds)
    step = _block_items(config, benchmark)
    blocks = [
        PlannedBlock(
            unit=f"records/{path.name}/{first:05d}-{len(items)}.g{number}",
            arm=arm.name,
            benchmark=benchmark.name,
            model=arm.model,
            first=first,
            n_items=len(items),
            seeds=group,
            records_path=str(path / f"{first:05d}-{len(items)}.g{number}.jsonl"),
            layout=layout,
            tokens=round(_cost(benchmark, items, group, decode_weight=1)),
            cost=_cost(benchmark, items, group, DECODE_WEIGHT),
        )
        for number, group in enumerate(groups)
        if set(group) & set(seeds)
        for first in range(0, len(benchmark.items), step)
        if (items := benchmark.items[first : first + step])
    ]
    item_ids = tuple(item.item_id for item in benchmark.items)
    return RecordsDirectory(str(path), arm.name, benchmark.name, key, item_ids, groups), blocks


def _block_items(config: PipelineConfig, benchmark: PlannedBenchmark) -> int:
    """Items a block: few where they are chunks of text, which are decoded whole, by several models side by side."""
    items = config.execution.block_items
    return max(1, items // CHUNKS_SHARE) if benchmark.spec.kind == "measure" else items


def _cost(benchmark: PlannedBenchmark, items: Sequence[Item], seeds: Sequence[int], decode_weight: float) -> float:
    """Rough cost of a block in tokens read, for the estimate of the time left; nothing else depends on it."""
    tokens = 0.0
    for item in items:
        task = item.task
        if benchmark.spec.kind == "function":
            tokens += len(seeds) * FUNCTION_TOKENS
        elif benchmark.spec.kind == "measure":
            tokens += len(getattr(task, "tokens", ()))
        else:
            characters = sum(len(message.content) for message in getattr(task, "messages", ()))
            tokens += min(characters, 400) / 4
            tokens += len(seeds) * decode_weight * getattr(task, "max_tokens", 0) / 2
            tokens += sum(len(choice) for choice in getattr(task, "choices", ())) / 4
    return tokens
