"""What is measured once per arm besides its blocks: speed and memory, and the self-check of the engine."""

from __future__ import annotations

from collections.abc import Sequence

from actors.hashing import content_hash
from actors.items import Call, Choose, Item, Measure, TemplateUse
from actors.keys import make_key
from actors.llama.layout import EngineLayout
from actors.orchestrator.plan import PlannedArm, PlannedBlock, PlannedCheck, PlannedPerformance
from actors.orchestrator.planning.device_places import ArmPlaces, layout_of
from actors.orchestrator.sources.inputs import Inputs, PlannedBenchmark
from actors.orders import CheckOrder, CheckPart, PerformanceOrder
from actors.store import RunDirectory
from conf.schema.pipeline import PipelineConfig

CHECK_ITEMS = 2
"""Items per kind of benchmark in a self-check."""


def plan_performances(
    config: PipelineConfig,
    run: RunDirectory,
    arms: Sequence[PlannedArm],
    inputs: Inputs,
    blocks: Sequence[PlannedBlock],
    places: ArmPlaces,
) -> tuple[PlannedPerformance, ...]:
    """Plan one measurement per arm, in the layout of its benchmark with the largest KV cache.

    Endpoints cannot be measured. A/A arms need not be: they are the same file as their reference.
    """
    planned = []
    for arm in arms:
        layouts = list(_layouts(config, inputs, arm, blocks, places).values())
        if arm.is_aa or arm.endpoint is not None or not layouts:
            continue
        layout = max(layouts, key=lambda one: one.n_ctx)
        key = make_key({"kind": "performance", "arm": arm.key_hash, "layout": layout.identity})
        path = run.performance(arm.name, content_hash(key))
        order = PerformanceOrder(arm.name, arm.gguf_path, layout, str(path))
        planned.append(PlannedPerformance(f"performance/{path.stem}", order))
    return tuple(planned)


def plan_checks(
    config: PipelineConfig,
    run: RunDirectory,
    arms: Sequence[PlannedArm],
    inputs: Inputs,
    blocks: Sequence[PlannedBlock],
    places: ArmPlaces,
) -> tuple[PlannedCheck, ...]:
    """Plan one check per arm that is not an endpoint: a few items of the shortest benchmark of each kind.

    Plan none if the configuration switches self-checks off.
    """
    if not config.execution.self_check:
        return ()
    checks = []
    for arm in [arm for arm in arms if arm.endpoint is None]:
        layouts = _layouts(config, inputs, arm, blocks, places)
        own = [one for one in inputs.benchmarks[arm.model] if one.name in layouts]
        chosen = _shortest_of_each_kind(own, config.execution.block_items)
        if not chosen:
            continue
        parts = tuple(CheckPart(name, items, layouts[name]) for name, items in chosen.items())
        content = [[part.benchmark, [item.prompt_hash for item in part.items], part.layout.identity] for part in parts]
        use = arm.template_use
        asked = {"template_arguments": use.arguments} if use and use.arguments != TemplateUse().arguments else {}
        template = use.template if use else None
        key = make_key({"arm": arm.key_hash, "parts": content, "chat_template": template, **asked})
        path = run.check(arm.name, content_hash(key))
        order = CheckOrder(arm.name, arm.gguf_path, parts, use, str(path))
        checks.append(PlannedCheck(f"checks/{path.stem}", arm.made_by, order))
    return tuple(checks)


def _layouts(
    config: PipelineConfig, inputs: Inputs, arm: PlannedArm, blocks: Sequence[PlannedBlock], places: ArmPlaces
) -> dict[str, EngineLayout]:
    """Return the layouts in which an arm decodes its benchmarks when no other model is loaded, by benchmark."""
    names = {block.benchmark for block in blocks if block.arm == arm.name}
    own = [one for one in inputs.benchmarks[arm.model] if one.name in names]
    return {one.name: layout_of(config, places, arm, one) for one in own}


def _shortest_of_each_kind(benchmarks: Sequence[PlannedBenchmark], block_items: int) -> dict[str, tuple[Item, ...]]:
    """Return the items to check: for each kind, the shortest items of one benchmark, under that benchmark's name.

    Only the first block of each benchmark is looked at, so that a larger limit does not change the choice.
    """
    best: dict[str, tuple[int, str, tuple[Item, ...]]] = {}
    for benchmark in benchmarks:
        first_block = [
            (_length(item), number) for number, item in enumerate(benchmark.items[:block_items]) if not item.too_long
        ]
        if not first_block or benchmark.spec.kind == "function":
            continue
        shortest = sorted(first_block)[:CHECK_ITEMS]
        found = (sum(length for length, _ in shortest), benchmark.name, tuple(benchmark.items[n] for _, n in shortest))
        best[benchmark.spec.kind] = min(best.get(benchmark.spec.kind, found), found, key=lambda entry: entry[0])
    return {name: items for _, name, items in best.values()}


def _length(item: Item) -> int:
    """Return the length of an item: characters of the prompt and its choices, or tokens of a measured chunk."""
    task = item.task
    if isinstance(task, Measure):
        return len(task.tokens)
    if isinstance(task, Call):
        return 0
    choices = task.choices if isinstance(task, Choose) else ()
    return sum(len(message.content) for message in task.messages) + sum(map(len, choices))
