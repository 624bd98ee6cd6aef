"""Quantizing a GGUF file: what llama.cpp would make of a model, and the making itself.

All of it is `llama_model_quantize`, as the program llama-quantize calls it, so tensor data come out byte-identical.
Verifying what was made, and the manifest, are the quantization role's (`actors.quantization`).
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import gguf
import llama_cpp
import numpy as np
from numpy.typing import NDArray

from actors.errors import LlamaError
from actors.llama import ggml, library
from actors.llama.file_types import QuantType
from actors.llama.gguf_layout import read_layout
from actors.llama.overrides import NO_OVERRIDES, TypeOverrides, apply_overrides


class ReportSteps(Protocol):
    """What making a GGUF calls after each tensor: what is done with them, how many are done, and of how many."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


def nobody_listens(what: str, done: int, total: int) -> None:
    """Steps of which nobody wants to know."""


MAX_BUFFER_BYTES = 2**30
"""Rows of a tensor that llama.cpp holds at once (it would take 8 GiB); rows are quantized one by one, so the result
is the same, and a machine has room for several quantizations."""
# A string in llama_model_kv_override holds 127 bytes and its end.
_MAX_TEXT_BYTES = 127


@dataclass(frozen=True)
class ImatrixData:
    """An importance matrix as quantization wants it, with what is known of its making."""

    importance: Mapping[str, NDArray[np.float32]]
    """Mean square of the activations by tensor name, flat: experts one after the other."""
    file_name: str
    dataset: str
    """The first data set's name; empty where unknown."""
    n_chunks: int


@dataclass(frozen=True)
class TensorPlan:
    """What llama.cpp does to one tensor."""

    name: str
    source_type: str
    type: str
    """ggml's name of the type, upper case."""
    n_bytes: int
    fallback_from: str | None
    """The type that the recipe wanted and the row length forbade; None where it got what it wanted."""


@dataclass(frozen=True)
class QuantizePlan:
    """What llama.cpp would make of a model, tensor by tensor."""

    tensors: tuple[TensorPlan, ...]
    size_bytes: int
    """Of the whole file: header and padded tensors. The header may grow by some bytes of provenance."""

    @property
    def fallbacks(self) -> tuple[TensorPlan, ...]:
        return tuple(tensor for tensor in self.tensors if tensor.fallback_from is not None)


def quantize(
    model_path: str | Path,
    output_path: str | Path,
    quant_type: QuantType,
    *,
    imatrix: ImatrixData | None,
    threads: int,
    overrides: TypeOverrides = NO_OVERRIDES,
    report: ReportSteps = nobody_listens,
) -> tuple[str, ...]:
    """Quantize a file, dequantizing it first where it is quantized already.

    The output is written in place: give a temporary name, and rename it once it is verified.

    Returns:
        llama.cpp's log, line by line.

    Raises:
        LlamaError: llama.cpp refused; the log's last lines say why.
    """
    params = _params(quant_type, threads)
    kept = apply_overrides(params, overrides)
    arrays = _ImatrixArrays.of(imatrix) if imatrix is not None else None
    if arrays is not None:
        params.imatrix = ctypes.cast(arrays.entries, ctypes.POINTER(llama_cpp.llama_model_imatrix_data))
        params.kv_overrides = ctypes.cast(arrays.provenance, ctypes.POINTER(llama_cpp.llama_model_kv_override))
    log = _run(model_path, output_path, params, lambda line: _report_tensor(line, report))
    del kept  # alive until here, for llama.cpp reads it
    return log


