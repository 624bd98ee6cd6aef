"""Where the work of a plan runs, in words: devices, memory and workers side by side, by arm and role.

The memory is estimated (`actors.orchestrator.placement`): weights, KV cache and buffers of a worker, in GiB.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from actors.orchestrator.capacity import side_by_side
from actors.orchestrator.placed import Memory, Placed
from actors.orchestrator.plan import Plan
from conf.schema.pipeline import PipelineConfig
from reporting.terminal.layout import clean, columns, short_name

_TITLES = ("", "", "runs on", "weights", "KV", "buffers", "side by side")


def describe_placement(plan: Plan, config: PipelineConfig) -> list[str]:
    """Return the devices of the nodes, and the place of each arm in each role; nothing if no device is used."""
    if not plan.placed:
        return []
    found: dict[tuple[str, str, Placed], None] = dict.fromkeys(_entries(plan))
    rows = [list(_TITLES)]
    for name, role, placed in found:
        workers = side_by_side(plan.nodes.usable, placed, config.execution.max_workers)
        memory = placed.device if placed.devices else placed.host
        rows.append([short_name(name), role, where_text(placed), *_sizes(memory), str(workers)])
        if placed.devices and placed.gpu_layers > 0:
            layers = "1 layer" if placed.gpu_layers == 1 else f"{placed.gpu_layers} layers"
            rows.append(["", f"  {layers},", "others: CPU", *_sizes(placed.host), ""])
    return [
        "Placement (memory of a worker in GiB, estimated)",
        *_devices(plan),
        *columns(rows, left=(0, 1, 2), indent=2),
    ]


def _devices(plan: Plan) -> Iterator[str]:
    """Yield the devices of each node that has some."""
    for node in plan.nodes.usable:
        kinds = Counter((one.description, one.total_bytes) for one in node.devices)
        devices = ", ".join(f"{n} x {name} ({size / 2**30:.0f} GiB)" for (name, size), n in kinds.items())
        if devices:
            yield f"  {clean(node.host)}: {clean(devices)}"
    without = sum(not node.devices for node in plan.nodes.usable)
    if without:
        yield f"  {without} node{'s' if without > 1 else ''} without devices: quantizing"


def _entries(plan: Plan) -> Iterator[tuple[str, str, Placed]]:
    """Yield arm, role and place of each unit, in the order of the work."""
    placed = plan.placed
    for matrix in plan.imatrices:
        yield from ((matrix.mix, "imatrix", placed[unit]) for unit in matrix.group_units if unit in placed)
    for arm in plan.arms:
        if arm.unit in placed:
            yield "every arm", "quantizing", placed[str(arm.unit)]
    passes: defaultdict[str, list[str]] = defaultdict(list)
    for block in plan.blocks:
        if block.shared_pass:
            passes[block.shared_pass].append(block.arm)
    for block in plan.blocks:
        if block.unit in placed and not block.shared_pass:
            yield block.arm, "evaluating", placed[block.unit]
    for block in plan.blocks:
        if block.unit in placed and block.shared_pass:
            reference = plan.arm(block.arm).reference or block.arm
            beside = [arm for arm in passes[block.shared_pass] if arm != reference]
            if beside:
                yield ", ".join(beside), f"beside {short_name(reference, 12)}", placed[block.unit]
            else:
                yield reference, "texts", placed[block.unit]
    for judging in plan.judgings:
        if judging.unit in placed:
            yield judging.judge.name, "judging", placed[judging.unit]


def where_text(placed: Placed) -> str:
    """Return what a worker decodes on: `4 CPUs`, `2 GPUs`, or a share of one, such as `1/3 GPU` or `0.7 GPU`."""
    if placed.devices is None:
        return f"{placed.cpus:g} CPU{'' if placed.cpus == 1 else 's'}"
    if placed.gpus < 1:
        workers = round(1 / placed.gpus)
        # Ray counts in ten-thousandths, so a third is 0.3333.
        return f"1/{workers} GPU" if abs(1 / workers - placed.gpus) < 1e-4 else f"{placed.gpus:g} GPU"
    return f"{placed.gpus:g} GPU{'' if placed.gpus == 1 else 's'}"


def _sizes(memory: Memory) -> list[str]:
    parts = (memory.weights_bytes, memory.kv_bytes, memory.compute_bytes)
    return [f"{one / 2**30:.1f}" if one else "-" for one in parts]
