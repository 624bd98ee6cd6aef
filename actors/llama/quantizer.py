"""Quantize a GGUF file, or predict the result.

Both use `llama_model_quantize` in the same way as the program llama-quantize, so the tensor data is byte-identical.
`actors.quantization` verifies the new file and writes its manifest.
"""

from __future__ import annotations

import ctypes
import os
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
    """Called after each tensor while a GGUF is made: what is being done, how many tensors are done, and of how many."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


def ignore_steps(what: str, done: int, total: int) -> None:
    """Ignore the reported steps."""


MAX_BUFFER_BYTES = 2**30
"""Maximum size of the rows that llama.cpp holds in memory at once. Its default is 8 GiB. Rows are quantized one by one,
so a smaller limit gives the same result, and several quantizations fit on one machine."""
# A string in llama_model_kv_override holds 127 bytes and a terminating null.
_MAX_TEXT_BYTES = 127


@dataclass(frozen=True)
class ImatrixData:
    """An importance matrix in the form that quantization needs, with its provenance."""

    importance: Mapping[str, NDArray[np.float32]]
    """Mean squared activations, one flat array per tensor name. Experts follow one another."""
    file_name: str
    dataset: str
    """Name of the first data set. Empty if unknown."""
    n_chunks: int


@dataclass(frozen=True)
class TensorPlan:
    """The predicted type and size of one tensor."""

    name: str
    source_type: str
    type: str
    """ggml's name of the new type, in upper case."""
    n_bytes: int
    fallback_from: str | None
    """The type that was wanted but does not fit the row length. None: no fallback was needed."""


@dataclass(frozen=True)
class QuantizePlan:
    """The predicted result of a quantization, tensor by tensor."""

    tensors: tuple[TensorPlan, ...]
    size_bytes: int
    """Size of the whole file: header and padded tensors. The real header may have a few more bytes of provenance."""

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
    report: ReportSteps = ignore_steps,
) -> tuple[str, ...]:
    """Quantize a file. Tensors that are already quantized are dequantized first.

    The output is written directly to `output_path`: give a temporary name, and rename the file after verifying it.

    Returns:
        llama.cpp's log, line by line.

    Raises:
        LlamaError: llama.cpp refused. The last log lines in the error say why.
        OSError: the file cannot be written, because the disk is full or fails.
    """
    params = _params(quant_type, threads)
    tensors = read_layout(Path(model_path)).tensors if overrides.tensors else ()
    kept = apply_overrides(params, overrides, [tensor.name for tensor in tensors])
    arrays = _ImatrixArrays.of(imatrix) if imatrix is not None else None
    if arrays is not None:
        params.imatrix = ctypes.cast(arrays.entries, ctypes.POINTER(llama_cpp.llama_model_imatrix_data))
        params.kv_overrides = ctypes.cast(arrays.provenance, ctypes.POINTER(llama_cpp.llama_model_kv_override))
    log = _run(model_path, output_path, params, lambda line: _report_tensor(line, report))
    del kept  # must be alive until here, because llama.cpp reads it
    return log


