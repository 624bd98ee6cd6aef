"""Take a GGUF apart, change one or more things at random, and write it again, whole or broken.

Nothing here uses the project's own reader: it must not share its mistakes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STRING, ARRAY = 8, 9
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value of each type but strings and arrays."""
ALIGNMENT = 32


@dataclass
class Tensor:
    """A row of the tensor table."""

    name: bytes
    shape: list[int]
    type: int
    offset: int


@dataclass
class Parsed:
    """A GGUF in parts that can be changed."""

    version: int
    values: list[tuple[bytes, int, bytes]]
    """Key, type, and the bytes of the value."""
    tensors: list[Tensor]
    data: bytes
    counts: tuple[int, int] | None = None
    """Announced numbers of tensors and of values; None: the true ones."""

    def written(self) -> bytes:
        """Return the file's bytes."""
        n_tensors, n_values = self.counts or (len(self.tensors), len(self.values))
        head = b"GGUF" + struct.pack("<IQQ", self.version, n_tensors, n_values)
        for key, kind, value in self.values:
            head += struct.pack("<Q", len(key)) + key + struct.pack("<I", kind) + value
        for row in self.tensors:
            head += struct.pack("<Q", len(row.name)) + row.name + struct.pack("<I", len(row.shape))
            head += b"".join(struct.pack("<Q", size % 2**64) for size in row.shape)
            head += struct.pack("<IQ", row.type % 2**32, row.offset % 2**64)
        return head + bytes(-len(head) % ALIGNMENT) + self.data


def gguf_text(text: str) -> tuple[int, bytes]:
    """Return the type and the bytes of a string."""
    return STRING, struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_texts(*texts: str) -> tuple[int, bytes]:
    """Return the type and the bytes of an array of strings."""
    return ARRAY, struct.pack("<IQ", STRING, len(texts)) + b"".join(gguf_text(text)[1] for text in texts)


