"""Make one arm: quantize under a temporary name, verify, rename, and write the manifest last.

llama.cpp does the work (see `actors.llama.quantizer`). `verify` checks the result.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors.hashing import file_sha256
from actors.llama.file_types import QuantType, resolve_type
from actors.llama.gguf_file import UNQUANTIZED, GgufHeader, read_header
from actors.llama.gguf_layout import TensorInfo, read_layout
from actors.llama.library import versions
from actors.llama.overrides import TypeOverrides, check_fit, requested_types
from actors.llama.quantizer import ImatrixData, QuantizePlan, ReportSteps, ignore_steps, plan_quantization, quantize
from actors.llama.trial import Decodes
from actors.machine import check_memory
from actors.quantization.budget import BudgetUse, allocation_json, apply_budget
from actors.quantization.imatrix_file import quantization_data, read_imatrix
from actors.quantization.losses import tensor_losses
from actors.quantization.memory import needed_to_quantize, peak_rss_bytes
from actors.quantization.provenance import CalibrationUse, calibration_use, calibration_use_from_json
from actors.quantization.verify import verify
from actors.quantization_orders import QuantizeOrder
from actors.stored_files import ArmFiles
from conf.faults import BadInput, Fault
from conf.files import atomic_path, read_json, remove, remove_leftovers, write_json, write_text

_NAMES_KEPT = 20


@dataclass(frozen=True)
class Fallbacks:
    """Tensors whose rows are too short for the type that the recipe asks for. They got a different type."""

    count: int
    tensors_quantized: int
    """Number of tensors with a quantized type, including fallbacks."""
    by_type: dict[str, int]
    """Number of fallbacks by the type used instead, lower case: `q5_0`."""
    names: tuple[str, ...]
    """Names of the first 20 fallbacks."""


@dataclass(frozen=True)
class Durations:
    """Duration of each step."""

    quantize_s: float
    """Time of the library call alone."""
    verify_s: float
    """Time to read the new file, load it, decode with it, and compare its weights with the source's."""
    hash_s: float
    """Time to compute the sha256 of the new file."""


@dataclass(frozen=True)
class ImatrixUse:
    """The importance matrix that an arm was made with."""

    file: str
    sha256: str
    chunks: int
    tensors_without_data: tuple[str, ...]
    """Quantized tensors without data in the matrix, at least for some experts. They were quantized without it."""
    calibration: CalibrationUse | None = None
    """None if there is no manifest of ours beside the matrix."""


@dataclass(frozen=True)
class OverrideUse:
    """What happened with one override of the recipe."""

    by: str
    """`output`, `embedding` or the regular expression."""
    type: str
    """Lower case."""
    tensors: int
    """Number of tensors that have the type now."""
    fallbacks: int
    """Number of tensors whose rows are too short for the type. They got a different one."""
    left_alone: int
    """Number of tensors that llama.cpp never quantizes, such as norms."""


@dataclass(frozen=True)
class ArmManifest:
    """What is known about an arm. The manifest is written last: it marks the arm as done."""

    key: dict[str, Any]
    arm: str
    model: str
    recipe: str
    file: str
    """File name of the GGUF, in the manifest's folder."""
    sha256: str
    size_bytes: int
    bits_per_weight: float
    dequantized_from: str | None
    types: dict[str, int]
    """Number of tensors by type, lower case."""
    fallbacks: Fallbacks
    imatrix: ImatrixUse | None
    versions: dict[str, str]
    seconds: float
    """Total time, including hashing."""
    peak_rss_bytes: int
    """Peak memory of the worker process so far."""
    method: str
    """llama.cpp type used for all tensors that are not overridden."""
    overrides: tuple[OverrideUse, ...]
    budget: BudgetUse | None = None
    """None: recipe and method decide every tensor's type. The full table is in `allocation.json`."""
    durations: Durations | None = None
    """None in manifests written before this field existed."""
    decodes: Decodes | None = None
    """None in manifests written before this field existed."""


