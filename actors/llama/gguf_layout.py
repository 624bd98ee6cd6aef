"""Parse the header of a GGUF file: metadata and tensor table, never tensor data. All parts of a split file are read.

`gguf_file` interprets the fields. The reader of the `gguf` package is too slow here: it makes a Python object for every
token of the vocabulary, which takes seconds for 256 thousand tokens. This parser skips arrays, and checks every length
against the size of the file. Format: ggml/docs/gguf.md of llama.cpp, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import mmap
import re
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from actors.llama import ggml

MAGIC = b"GGUF"
_STRING, _ARRAY = gguf.GGUFValueType.STRING, gguf.GGUFValueType.ARRAY
_SCALARS = {
    gguf.GGUFValueType.UINT8: struct.Struct("<B"),
    gguf.GGUFValueType.INT8: struct.Struct("<b"),
    gguf.GGUFValueType.UINT16: struct.Struct("<H"),
    gguf.GGUFValueType.INT16: struct.Struct("<h"),
    gguf.GGUFValueType.UINT32: struct.Struct("<I"),
    gguf.GGUFValueType.INT32: struct.Struct("<i"),
    gguf.GGUFValueType.FLOAT32: struct.Struct("<f"),
    gguf.GGUFValueType.BOOL: struct.Struct("<?"),
    gguf.GGUFValueType.UINT64: struct.Struct("<Q"),
    gguf.GGUFValueType.INT64: struct.Struct("<q"),
    gguf.GGUFValueType.FLOAT64: struct.Struct("<d"),
}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_ARRAY_HEAD = 4 + 4 + 8  # its own type, that of its elements, their number

Scalar = int | float | bool | str

_PART_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)


class NotGgufError(Exception):
    """The file is not a GGUF file that this parser can read."""


class CutShortError(Exception):
    """The file ends before the end of its header or tensor data. The message names the file."""


class MissingPartError(NotGgufError):
    """Some parts of a split file are not in the folder of the first part."""


@dataclass(frozen=True)
class TensorInfo:
    """One row of the tensor table."""

    name: str
    shape: tuple[int, ...]
    """In llama.cpp's order: the row length comes first."""
    type: str
    """ggml's name of the type in upper case, for example `Q4_K`."""
    n_bytes: int
    offset: int
    """Offset from the start of its file, in bytes."""
    part: int = 0
    """Index of its file in the layout's `parts`."""

    @property
    def n_elements(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True)
class ArrayValue:
    """An array in the metadata: its length, and its elements if it is a short list of strings."""

    count: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """The header of a GGUF file."""

    metadata: dict[str, Scalar | ArrayValue]
    raw: dict[str, bytes]
    """The bytes of each value (type and content), for comparing two files key by key."""
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    """Size of the header in bytes. For a split file: about the size that it would have as one file."""
    size_bytes: int
    """Size of all parts together."""
    parts: tuple[Path, ...]
    """The files in order. Only a split GGUF has more than one."""
    alignment: int
    """In bytes. The data of each tensor begins at a multiple of it."""
    tensors_offset: int
    """Where the tensor data of the first file begins, in bytes."""

    def kind(self, key: str) -> gguf.GGUFValueType:
        """Return the type of a value of the metadata."""
        return gguf.GGUFValueType(_U32.unpack_from(self.raw[key])[0])

    def element_kind(self, key: str) -> gguf.GGUFValueType:
        """Return the type of the elements of an array."""
        return gguf.GGUFValueType(_U32.unpack_from(self.raw[key], 4)[0])

    def numbers(self, key: str) -> NDArray[Any]:
        """Return the elements of an array of numbers."""
        kind = _SCALARS[self.element_kind(key)]
        return np.frombuffer(self.raw[key], np.dtype(kind.format), offset=_ARRAY_HEAD)

    def texts(self, key: str) -> Iterator[bytes]:
        """Yield the elements of an array of strings."""
        content, at = self.raw[key], _ARRAY_HEAD
        while at < len(content):
            end = at + 8 + _U64.unpack_from(content, at)[0]
            yield content[at + 8 : end]
            at = end


_SHORT_LIST = 64
_MOST_HEADER_BYTES = 2**28
"""The largest vocabularies take some 20 MB. A header is kept in memory, so a longer one is not read."""
_MOST_TEXT_BYTES = 2**24
_MOST_KEY_LENGTH = 2**16 - 1
_MOST_ENTRIES = 2**16
"""Tensors, or values of metadata, of one file."""