def parse(content: bytes) -> Parsed:
    """Take a valid file apart."""
    version, n_tensors, n_values = struct.unpack_from("<IQQ", content, 4)
    at = 24

    def number(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(form, content, at)
        at += struct.calcsize(form)
        return int(value)

    def taken(n_bytes: int) -> bytes:
        nonlocal at
        at += n_bytes
        return content[at - n_bytes : at]

    values = []
    for _ in range(n_values):
        key, kind = taken(number("<Q")), number("<I")
        start = at
        if kind == STRING:
            taken(number("<Q"))
        elif kind == ARRAY:
            element, count = number("<I"), number("<Q")
            for _ in range(count):
                taken(number("<Q") if element == STRING else SIZES[element])
        else:
            taken(SIZES[kind])
        values.append((key, kind, content[start:at]))
    tensors = []
    for _ in range(n_tensors):
        name = taken(number("<Q"))
        shape = [number("<Q") for _ in range(number("<I"))]
        tensors.append(Tensor(name, shape, number("<I"), number("<Q")))
    return Parsed(version, values, tensors, content[at + -at % ALIGNMENT :])


EDGES = (0, 1, 2, 3, 7, 31, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
FLOATS = (0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"), -float("inf"), 0.5)


def _edge(rng: np.random.Generator) -> int:
    return EDGES[int(rng.integers(len(EDGES)))]


def _change_value(file: Parsed, rng: np.random.Generator) -> None:
    """Give a number another value, or a text other bytes."""
    place = int(rng.integers(len(file.values)))
    key, kind, value = file.values[place]
    if kind in (6, 12):
        new = struct.pack("<f" if kind == 6 else "<d", FLOATS[int(rng.integers(len(FLOATS)))])
    elif kind in SIZES:
        new = (_edge(rng) % 256 ** SIZES[kind]).to_bytes(SIZES[kind], "little")
    else:
        new = _damaged(value, rng)
    file.values[place] = (key, kind, new)


def _change_type(file: Parsed, rng: np.random.Generator) -> None:
    """Give a value another type, with the bytes that this type takes."""
    place = int(rng.integers(len(file.values)))
    key, _, _ = file.values[place]
    kind = int(rng.integers(14))
    if kind == STRING:
        value = gguf_text("text")[1]
    elif kind == ARRAY:
        element = int(rng.choice(list(SIZES)))
        value = struct.pack("<IQ", element, 4) + bytes(4 * SIZES[element])
    else:
        value = bytes(SIZES.get(kind, 4) - 1) + b"\x01"
    file.values[place] = (key, kind, value)


def _change_keys(file: Parsed, rng: np.random.Generator) -> None:
    """Remove a key, repeat it, rename it, or move its value to another."""
    first, second = (int(place) for place in rng.integers(len(file.values), size=2))
    choice = rng.integers(5)
    key, kind, value = file.values[first]
    if choice == 0:
        del file.values[first]
    elif choice == 1:
        file.values.append(file.values[first])
    elif choice == 2:
        file.values[first] = (_damaged(key, rng), kind, value)
    elif choice == 3:
        file.values[first] = (b"", kind, value)
    else:
        file.values[first] = (key, *file.values[second][1:])


def _change_array(file: Parsed, rng: np.random.Generator) -> None:
    """Change the elements of an array: repeat, empty, shorten, exchange, another count."""
    arrays = [place for place, value in enumerate(file.values) if value[1] == ARRAY]
    place = arrays[int(rng.integers(len(arrays)))]
    key, kind, value = file.values[place]
    element, count = struct.unpack_from("<IQ", value)
    elements, at = [], 12
    for _ in range(count):
        size = 8 + struct.unpack_from("<Q", value, at)[0] if element == STRING else SIZES[element]
        elements.append(value[at : at + size])
        at += size
    first, second = (int(number) for number in rng.integers(count, size=2))
    choice = rng.integers(7)
    if choice == 0:
        elements[first] = elements[second]
    elif choice == 1:
        del elements[first:]
    elif choice == 2:
        elements.append(elements[first])
    elif choice == 3:
        elements[first] = struct.pack("<Q", 0) if element == STRING else b"\xff" * SIZES[element]
    elif choice == 4 and element == STRING:
        raw = rng.bytes(int(rng.integers(1, 40)))
        elements[first] = struct.pack("<Q", len(raw)) + raw
    elif choice == 5:
        elements[first], elements[second] = elements[second], elements[first]
    else:
        count = _edge(rng)
        file.values[place] = (key, kind, struct.pack("<IQ", element, count) + b"".join(elements))
        return
    file.values[place] = (key, kind, struct.pack("<IQ", element, len(elements)) + b"".join(elements))


def _change_tensor(file: Parsed, rng: np.random.Generator) -> None:
    """Change a row of the tensor table, or exchange or remove rows."""
    first, second = (int(place) for place in rng.integers(len(file.tensors), size=2))
    row, other = file.tensors[first], file.tensors[second]
    choice = rng.integers(9)
    if choice == 0:
        row.name = other.name
    elif choice == 1:
        row.name = _damaged(row.name, rng)
    elif choice == 2:
        row.shape[int(rng.integers(len(row.shape)))] = _edge(rng)
    elif choice == 3:
        row.shape = row.shape[::-1] if rng.integers(2) else [*row.shape, 1, 1, 1]
    elif choice == 4:
        row.type = int(rng.integers(45))
    elif choice == 5:
        row.offset = _edge(rng) if rng.integers(2) else other.offset
    elif choice == 6:
        del file.tensors[first]
    elif choice == 7:
        row.name, other.name = other.name, row.name
    else:
        row.shape, row.type = list(other.shape), other.type


def _change_data(file: Parsed, rng: np.random.Generator) -> None:
    """Overwrite weights: anything, NaN, or the file ends within them."""
    at = int(rng.integers(len(file.data)))
    choice = rng.integers(3)
    if choice == 0:
        file.data = file.data[:at]
    else:
        new = rng.bytes(64) if choice == 1 else b"\xff" * 64
        file.data = file.data[:at] + new + file.data[at + len(new) :]


def _change_head(file: Parsed, rng: np.random.Generator) -> None:
    """Announce other numbers, or another version."""
    counts = [len(file.tensors), len(file.values)]
    which = int(rng.integers(3))
    if which == 2:
        file.version = _edge(rng) % 2**32
    else:
        counts[which] = _edge(rng) if rng.integers(2) else counts[which] + int(rng.choice([-1, 1]))
        file.counts = (counts[0], counts[1])


def _damaged(raw: bytes, rng: np.random.Generator) -> bytes:
    """Change, remove or insert some bytes."""
    changed = bytearray(raw or b"x")
    for _ in range(int(rng.integers(1, 5))):
        at, byte = int(rng.integers(len(changed))), int(rng.integers(256))
        choice = rng.integers(3)
        if choice == 0:
            changed[at] = byte
        elif choice == 1:
            changed.insert(at, byte)
        elif len(changed) > 1:
            del changed[at]
    return bytes(changed)


CHANGES: tuple[Callable[[Parsed, np.random.Generator], None], ...] = (
    _change_value,
    _change_value,
    _change_type,
    _change_keys,
    _change_array,
    _change_array,
    _change_tensor,
    _change_tensor,
    _change_data,
    _change_head,
)


def mutated(content: bytes, seed: int) -> bytes:
    """Return a mutation of a valid file. The same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    header_bytes = len(content) - len(parse(content).data)
    if rng.integers(5) == 0:  # bytes anywhere in the header, or the end of the file
        if rng.integers(3) == 0:
            return content[: int(rng.integers(header_bytes))]
        return _damaged(content[:header_bytes], rng) + content[header_bytes:]
    file = parse(content)
    for _ in range(int(rng.integers(1, 3))):
        try:
            CHANGES[int(rng.integers(len(CHANGES)))](file, rng)
        except (struct.error, IndexError, ValueError, KeyError):  # the change before left nothing that this one finds
            continue
    return file.written()
