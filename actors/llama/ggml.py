"""Tensor types and tensors of ggml, the library under llama.cpp. The `llama_cpp` package does not offer them.

The layout of `ggml_tensor` follows ggml/include/ggml.h of the llama.cpp that `llama_cpp` is built from. The version is
pinned. `tests/llama/test_activations.py` checks the values that are read through this layout.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import TypeVar

import llama_cpp
import numpy as np
from llama_cpp._ggml import libggml
from numpy.typing import NDArray

_MAX_DIMS, _MAX_SRC, _MAX_OP_PARAMS_BYTES, _MAX_NAME = 4, 10, 64, 64


class Tensor(ctypes.Structure):
    """`struct ggml_tensor`."""


Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * _MAX_DIMS),
    ("nb", ctypes.c_size_t * _MAX_DIMS),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * (_MAX_OP_PARAMS_BYTES // 4)),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(Tensor) * _MAX_SRC),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * _MAX_NAME),
    ("extra", ctypes.c_void_p),
    ("padding", ctypes.c_char * 8),
]


def _declare(name: str, returns: type | None, *arguments: type) -> None:
    function = getattr(libggml, name)
    function.restype, function.argtypes = returns, arguments


_declare("ggml_type_name", ctypes.c_char_p, ctypes.c_int)
_declare("ggml_type_size", ctypes.c_size_t, ctypes.c_int)
_declare("ggml_blck_size", ctypes.c_int64, ctypes.c_int)
_declare("ggml_quantize_requires_imatrix", ctypes.c_bool, ctypes.c_int)
_declare("ggml_op_name", ctypes.c_char_p, ctypes.c_int)
_declare("ggml_nbytes", ctypes.c_size_t, ctypes.c_void_p)
_declare("ggml_backend_buffer_is_host", ctypes.c_bool, ctypes.c_void_p)
_declare("ggml_backend_tensor_get", None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)

_FLOATS = ctypes.POINTER(ctypes.c_float)
_TO_FLOAT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, _FLOATS, ctypes.c_int64)


class _Traits(ctypes.Structure):
    """`struct ggml_type_traits`."""

    _fields_ = (
        ("type_name", ctypes.c_char_p),
        ("blck_size", ctypes.c_int64),
        ("blck_size_interleave", ctypes.c_int64),
        ("type_size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", _TO_FLOAT),
        ("from_float_ref", ctypes.c_void_p),
    )


_declare("ggml_get_type_traits", ctypes.POINTER(_Traits), ctypes.c_int)
_CHUNK = (ctypes.c_int, _FLOATS, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, _FLOATS)
_declare("ggml_quantize_chunk", ctypes.c_size_t, *_CHUNK)


@dataclass(frozen=True)
class TensorType:
    """A tensor type, and how it packs its elements."""

    number: int
    name: str
    """Upper case, for example `Q4_K`."""
    block: int
    """Number of elements per block. The row length must be a multiple of it."""
    block_bytes: int

    def n_bytes(self, n_elements: int) -> int:
        return n_elements // self.block * self.block_bytes


@functools.cache
def tensor_types() -> dict[str, TensorType]:
    """Return every tensor type of this build, one entry per upper-case name, without the types that ggml removed."""
    # The library does not export the number of types, but it is the default value of this field.
    count = llama_cpp.llama_model_quantize_default_params().output_tensor_type
    types = {}
    for number in range(count):
        block = int(libggml.ggml_blck_size(number))
        if block > 0:
            name = libggml.ggml_type_name(number).decode().upper()
            types[name] = TensorType(number, name, block, int(libggml.ggml_type_size(number)))
    return types


@functools.cache
def tensor_type_by_number(number: int) -> TensorType | None:
    """Return the type with this number in a file, or None if this build does not know it."""
    return next((kind for kind in tensor_types().values() if kind.number == number), None)


def requires_importance(kind: TensorType) -> bool:
    """Return True if quantizing without an importance matrix would abort the process."""
    return bool(libggml.ggml_quantize_requires_imatrix(kind.number))


def quantize_rows(
    kind: TensorType, rows: NDArray[np.float32], importance: NDArray[np.float32] | None
) -> NDArray[np.uint8]:
    """Quantize rows to a type with llama.cpp's own function, and return the bytes. Other Python threads keep running.

    Args:
        kind: the row length must be a multiple of its block. If it `requires_importance`, give `importance`.
        rows: shape (rows, row length).
        importance: one weight per column, or None.
    """
    n_rows, length = rows.shape
    if length % kind.block or (importance is None and requires_importance(kind)):
        raise ValueError(f"{kind.name} does not fit rows of {length} values, or does not work without importance")
    source = np.ascontiguousarray(rows, np.float32)
    weights = None if importance is None else np.ascontiguousarray(importance, np.float32)
    packed = np.empty(kind.n_bytes(source.size), np.uint8)
    weights_at = None if weights is None else weights.ctypes.data_as(_FLOATS)
    libggml.ggml_quantize_chunk(
        kind.number, source.ctypes.data_as(_FLOATS), packed.ctypes.data, 0, n_rows, length, weights_at
    )
    return packed


def dequantize(kind: TensorType, packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Dequantize bytes of a type to a flat array. Other Python threads keep running."""
    if kind.name == "F32":
        return packed.view(np.float32)
    values = np.empty(packed.size // kind.block_bytes * kind.block, np.float32)
    traits = libggml.ggml_get_type_traits(kind.number).contents
    traits.to_float(packed.ctypes.data, values.ctypes.data_as(_FLOATS), values.size)
    return values


def op_name(tensor: Tensor) -> str:
    """Return the name of the operation that computes this tensor, for example `MUL_MAT`."""
    return _op_name(tensor.op)


@functools.cache
def _op_name(number: int) -> str:
    """Return the name for an operation's number. Cached, because it is needed for every tensor of every graph."""
    return str(libggml.ggml_op_name(number).decode())


Element = TypeVar("Element", bound=np.generic)


def values(tensor: Tensor, dtype: type[Element]) -> NDArray[Element]:
    """Return the tensor's elements. They are valid only while the callback runs.

    If the tensor is in host memory, the result is a view. From a device the bytes are copied first.

    Returns:
        Array of `dtype` with the tensor's shape and strides, longest stride first (ne reversed).
    """
    address, n_bytes = ctypes.addressof(tensor), int(libggml.ggml_nbytes(ctypes.byref(tensor)))
    if libggml.ggml_backend_buffer_is_host(tensor.buffer):
        raw = (ctypes.c_uint8 * n_bytes).from_address(tensor.data)
    else:
        raw = (ctypes.c_uint8 * n_bytes)()
        libggml.ggml_backend_tensor_get(address, raw, 0, n_bytes)
    return np.ndarray(shape=tuple(tensor.ne)[::-1], dtype=dtype, buffer=memoryview(raw), strides=tuple(tensor.nb)[::-1])