def plan_quantization(
    model_path: str | Path,
    quant_type: QuantType,
    *,
    with_imatrix: bool,
    overrides: TypeOverrides = NO_OVERRIDES,
) -> QuantizePlan:
    """What llama.cpp would make of the model, without making it (its dry run).

    Args:
        with_imatrix: some types choose other tensor types where importance is known.
    """
    params = _params(quant_type, threads=1)
    params.dry_run = True
    kept = apply_overrides(params, overrides)
    arrays = _ImatrixArrays.of(_STAND_IN) if with_imatrix else None
    if arrays is not None:
        params.imatrix = ctypes.cast(arrays.entries, ctypes.POINTER(llama_cpp.llama_model_imatrix_data))
    log = _run(model_path, "", params)
    del kept  # alive until here, for llama.cpp reads it
    layout = read_layout(Path(model_path))
    targets, fallbacks = _logged_types(log)
    tensors = []
    for tensor in layout.tensors:
        kind = targets.get(tensor.name, tensor.type)
        n_bytes = ggml.tensor_types()[kind].n_bytes(tensor.n_elements)
        tensors.append(TensorPlan(tensor.name, tensor.type, kind, n_bytes, fallbacks.get(tensor.name)))
    align = gguf.GGUF_DEFAULT_ALIGNMENT
    size_bytes = layout.data_offset + sum(-(-tensor.n_bytes // align) * align for tensor in tensors)
    return QuantizePlan(tuple(tensors), size_bytes)


def predicted_size(
    model_path: str | Path,
    quant_type: QuantType,
    *,
    with_imatrix: bool = False,
    overrides: TypeOverrides = NO_OVERRIDES,
) -> int:
    """Bytes of the file that `quantize` would write, but for some bytes of provenance."""
    return plan_quantization(model_path, quant_type, with_imatrix=with_imatrix, overrides=overrides).size_bytes


def _params(quant_type: QuantType, threads: int) -> llama_cpp.llama_model_quantize_params:
    params: llama_cpp.llama_model_quantize_params = llama_cpp.llama_model_quantize_default_params()
    params.nthread = threads
    params.ftype = quant_type.ftype
    params.allow_requantize = True
    params.max_buf_size = MAX_BUFFER_BYTES
    return params


def _run(
    model_path: str | Path,
    output_path: str | Path,
    params: llama_cpp.llama_model_quantize_params,
    listen: Callable[[str], None] | None = None,
) -> tuple[str, ...]:
    with library.captured_log(listen) as log:
        status = llama_cpp.llama_model_quantize(
            str(model_path).encode(), str(output_path).encode(), ctypes.byref(params)
        )
    if status != 0:
        raise LlamaError(f"llama.cpp cannot quantize {model_path}", log[-5:])
    return tuple(log)


# A dry run looks only at whether there is an importance matrix.
_STAND_IN = ImatrixData({"-": np.ones(1, np.float32)}, "", "", 0)


@dataclass(frozen=True)
class _ImatrixArrays:
    """C arrays for llama.cpp, and what must stay alive as long as they do."""

    entries: ctypes.Array[llama_cpp.llama_model_imatrix_data]
    provenance: ctypes.Array[llama_cpp.llama_model_kv_override]
    keep_alive: tuple[NDArray[np.float32], ...] = field(repr=False)

    @classmethod
    def of(cls, imatrix: ImatrixData) -> _ImatrixArrays:
        # One more entry than there is data: the null name ends the array.
        entries = (llama_cpp.llama_model_imatrix_data * (len(imatrix.importance) + 1))()
        kept = []
        for entry, (name, values) in zip(entries, imatrix.importance.items(), strict=False):
            flat = np.ascontiguousarray(values, np.float32).reshape(-1)
            kept.append(flat)
            entry.name = name.encode()
            entry.data = flat.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            entry.size = flat.size
        return cls(entries, _provenance(imatrix), tuple(kept))


def _provenance(imatrix: ImatrixData) -> ctypes.Array[llama_cpp.llama_model_kv_override]:
    """The keys that llama-quantize writes (tools/quantize/quantize.cpp), ended by an empty key."""
    texts = {"file": imatrix.file_name, "dataset": imatrix.dataset}
    numbers = {"entries_count": len(imatrix.importance), "chunks_count": imatrix.n_chunks}
    overrides = (llama_cpp.llama_model_kv_override * (len(texts) + len(numbers) + 1))()
    slots = iter(overrides)
    for suffix, text in texts.items():
        slot = next(slots)
        slot.key = f"quantize.imatrix.{suffix}".encode()
        slot.tag = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_STR
        # Cut at a character's border, never within one.
        slot.value.val_str = text.encode()[:_MAX_TEXT_BYTES].decode("utf-8", "ignore").encode()
    for suffix, number in numbers.items():
        slot = next(slots)
        slot.key = f"quantize.imatrix.{suffix}".encode()
        slot.tag = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_INT
        slot.value.val_i64 = number
    return overrides


_DONE = re.compile(r"^\[ *(\d+)/ *(\d+)\]")


def _report_tensor(line: str, report: ReportSteps) -> None:
    """llama.cpp ends a tensor's line in its log when the tensor is written."""
    if match := _DONE.match(line.strip()):
        report("quantizing", int(match[1]), int(match[2]))


_CONVERTED = re.compile(r"^\[ *\d+/ *\d+\] (\S+) .*-> +[\d.]+ MiB \((\w+)\)$")
_FALLBACK = re.compile(r"^warning: (\S+) .*\(required for type +(\w+)\).*-> falling back to +(\w+)$")


def _logged_types(log: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """From the log of a dry run: the new type of each converted tensor, and the wanted type of each fallback."""
    targets, fallbacks = {}, {}
    for line in log:
        if match := _CONVERTED.match(line.strip()):
            targets[match[1]] = match[2].upper()
        elif match := _FALLBACK.match(line.strip()):
            fallbacks[match[1]] = match[2].upper()
    return targets, fallbacks