def make_arm(order: QuantizeOrder, files: ArmFiles | None = None, report: ReportSteps = ignore_steps) -> ArmManifest:
    """Make one GGUF, verify it, and write its manifest last.

    Args:
        files: by default `manifest.json` and `log.txt` beside `order.output_path`.
        report: called after each tensor that was measured, and after each that was quantized.

    Raises:
        BadInput: the model or the importance matrix is unusable, a required matrix is missing, or too little memory.
        LlamaError: llama.cpp refused, or the result does not load.
        ConflictError: the result is not what was ordered.
    """
    files = files or ArmFiles.in_own_folder(order.output_path)
    started = time.perf_counter()
    recipe, header = order.recipe, read_header(order.model_path)
    quant_type, overrides = resolve_type(recipe.method), recipe.overrides
    check_fit(header.tensors, overrides, key=f"recipes.{recipe.name}")
    imatrix = _importance_if_used(order, quant_type, header)
    check_room(header)
    plan = plan_quantization(order.model_path, quant_type, with_imatrix=imatrix is not None, overrides=overrides)
    remove_leftovers(files.gguf.parent)
    # Remove the old manifest first: it must not describe a file that is being replaced. The old log stays: after an
    # interruption it tells that the file was made here.
    remove(files.manifest)
    budget = None
    if recipe.budget is not None:
        result = apply_budget(order, recipe.budget, plan, header, imatrix, report)
        budget, overrides = result.use, result.overrides
        plan = plan_quantization(order.model_path, quant_type, with_imatrix=imatrix is not None, overrides=overrides)
        write_json(files.allocation, allocation_json(result))
    with atomic_path(files.gguf, plan.size_bytes) as temporary:
        begun = time.perf_counter()
        log = quantize(
            order.model_path,
            temporary,
            quant_type,
            imatrix=imatrix,
            threads=order.threads,
            overrides=overrides,
            report=report,
        )
        quantized = time.perf_counter()
        source = read_layout(header.path)
        decodes = verify(
            temporary, source=source, plan=plan, quant_type=quant_type, overrides=overrides, threads=order.threads
        )
        losses = tensor_losses(header, temporary, imatrix, threads=order.threads)
        compared = time.perf_counter()
        sha256 = file_sha256(temporary)
        durations = Durations(quantized - begun, compared - quantized, time.perf_counter() - compared)
    write_text(files.log, "".join(line + "\n" for line in log))
    write_json(files.losses, [asdict(one) for one in losses])
    manifest = ArmManifest(
        key=order.key,
        arm=order.arm,
        model=order.model_name,
        recipe=recipe.name + recipe.suffix,
        file=files.gguf.name,
        sha256=sha256,
        size_bytes=files.gguf.stat().st_size,
        bits_per_weight=read_header(files.gguf).bits_per_weight,
        dequantized_from=order.dequantized_from,
        types=_count(tensor.type for tensor in plan.tensors),
        fallbacks=_fallbacks(plan),
        imatrix=_imatrix_use(order, imatrix, plan),
        versions=versions(),
        seconds=time.perf_counter() - started,
        peak_rss_bytes=peak_rss_bytes(),
        method=quant_type.name,
        overrides=_override_uses(plan, recipe.overrides),
        budget=budget,
        durations=durations,
        decodes=decodes,
    )
    write_json(files.manifest, asdict(manifest))
    return manifest


def check_room(header: GgufHeader) -> None:
    """Raise `BadInput` if this machine has too little memory to quantize the model."""
    check_memory(needed_to_quantize(header), f"quantizing {header.path.name}")


def load_manifest(path: str | Path) -> ArmManifest:
    """Read the manifest of an arm."""
    row = read_json(path)
    fallbacks, imatrix = row.pop("fallbacks"), row.pop("imatrix")
    if imatrix is not None:
        imatrix["tensors_without_data"] = tuple(imatrix["tensors_without_data"])
        if imatrix.get("calibration") is not None:
            imatrix["calibration"] = calibration_use_from_json(imatrix["calibration"])
        imatrix = ImatrixUse(**imatrix)
    # Manifests from before recipes existed have neither field. Then the recipe was the method.
    row["method"] = row.get("method", row["recipe"])
    row["overrides"] = tuple(OverrideUse(**one) for one in row.get("overrides", ()))
    row["budget"] = BudgetUse(**row["budget"]) if row.get("budget") else None
    if row.get("durations") is not None:
        row["durations"] = Durations(**row["durations"])
    if row.get("decodes") is not None:
        row["decodes"] = Decodes(**row["decodes"] | {"tokens": tuple(row["decodes"]["tokens"])})
    return ArmManifest(fallbacks=Fallbacks(**fallbacks | {"names": tuple(fallbacks["names"])}), imatrix=imatrix, **row)


