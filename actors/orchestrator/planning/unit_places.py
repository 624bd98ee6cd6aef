"""The place of each unit of a plan: devices for what decodes, processors and memory for what quantizes. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from actors.orchestrator.memory_limits import Loaded
from actors.orchestrator.placed import Placed
from actors.orchestrator.placement.choose import Load, groups_of, limited
from actors.orchestrator.placement.memory import need_of
from actors.orchestrator.placement.single import place_model, place_on_cpu, place_quantizing, place_small
from actors.orchestrator.placement.workers import WORKER_OVERHEAD_BYTES
from actors.orchestrator.plan import Plan, PlannedBlock
from actors.orchestrator.planning.device_places import ArmPlaces
from actors.orchestrator.sources.inputs import Inputs
from conf.schema.pipeline import PipelineConfig


def unit_places(config: PipelineConfig, inputs: Inputs, places: ArmPlaces, plan: Plan) -> dict[str, Placed]:
    """Return the place of the worker of each unit; nothing if no machine has devices: all workers are then alike.

    Raises:
        BadInput: a node with enough memory for quantizing is missing.
    """
    if not places.groups:
        return {}
    return {
        **dict(_quantizing(config, inputs, plan)),
        **dict(_evaluating(config, inputs, places, plan)),
        **dict(_judging(config, inputs, plan)),
    }


def _quantizing(config: PipelineConfig, inputs: Inputs, plan: Plan) -> Iterator[tuple[str, Placed]]:
    threads, shapes = config.layout.threads, inputs.known.shapes
    for one in plan.imatrices:
        made = place_quantizing(inputs.nodes, shapes[one.model], threads)
        yield one.unit, made
        yield from ((unit, one.placed or made) for unit in one.group_units)
    made_here = [arm for arm in plan.arms if arm.unit]
    for arm in made_here:
        yield str(arm.unit), place_quantizing(inputs.nodes, shapes[arm.model], threads, arms=len(made_here))


def _evaluating(config: PipelineConfig, inputs: Inputs, places: ArmPlaces, plan: Plan) -> Iterator[tuple[str, Placed]]:
    own = {arm.name: places.own.get(arm.name) for arm in plan.arms}
    by_arm: defaultdict[str, list[PlannedBlock]] = defaultdict(list)
    for block in plan.blocks:
        by_arm[block.arm].append(block)
    off = {arm: [block for block in blocks if block.layout.devices is None] for arm, blocks in by_arm.items()}
    on_cpu = {
        arm: _on_cpu(config, inputs, plan, off[arm] or blocks)
        for arm, blocks in by_arm.items()
        if off[arm] or own[arm] is None
    }
    of_passes = _of_passes(places, plan)
    for block in plan.blocks:
        alone = own[block.arm] if block.layout.devices else None
        yield block.unit, of_passes.get(block.shared_pass or "") or alone or on_cpu[block.arm]
    for check in plan.checks:
        yield check.unit, own[check.order.arm] or on_cpu[check.order.arm]
    for one in plan.performances:
        yield one.unit, own[one.order.arm] or on_cpu[one.order.arm]


def _of_passes(places: ArmPlaces, plan: Plan) -> Mapping[str, Placed]:
    """Return the place of each pass on devices. All passes with the same arms have the same place."""
    arms: defaultdict[str, list[str]] = defaultdict(list)
    for block in plan.blocks:
        if block.shared_pass:
            arms[block.shared_pass].append(block.arm)
    known: dict[tuple[str, ...], Placed | None] = {}
    for names in map(tuple, arms.values()):
        known[names] = known[names] if names in known else places.of_pass(_reference(plan, names), names)
    return {name: placed for name, names in arms.items() if (placed := known[tuple(names)])}


def _reference(plan: Plan, arms: Iterable[str]) -> str:
    first = next(iter(arms))
    return plan.arm(first).reference or first


def _on_cpu(config: PipelineConfig, inputs: Inputs, plan: Plan, blocks: Iterable[PlannedBlock]) -> Placed:
    """Return the place of an arm that no device decodes: an endpoint, or an arm that is too large for the devices."""
    blocks, threads = list(blocks), config.layout.threads
    arm = plan.arm(blocks[0].arm)
    shape = inputs.known.shapes.get(arm.model)
    if arm.weights is None or shape is None:
        return place_small(inputs.nodes, WORKER_OVERHEAD_BYTES, threads)
    layout = max((block.layout for block in blocks), key=lambda one: one.n_ctx)
    models = [arm.weights]
    beside = plan.arm(arm.reference) if arm.reference and any(block.reference for block in blocks) else None
    if beside is not None and beside.weights is not None:
        models.append(beside.weights)
    return place_on_cpu(inputs.nodes, Load(arm.name, tuple(need_of(shape, one, layout) for one in models), threads))


def _judging(config: PipelineConfig, inputs: Inputs, plan: Plan) -> Iterator[tuple[str, Placed]]:
    groups, of_judge = groups_of(inputs.nodes, config.execution.gpus_per_worker), {}
    for judge in plan.judges:
        shape = inputs.known.judges.get(judge.name)
        if shape is not None and judge.layout is not None:
            load = Load(judge.name, (need_of(shape, shape.weights, judge.layout),), judge.layout.threads)
            own = limited(groups, inputs.limits.part_of(Loaded("judges", judge.name)))
            of_judge[judge.name] = place_model(own, shape, judge.layout) or place_on_cpu(inputs.nodes, load)
    yield from ((one.unit, of_judge[one.judge.name]) for one in plan.judgings if one.judge.name in of_judge)
