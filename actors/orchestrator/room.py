"""Checks that there is room for a plan: disk for its files, memory for its workers, memory for its KV caches.

How much memory is left is known only when llama.cpp asks for it. If it gets too little, the pipeline is planned again:
with a smaller share of each device's memory, or with half of the largest KV cache if it was the host's memory. The run
directory keeps these limits.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace

from actors.llama.devices import Device
from actors.llama.gguf_file import GgufHeader, read_header
from actors.machine import check_memory, existing_parent
from actors.nodes import NodeFacts
from actors.orchestrator.plan import Plan
from actors.quantization.memory import needed_to_collect, needed_to_quantize
from actors.store import RunDirectory
from conf.faults import BadInput, Fault, Faults
from conf.files import read_object
from conf.schema.pipeline import PipelineConfig

DEVICE_STEP = 0.85
"""Each new plan after missing memory on a device fills this part of what the plan before it filled."""
LEAST_DEVICE_SHARE = 0.5
"""If a plan that leaves half of each device free finds no memory, another program holds it."""
DISK_SLACK_BYTES = 512 * 2**20
"""Disk space for charts, documents and MLflow, in addition to the GGUFs and the answers."""
BYTES_PER_WRITTEN_TOKEN = 30
"""What a token that a model or a judge writes takes on the disk.

It has 4 to 5 bytes of text, and the text is kept about six times: once in the records, 0.6 times in two compressed
tables, 1.4 times in the CSV, 0.6 times in the page of each language (measured on GSM8K), and about twice more where
MLflow has copies of these files.
"""


def disk_bytes(config: PipelineConfig, plan: Plan, done: Iterable[str]) -> tuple[int, int]:
    """Return how many bytes on the disk of the storage the rest of a plan needs, and how many are free there."""
    finished = set(done)
    ggufs = sum(arm.predicted_bytes for arm in plan.arms if arm.order and arm.unit not in finished)
    needed = ggufs + answer_bytes(plan, finished) + DISK_SLACK_BYTES
    return needed, shutil.disk_usage(existing_parent(config.storage)).free


def answer_bytes(plan: Plan, done: Iterable[str] = ()) -> int:
    """Return about how many bytes the answers of a plan and the judgements of them take on the disk in all forms."""
    finished = set(done)
    answers = sum(one.generated for one in plan.blocks if one.unit not in finished)
    verdicts = sum(one.generated for one in plan.judgings if one.unit not in finished)
    return BYTES_PER_WRITTEN_TOKEN * (answers + verdicts)


def check_disk(config: PipelineConfig, plan: Plan, done: Iterable[str]) -> None:
    """Raise `BadInput` if the GGUFs and answers of a plan do not fit on the disk of the storage.

    `done`: units that are done.
    """
    needed, free = disk_bytes(config, plan, done)
    if needed > free:
        raise BadInput(
            Fault(
                "--storage",
                f"{config.storage} with {free / 2**30:.1f} GiB free",
                f"a folder with {needed / 2**30:.1f} GiB free (for the plan's GGUFs, records and reports)",
                "Choose another --storage, choose fewer --quantizations, or free some disk space.",
            )
        )


def quantization_bytes(plan: Plan) -> int:
    """Return the memory of the largest quantization worker of a plan, in bytes; 0 if nothing has to be made."""
    headers = {model.name: read_header(model.path) for model in plan.models}
    arms = {arm.model for arm in plan.arms if arm.order}
    needs = [needed_to_quantize(headers[name]) for name in arms]
    return max([*needs, *_collecting_bytes(plan, headers).values()], default=0)


def _collecting_bytes(plan: Plan, headers: Mapping[str, GgufHeader]) -> dict[str, int]:
    """Return the memory for collecting each matrix, in bytes, by unit.

    A matrix is collected on the reference, which may not exist yet. Its predicted size counts then. What is on devices
    takes no memory of the host.
    """
    sizes = {arm.gguf_path: arm.predicted_bytes for arm in plan.arms}
    return {
        one.unit: needed_to_collect(
            headers[one.model],
            one.order.ctx,
            model_bytes=sizes.get(one.order.model_path),
            gpu_layers=one.order.gpu_layers,
        )
        for one in plan.imatrices
    }


def check_local_memory(plan: Plan, done: Iterable[str]) -> None:
    """Raise `BadInput` if this machine has too little memory for a matrix, an arm or a judge of a plan.

    Call this only if Ray runs locally. In a cluster each worker checks the memory of its own machine.
    """
    finished = set(done)
    faults = Faults()
    headers = {model.name: read_header(model.path) for model in plan.models}
    for unit, needed in _collecting_bytes(plan, headers).items():
        if unit not in finished:
            faults.gather(check_memory, needed, unit)
    for name in sorted({arm.model for arm in plan.arms if arm.order and arm.unit not in finished}):
        faults.gather(check_memory, needed_to_quantize(headers[name]), f"quantizing {name}")
    waiting = {one.judge.name for one in plan.judgings if one.unit not in finished}
    for judge in plan.judges:
        if judge.name in waiting and judge.layout is not None and not judge.layout.gpu_layers:
            faults.gather(check_memory, judge.worker_bytes, f"judging with {judge.name}")
    faults.stop_if_any()


def with_kept_cache_limit(config: PipelineConfig, run: RunDirectory) -> PipelineConfig:
    """Return the configuration with the KV cache limit that an earlier start has kept, unless it has a smaller one."""
    kept, given = (read_object(run.cache_limit) or {}).get("kv_cache_mib"), config.layout.kv_cache_mib
    if not isinstance(kept, int) or kept < 1:  # nothing is kept, or the file is damaged: the limit is then found again
        return config
    return config if given is not None and given <= kept else _with_limit(config, kept)


def with_half_of_largest_cache(config: PipelineConfig, plan: Plan) -> PipelineConfig | None:
    """Return the configuration with half of the plan's largest KV cache as its limit; None if that is below 1 MiB."""
    per_cell = {model.name: model.kv_bytes_per_cell for model in plan.models}
    largest = max((block.layout.n_ctx * per_cell[block.model] for block in plan.blocks), default=0)
    mib = largest // 2 // 2**20
    return _with_limit(config, mib) if mib else None


def _with_limit(config: PipelineConfig, mib: int) -> PipelineConfig:
    return config.model_copy(update={"layout": config.layout.model_copy(update={"kv_cache_mib": mib})})


def kept_device_share(run: RunDirectory) -> float:
    """Return the share of each device's memory that an earlier start of a run has left to its plan."""
    kept = (read_object(run.device_limit) or {}).get("share")
    return kept if isinstance(kept, float) and LEAST_DEVICE_SHARE <= kept < 1.0 else 1.0


def smaller_share(share: float) -> float | None:
    """Return the next smaller share; None if no smaller one is sensible."""
    smaller = round(share * DEVICE_STEP, 3)
    return smaller if smaller >= LEAST_DEVICE_SHARE else None


def with_device_share(nodes: Iterable[NodeFacts], share: float) -> tuple[NodeFacts, ...]:
    """Return the machines as if their devices had only this share of their memory."""
    return tuple(replace(node, devices=tuple(_part_of(one, share) for one in node.devices)) for node in nodes)


def _part_of(device: Device, share: float) -> Device:
    return replace(device, total_bytes=int(share * device.total_bytes), free_bytes=int(share * device.free_bytes))