def read_importance(path: str | Path, header: GgufHeader) -> ImatrixData:
    """Read an importance matrix for a model. Raise `BadInput` if it is invalid or belongs to another model."""
    data = quantization_data(read_imatrix(path), Path(path).name)
    _check_same_model(data, header.tensors, str(path))
    return data


def _importance_if_used(order: QuantizeOrder, quant_type: QuantType, header: GgufHeader) -> ImatrixData | None:
    """Return the importance matrix, or None if there is none or the type does not use it."""
    if not quant_type.lossy:
        return None
    if order.imatrix_path is None:
        if quant_type.needs_imatrix:
            allowed = f"an importance matrix: {quant_type.name} cannot be made without one"
            raise BadInput(Fault("--imatrix", "none", allowed, "Collect one: python -m jobs.collect_imatrix."))
        return None
    return read_importance(order.imatrix_path, header)


def _check_same_model(data: ImatrixData, tensors: Iterable[TensorInfo], path: str) -> None:
    """Refuse a matrix of another model: llama.cpp would quantize without it and mention that only in its log."""
    known = {tensor.name: tensor for tensor in tensors if tensor.name in data.importance}
    # One row of importance per expert; one row for tensors of two dimensions.
    misfits = [
        name
        for name, tensor in known.items()
        if data.importance[name].size != tensor.shape[0] * (tensor.shape[2] if len(tensor.shape) > 2 else 1)
    ]
    if misfits or not known:
        got = f"{path} ({misfits[0]} has another size)" if misfits else f"{path} (none of its tensors is in the model)"
        raise BadInput(Fault("--imatrix", got, "a matrix that was collected from this model", "Collect it again."))


def _imatrix_use(order: QuantizeOrder, data: ImatrixData | None, plan: QuantizePlan) -> ImatrixUse | None:
    if data is None or order.imatrix_path is None:
        return None
    matrix = read_imatrix(order.imatrix_path)
    covered = {name for name, entry in matrix.entries.items() if entry.counts.all()}
    without = [tensor.name for tensor in plan.tensors if tensor.type not in UNQUANTIZED and tensor.name not in covered]
    sha256 = file_sha256(order.imatrix_path)
    calibration = calibration_use(order.imatrix_path, sha256)
    return ImatrixUse(data.file_name, sha256, data.n_chunks, tuple(without), calibration)


def _override_uses(plan: QuantizePlan, overrides: TypeOverrides) -> tuple[OverrideUse, ...]:
    """Return one entry per override that sets the type of at least one tensor."""
    kinds = {tensor.name: tensor for tensor in plan.tensors}
    by_override: dict[tuple[str, str], list[str]] = {}
    for name, order in requested_types(kinds, overrides).items():
        tensor = kinds[name]
        if tensor.fallback_from == order.type:
            outcome = "fallback"
        else:
            outcome = "made" if tensor.type == order.type else "left alone"
        by_override.setdefault((order.by, order.type.lower()), []).append(outcome)
    return tuple(
        OverrideUse(by, kind, outcomes.count("made"), outcomes.count("fallback"), outcomes.count("left alone"))
        for (by, kind), outcomes in by_override.items()
    )


def _fallbacks(plan: QuantizePlan) -> Fallbacks:
    return Fallbacks(
        count=len(plan.fallbacks),
        tensors_quantized=sum(tensor.type not in UNQUANTIZED for tensor in plan.tensors),
        by_type=_count(tensor.type for tensor in plan.fallbacks),
        names=tuple(tensor.name for tensor in plan.fallbacks[:_NAMES_KEPT]),
    )


def _count(types: Iterable[str]) -> dict[str, int]:
    return dict(sorted(collections.Counter(map(str.lower, types)).items()))
