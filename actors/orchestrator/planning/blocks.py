"""The blocks of one arm and benchmark: their items, seeds, key and cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from actors.engines.turns import seeds_asked
from actors.hashing import content_hash
from actors.items import Generate, Item, TemplateUse
from actors.keys import make_key
from actors.llama.layout import EngineLayout
from actors.orchestrator.plan import PlannedArm, PlannedBlock, RecordsDirectory, seeds_of
from actors.orchestrator.planning.passes import Decoding, MeasuringReference
from actors.orchestrator.sources.inputs import Inputs, PlannedBenchmark
from actors.orders import ENDPOINT_VERSION, GENERATION_VERSION, PROMPT_VERSION, THINKING_VERSION
from actors.store import RunDirectory
from actors.stored_files import RecordsFolder
from actors.thinking import thinking_room
from actors.token_classes import class_rules
from conf.schema.pipeline import PipelineConfig

CHUNKS_SHARE = 4
"""A block of a measured text has this many times fewer items than other blocks."""

LENGTH_SHARE = 0.5
"""Length of an answer as a share of its token limit, as a rule. Used only to estimate times."""

DECODE_WEIGHT = 4
"""Cost of a generated token in prompt tokens. Used only to estimate the time left."""

FUNCTION_TOKENS = 10_000
"""Assumed cost, in prompt tokens, of a call to a custom function. The real cost is unknown. Used only to estimate the
time left."""


def seed_groups(known: Sequence[Sequence[int]], seeds: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the known seed groups, and one more group for the seeds that are in none of them.

    Known groups keep their positions, because the names of records files contain the position.
    """
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
    decoding: Decoding,
) -> tuple[RecordsDirectory, list[PlannedBlock]]:
    """Return the records directory of an arm and benchmark, and its blocks.

    Args:
        known_seed_groups: for each records directory, the seed groups that earlier runs used there.
        decoding: how the arm is decoded.
    """
    layout = decoding.layout
    key = _records_key(config, inputs, arm, benchmark, layout, decoding.reference)
    folder = RecordsFolder(run.records(benchmark.name, arm.name, content_hash(key)))
    seeds = seeds_of(config, benchmark)
    groups = seed_groups(known_seed_groups.get(str(folder.path), ()), seeds)
    step = _block_items(config, benchmark)
    blocks = [
        PlannedBlock(
            unit=folder.unit(first, len(items), number),
            arm=arm.name,
            benchmark=benchmark.name,
            model=arm.model,
            first=first,
            n_items=len(items),
            seeds=group,
            records_path=str(folder.block(first, len(items), number)),
            layout=layout,
            tokens=round(_cost(benchmark, items, group, 1, arm.template_use)),
            cost=_cost(benchmark, items, group, DECODE_WEIGHT, arm.template_use),
            generated=round(most * LENGTH_SHARE),
            most_generated=most,
        )
        for number, group in enumerate(groups)
        if set(group) & set(seeds)
        for first in range(0, len(benchmark.items), step)
        if (items := benchmark.items[first : first + step])
        for most in [_most_generated(items, group, arm.template_use)]
    ]
    directory = RecordsDirectory(
        path=str(folder.path),
        arm=arm.name,
        benchmark=benchmark.name,
        key=key,
        item_ids=tuple(item.item_id for item in benchmark.items),
        seed_groups=groups,
    )
    return directory, blocks


def _records_key(
    config: PipelineConfig,
    inputs: Inputs,
    arm: PlannedArm,
    benchmark: PlannedBenchmark,
    layout: EngineLayout,
    measured: MeasuringReference | None,
) -> dict[str, Any]:
    """Return the key of an arm's records of one benchmark: everything that can change them, and nothing else."""
    content: dict[str, Any] = {
        "kind": "records",
        "arm": arm.key_hash,
        "benchmark": benchmark.name,
        "version": benchmark.spec.version,
        "data": benchmark.data.data_hash,
        "sampling": config.sampling.model_dump() if benchmark.spec.kind in ("generate", "function") else None,
        "engine": "function" if benchmark.spec.kind == "function" else "llama",
        "build": inputs.build_for(layout.devices),
        "layout": layout.identity,
        "block_items": _block_items(config, benchmark),
    }
    if benchmark.spec.kind in ("generate", "choose") and arm.endpoint is None:
        content["prompts"] = PROMPT_VERSION
    if benchmark.spec.kind == "generate":
        content["generation"] = GENERATION_VERSION
    if benchmark.spec.kind == "measure":
        content["token_classes"] = class_rules()
        content["reference"] = None if measured is None else measured.key_hash
    if arm.template_use is not None and any(getattr(item.task, "chat", False) for item in benchmark.items):
        content |= _key_of_template(arm.template_use)
    if arm.endpoint is not None:
        # Which program answers there, and with which layout, is not known here.
        content |= {"engine": "openai", "build": None, "layout": None, "generation": ENDPOINT_VERSION}
    return make_key(content)


def _key_of_template(use: TemplateUse) -> dict[str, Any]:
    """Return the part of a key that says how a chat template is used, without what is as it would be anyway."""
    key: dict[str, Any] = {} if use.template is None else {"chat_template": content_hash(use.template)}
    if use != TemplateUse(use.template):
        arguments = json.loads(use.arguments)
        settings = {"thinking": use.thinking, "arguments": arguments, "tokens": use.thinking_tokens}
        key["thinking"] = {"version": THINKING_VERSION, **settings}
    return key


def _block_items(config: PipelineConfig, benchmark: PlannedBenchmark) -> int:
    """Return the number of items per block. It is smaller for a measured text, whose items are long chunks."""
    items = config.execution.block_items
    return max(1, items // CHUNKS_SHARE) if benchmark.spec.kind == "measure" else items


def _cost(
    benchmark: PlannedBenchmark,
    items: Sequence[Item],
    seeds: Sequence[int],
    decode_weight: float,
    use: TemplateUse | None,
) -> float:
    """Estimate the cost of a block in prompt tokens. Only the estimate of the time left depends on it."""
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
            tokens += decode_weight * _most_of_item(item, seeds, use) * LENGTH_SHARE
            tokens += sum(len(text) for text in getattr(task, "then", ())) / 4
            tokens += sum(len(choice) for choice in getattr(task, "choices", ())) / 4
    return tokens


def _most_generated(items: Sequence[Item], seeds: Sequence[int], use: TemplateUse | None) -> int:
    """Return the tokens of the answers, with their thoughts, if each runs to its limit."""
    return sum(_most_of_item(item, seeds, use) for item in items)


def _most_of_item(item: Item, seeds: Sequence[int], use: TemplateUse | None) -> int:
    """Return the tokens of an item's answers in all turns if each runs to its limit."""
    if not isinstance(item.task, Generate):
        return 0
    of_turn = item.task.max_tokens + thinking_room(item.task, use)
    return len(seeds_asked(item.task, seeds)) * (1 + len(item.task.then)) * of_turn