def plan_quantization(
    model_path: str | Path,
    quant_type: QuantType,
    *,
    with_imatrix: bool,
    overrides: TypeOverrides = NO_OVERRIDES,
) -> QuantizePlan:
    """Predict the result of `quantize` without writing a file (llama.cpp's dry run).

    Args:
        with_imatrix: an importance matrix will be used. Some methods then choose other tensor types.
    """
    params = _params(quant_type, threads=1)
    params.dry_run = True
    layout = read_layout(Path(model_path))
    kept = apply_overrides(params, overrides, [tensor.name for tensor in layout.tensors])
    arrays = _ImatrixArrays.of(_PLACEHOLDER_IMATRIX) if with_imatrix else None
    if arrays is not None:
        params.imatrix = ctypes.cast(arrays.entries, ctypes.POINTER(llama_cpp.llama_model_imatrix_data))
    log = _run(model_path, "", params)
    del kept  # must be alive until here, because llama.cpp reads it
    targets, fallbacks = _logged_types(log)
    tensors = []
    for tensor in layout.tensors:
        kind = targets.get(tensor.name, tensor.type)
        n_bytes = ggml.tensor_types()[kind].n_bytes(tensor.n_elements)
        tensors.append(TensorPlan(tensor.name, tensor.type, kind, n_bytes, fallbacks.get(tensor.name)))
    align = gguf.GGUF_DEFAULT_ALIGNMENT
    size_bytes = layout.data_offset + sum(-(-tensor.n_bytes // align) * align for tensor in tensors)
    return QuantizePlan(tuple(tensors), size_bytes)


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
    on_line: Callable[[str], None] | None = None,
) -> tuple[str, ...]:
    with library.captured_log(on_line) as log:
        status = llama_cpp.llama_model_quantize(
            str(model_path).encode(), str(output_path).encode(), ctypes.byref(params)
        )
    if status != 0:
        if output_path and _WRITE_FAILED in "\n".join(log[-5:]):
            _check_disk(Path(output_path))
        raise LlamaError(f"llama.cpp cannot quantize {model_path}", log[-5:])
    return tuple(log)


_WRITE_FAILED = "iostream error"
"""What C++ says of a stream that fails, whatever the reason."""


def _check_disk(path: Path) -> None:
    """Raise the `OSError` that keeps a file from growing, if there is one: C++ does not say which it was."""
    with open(path, "ab", buffering=0) as file:
        for _ in range(64):  # more than a stream leaves of a full disk
            file.write(bytes(2**16))
        os.fsync(file.fileno())


# A dry run checks only whether an importance matrix is given, not its content.
_PLACEHOLDER_IMATRIX = ImatrixData({"-": np.ones(1, np.float32)}, "", "", 0)


@dataclass(frozen=True)
class _ImatrixArrays:
    """C arrays for llama.cpp, and the numpy arrays that must stay alive with them."""

    entries: ctypes.Array[llama_cpp.llama_model_imatrix_data]
    provenance: ctypes.Array[llama_cpp.llama_model_kv_override]
    keep_alive: tuple[NDArray[np.float32], ...] = field(repr=False)

    @classmethod
    def of(cls, imatrix: ImatrixData) -> _ImatrixArrays:
        # One extra entry: a null name ends the array.
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
    """Return the metadata that llama-quantize writes (tools/quantize/quantize.cpp). An empty key ends the array."""
    texts = {"file": imatrix.file_name, "dataset": imatrix.dataset}
    numbers = {"entries_count": len(imatrix.importance), "chunks_count": imatrix.n_chunks}
    overrides = (llama_cpp.llama_model_kv_override * (len(texts) + len(numbers) + 1))()
    slots = iter(overrides)
    for suffix, text in texts.items():
        slot = next(slots)
        slot.key = f"quantize.imatrix.{suffix}".encode()
        slot.tag = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_STR
        # Cut between characters, never inside one.
        slot.value.val_str = text.encode()[:_MAX_TEXT_BYTES].decode("utf-8", "ignore").encode()
    for suffix, number in numbers.items():
        slot = next(slots)
        slot.key = f"quantize.imatrix.{suffix}".encode()
        slot.tag = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_INT
        slot.value.val_i64 = number
    return overrides


_DONE = re.compile(r"^\[ *(\d+)/ *(\d+)\]")


def _report_tensor(line: str, report: ReportSteps) -> None:
    """Report a step if the log line is about a tensor. llama.cpp completes that line when the tensor is written."""
    if match := _DONE.match(line.strip()):
        report("quantizing", int(match[1]), int(match[2]))


_CONVERTED = re.compile(r"^\[ *\d+/ *\d+\] (\S+) .*-> +[\d.]+ MiB \((\w+)\)$")
_FALLBACK = re.compile(r"^warning: (\S+) .*\(required for type +(\w+)\).*-> falling back to +(\w+)$")


def _logged_types(log: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Read the log of a dry run. Return the new type of each converted tensor, and the wanted type of each fallback."""
    targets, fallbacks = {}, {}
    for line in log:
        if match := _CONVERTED.match(line.strip()):
            targets[match[1]] = match[2].upper()
        elif match := _FALLBACK.match(line.strip()):
            fallbacks[match[1]] = match[2].upper()
    return targets, fallbacks
