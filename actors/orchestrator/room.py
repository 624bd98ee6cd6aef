"""Checks that there is room for a plan: disk for its files, and memory for its workers.

How much memory is left is known only when llama.cpp asks for it: see `memory_limits`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping

from actors.llama.gguf_file import GgufHeader, read_header
from actors.machine import check_memory, existing_parent
from actors.orchestrator.memory_limits import kept_cache_mib
from actors.orchestrator.plan import Plan
from actors.quantization.memory import needed_to_collect, needed_to_quantize
from actors.store import RunDirectory
from conf.faults import BadInput, Fault, Faults
from conf.schema.pipeline import PipelineConfig

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
    """Return the configuration with the limit on all KV caches that an earlier version has kept, if it is smaller."""
    kept, given = kept_cache_mib(run), config.layout.kv_cache_mib
    if kept is None or (given is not None and given <= kept):
        return config
    return config.model_copy(update={"layout": config.layout.model_copy(update={"kv_cache_mib": kept})})
