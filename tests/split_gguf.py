"""Split a GGUF like llama-gguf-split: metadata in the first part, tensors in all parts, three `split.` keys in each."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf

from actors.llama.gguf_layout import TensorInfo, read_layout

_ALIGN = gguf.GGUF_DEFAULT_ALIGNMENT


def split_gguf(source: Path, folder: Path, n_parts: int, *, stem: str = "split-F16") -> list[Path]:
    """Split `source` into parts with the names that llama.cpp requires. Return their paths."""
    layout, content = read_layout(source), source.read_bytes()
    step = -(-len(layout.tensors) // n_parts)
    parts = []
    for number in range(n_parts):
        own = layout.tensors[number * step : (number + 1) * step]
        values = dict(layout.raw) if number == 0 else {}
        values["split.no"] = struct.pack("<IH", gguf.GGUFValueType.UINT16, number)
        values["split.count"] = struct.pack("<IH", gguf.GGUFValueType.UINT16, n_parts)
        values["split.tensors.count"] = struct.pack("<Ii", gguf.GGUFValueType.INT32, len(layout.tensors))
        path = folder / f"{stem}-{number + 1:05}-of-{n_parts:05}.gguf"
        path.write_bytes(_padded(_header(values, own)) + b"".join(_padded(_data(row, content)) for row in own))
        parts.append(path)
    return parts


def _header(values: dict[str, bytes], tensors: tuple[TensorInfo, ...]) -> bytes:
    pieces = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(values))]
    pieces += [_text(key) + value for key, value in values.items()]
    offset = 0
    for row in tensors:
        kind = gguf.GGMLQuantizationType[row.type]
        pieces.append(_text(row.name) + struct.pack(f"<I{len(row.shape)}Q", len(row.shape), *row.shape))
        pieces.append(struct.pack("<IQ", kind, offset))
        offset += -(-row.n_bytes // _ALIGN) * _ALIGN
    return b"".join(pieces)


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _data(row: TensorInfo, content: bytes) -> bytes:
    return content[row.offset : row.offset + row.n_bytes]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGN)
