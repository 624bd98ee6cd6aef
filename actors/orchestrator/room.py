"""Is there room for a plan: disk for its files, memory for its workers, and memory for the KV cache on a device.

The memory of a GPU is not known before llama.cpp asks for it. Where it gets too little, the pipeline is planned again
with half of the largest KV cache, and the run directory remembers that limit.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping

from actors.llama.gguf_file import GgufHeader, read_header
from actors.machine import check_memory, existing_parent
from actors.orchestrator.plan import Plan
from actors.quantization.memory import needed_to_collect, needed_to_quantize
from actors.store import RunDirectory, exists, read_json
from conf.faults import BadInput, Fault, Faults
from conf.schema import PipelineConfig

DISK_SLACK_BYTES = 512 * 2**20
"""Room for records, charts, documents and MLflow beside the GGUFs."""


def check_disk(config: PipelineConfig, plan: Plan, done: Iterable[str]) -> None:
    """Refuse a plan whose GGUFs do not fit on the storage's disk."""
    missing = set(done)
    needed = sum(arm.predicted_bytes for arm in plan.arms if arm.order and arm.unit not in missing) + DISK_SLACK_BYTES
    free = shutil.disk_usage(existing_parent(config.storage)).free
    if needed > free:
        raise BadInput(
            Fault(
                "--storage",
                f"{config.storage} with {free / 2**30:.1f} GiB free",
                f"a folder with {needed / 2**30:.1f} GiB free (the plan's GGUFs and some room)",
                "Choose another --storage, fewer --quantizations, or free some room.",
            )
        )


def quantization_bytes(plan: Plan) -> int:
    """Memory of the largest quantization worker of a plan; 0 where nothing is made."""
    headers = {model.name: read_header(model.path) for model in plan.models}
    arms = {arm.model for arm in plan.arms if arm.order}
    needs = [needed_to_quantize(headers[name]) for name in arms]
    return max([*needs, *_collecting_bytes(plan, headers).values()], default=0)


def _collecting_bytes(plan: Plan, headers: Mapping[str, GgufHeader]) -> dict[str, int]:
    """By unit. A matrix is collected from the reference, which may still be to be made."""
    sizes = {arm.gguf_path: arm.predicted_bytes for arm in plan.arms}
    return {
        one.unit: needed_to_collect(headers[one.model], one.order.ctx, model_bytes=sizes.get(one.order.model_path))
        for one in plan.imatrices
    }


def check_local_memory(plan: Plan, done: Iterable[str]) -> None:
    """Refuse a plan with a matrix or an arm that this machine has too little memory to make.

    For a local Ray alone: the machines of a cluster check it themselves when the work comes to them.
    """
    missing = set(done)
    faults = Faults()
    headers = {model.name: read_header(model.path) for model in plan.models}
    for unit, needed in _collecting_bytes(plan, headers).items():
        if unit not in missing:
            faults.gather(check_memory, needed, unit)
    for name in sorted({arm.model for arm in plan.arms if arm.order and arm.unit not in missing}):
        faults.gather(check_memory, needed_to_quantize(headers[name]), f"quantizing {name}")
    faults.stop_if_any()


def limited(config: PipelineConfig, run: RunDirectory) -> PipelineConfig:
    """The configuration with the limit that a run has found for itself, unless a smaller one is given."""
    if not exists(run.cache_limit):
        return config
    found, given = int(read_json(run.cache_limit)["kv_cache_mib"]), config.layout.kv_cache_mib
    return config if given is not None and given <= found else _with_limit(config, found)


def halved(config: PipelineConfig, plan: Plan) -> PipelineConfig | None:
    """The configuration with half of the plan's largest cache as its limit; None where that is nothing any more."""
    per_cell = {model.name: model.kv_bytes_per_cell for model in plan.models}
    largest = max((block.layout.n_ctx * per_cell[block.model] for block in plan.blocks), default=0)
    mib = largest // 2 // 2**20
    return _with_limit(config, mib) if mib else None


def _with_limit(config: PipelineConfig, mib: int) -> PipelineConfig:
    return config.model_copy(update={"layout": config.layout.model_copy(update={"kv_cache_mib": mib})})