class _Cursor:
    """Reads forward through a memory-mapped file. Raises `CutShortError` at the end of the file."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at = data, 0

    def skip(self, n_bytes: int) -> int:
        start, self.at = self.at, self.at + n_bytes
        if self.at > len(self.data):
            raise CutShortError
        if self.at > _MOST_HEADER_BYTES:
            raise NotGgufError(f"its header is longer than {_MOST_HEADER_BYTES:,} bytes")
        return start

    def scalar(self, kind: struct.Struct) -> Scalar:
        value: Scalar = kind.unpack_from(self.data, self.skip(kind.size))[0]
        return value

    def count(self, kind: struct.Struct = _U64) -> int:
        return int(self.scalar(kind))

    def text(self) -> str:
        n_bytes = self.count()
        start = self.skip(n_bytes)
        if n_bytes > _MOST_TEXT_BYTES:
            raise NotGgufError(f"a text of {n_bytes:,} bytes is longer than {_MOST_TEXT_BYTES:,}")
        return self.data[start : self.at].decode("utf-8", "replace")

    def value(self) -> Scalar | ArrayValue:
        kind = self.value_type()
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self._array()
        return self.scalar(_SCALARS[kind])

    def value_type(self) -> gguf.GGUFValueType:
        number = self.count(_U32)
        try:
            return gguf.GGUFValueType(number)
        except ValueError as error:
            raise NotGgufError(f"metadata value of unknown type {number}") from error

    def _array(self) -> ArrayValue:
        kind, count = self.value_type(), self.count()
        if kind == _ARRAY:
            raise NotGgufError("nested arrays are not supported")
        if kind != _STRING:
            self.skip(_SCALARS[kind].size * count)
            return ArrayValue(count, ())
        if count <= _SHORT_LIST:
            return ArrayValue(count, tuple(self.text() for _ in range(count)))
        unpack, data, at = _U64.unpack_from, self.data, self.at
        try:
            for _ in range(count):
                at += 8 + unpack(data, at)[0]
        except (struct.error, OverflowError) as error:
            raise CutShortError from error
        self.at = at
        self.skip(0)
        return ArrayValue(count, ())


def first_part(path: Path) -> Path:
    """Return the first part of a split file, given any part, because llama.cpp needs it. Keep other paths."""
    return path.with_name(part_names(path.name)[0]) if path.name else path


def part_names(name: str) -> list[str]:
    """Return the names of all parts of a split file, given any part. For another file return its name. Keep folders."""
    match = _PART_NAME.fullmatch(name)
    if match is None:
        return [name]
    return [f"{match['stem']}-{number:05}-of-{match['count']}.gguf" for number in range(1, int(match["count"]) + 1)]


def read_layout(path: Path) -> Layout:
    """Read the header of a file. If it is split, read the headers of all parts.

    Raises:
        NotGgufError: a file is not GGUF, or `path` is a part other than the first.
        MissingPartError: some parts are missing.
        CutShortError: a file ends before the end of its header or tensor data.
        OSError: a file cannot be read.
    """
    layout = _read_file(path)
    count = layout.metadata.get("split.count", 1)
    return _with_further_parts(layout, count) if isinstance(count, int) and count > 1 else layout


def _read_file(path: Path) -> Layout:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a pipe or a device may wait for ever
        raise NotGgufError(f"{path.name} is a folder or a device")
    size_bytes = status.st_size
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise NotGgufError("it does not start with the letters GGUF")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _parse(_Cursor(data), path, size_bytes)
            except CutShortError:
                raise CutShortError(f"{path.name} ends at {size_bytes:,} bytes") from None


def _with_further_parts(first: Layout, count: int) -> Layout:
    """Combine all parts as llama.cpp does (src/llama-model-loader.cpp): metadata of the first part, tensors of all."""
    path = first.parts[0]
    paths = [path.with_name(name) for name in part_names(path.name)]
    if len(paths) != count:
        raise NotGgufError(f"it is split into {count} parts and must be named ...-00001-of-{count:05}.gguf")
    if first.metadata.get("split.no") != 0 or path != paths[0]:
        raise NotGgufError(f"it is one of {count} parts: give the path of the first")
    missing = [part.name for part in paths if not part.exists()]
    if missing:
        raise MissingPartError(f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}")
    layouts = [first, *map(_read_file, paths[1:])]
    if [one.metadata.get("split.no") for one in layouts] != list(range(count)):
        raise NotGgufError("its parts are in a different order than their names")
    tensors = tuple(replace(tensor, part=number) for number, one in enumerate(layouts) for tensor in one.tensors)
    expected = first.metadata.get("split.tensors.count", len(tensors))
    if len(tensors) != expected or len({tensor.name for tensor in tensors}) != expected:
        raise NotGgufError(f"its parts have {len(tensors)} tensors; the first part states {expected}")
    # Size of a row: name, number of dimensions, dimensions, type and offset.
    further = sum(8 + len(row.name.encode()) + 4 + 8 * len(row.shape) + 4 + 8 for row in tensors if row.part)
    return Layout(
        first.metadata,
        first.raw,
        tensors,
        first.data_offset + further,
        sum(one.size_bytes for one in layouts),
        tuple(paths),
        first.alignment,
        first.tensors_offset,
    )


def _parse(cursor: _Cursor, path: Path, size_bytes: int) -> Layout:
    cursor.skip(len(MAGIC))
    version = cursor.count(_U32)
    if version not in (2, 3):
        raise NotGgufError(f"GGUF version {version} is not supported, only 2 and 3 (little-endian)")
    n_tensors, n_values = cursor.count(), cursor.count()
    if max(n_tensors, n_values) > _MOST_ENTRIES:
        raise NotGgufError(f"{n_tensors:,} tensors and {n_values:,} values are more than the {_MOST_ENTRIES:,} read")
    metadata: dict[str, Scalar | ArrayValue] = {}
    raw: dict[str, bytes] = {}
    for _ in range(n_values):
        key = cursor.text()
        if key in metadata:
            raise NotGgufError(f"metadata has the key {key[:80]!r} twice")
        if not 0 < len(key) <= _MOST_KEY_LENGTH:
            raise NotGgufError(f"metadata has a key of {len(key):,} characters")
        start = cursor.at
        metadata[key] = cursor.value()
        raw[key] = cursor.data[start : cursor.at]
    rows = [_tensor_row(cursor) for _ in range(n_tensors)]
    alignment = _alignment(metadata, raw)
    data_offset = -(-cursor.at // alignment) * alignment
    tensors = tuple(TensorInfo(name, shape, kind, n, data_offset + offset) for name, shape, kind, n, offset in rows)
    if any(tensor.offset + tensor.n_bytes > size_bytes for tensor in tensors):
        raise CutShortError
    return Layout(metadata, raw, tensors, data_offset, size_bytes, (path,), alignment, data_offset)


def _alignment(metadata: Mapping[str, Scalar | ArrayValue], raw: Mapping[str, bytes]) -> int:
    """Return the alignment: a power of two. llama.cpp aborts if its type is not UINT32."""
    key = "general.alignment"
    value = metadata.get(key, gguf.GGUF_DEFAULT_ALIGNMENT)
    is_u32 = key not in raw or raw[key][:4] == _U32.pack(gguf.GGUFValueType.UINT32)
    if not is_u32 or not isinstance(value, int) or value < 1 or value & (value - 1):
        raise NotGgufError(f"its alignment ({value!r}) is no power of two of type UINT32")
    return value


def _tensor_row(cursor: _Cursor) -> tuple[str, tuple[int, ...], str, int, int]:
    """Return name, shape, type, size in bytes, and offset in the data section."""
    name = cursor.text()
    n_dims = cursor.count(_U32)
    if n_dims > 4:
        raise NotGgufError(f"tensor {name[:80]!r} has {n_dims} dimensions; ggml allows at most 4")
    shape = tuple(cursor.count() for _ in range(n_dims))
    number, offset = cursor.count(_U32), cursor.count()
    kind = ggml.tensor_type_by_number(number)
    if kind is None:
        raise NotGgufError(f"tensor {name[:80]!r} has type {number}, which this llama.cpp does not know")
    n_elements = 1
    for size in shape:
        n_elements *= size
    return name, shape, kind.name, kind.n_bytes(n_elements), offset
