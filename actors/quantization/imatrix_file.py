"""Read and write importance matrix files: the GGUF format of llama-imatrix. Its older `.dat` format is only read.

Names and meaning follow tools/imatrix/imatrix.cpp, so that each program can read the other's files.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from actors.llama.activation_sums import TensorActivations
from actors.llama.gguf_checks import check_structure
from actors.llama.gguf_layout import CutShortError, Layout, NotGgufError, TensorInfo, read_layout
from actors.llama.quantizer import ImatrixData
from actors.quantization.weighting import TokenWeighting, make_weighting
from actors.token_classes import TokenClass
from conf.faults import BadInput, Fault

_SUMS, _COUNTS = ".in_sum2", ".counts"
_GROUP_CHUNKS = "quant_assay.imatrix.group_chunks"
_WEIGHTS = "quant_assay.token_weights"
_MOST_MEAN = 1e15
"""Activations stay far below its root. From about 1e20 on, float32 overflows while llama.cpp quantizes."""
_MOST_DAT_BYTES = 2**32
_ALLOWED = "an importance matrix (.gguf, or the older .dat)"


@dataclass(frozen=True)
class Imatrix:
    """An importance matrix, with what its file says about how it was made."""

    entries: Mapping[str, TensorActivations]
    datasets: tuple[str, ...]
    chunk_count: int
    chunk_size: int
    """Tokens per chunk; 0 if the file does not say (older format)."""
    weighting: TokenWeighting | None = None
    """None if all tokens count the same, or if the file does not say."""


def write_imatrix(path: Path, imatrix: Imatrix, *, group_chunks: int) -> None:
    """Write the file. The caller renames it into place. `group_chunks` is the number of chunks summed at a time."""
    writer = gguf.GGUFWriter(path, "")
    # The writer's constructor adds an architecture, but an imatrix file has none.
    writer.kv_data[0].clear()
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", list(imatrix.datasets))
    writer.add_uint32("imatrix.chunk_count", imatrix.chunk_count)
    writer.add_uint32("imatrix.chunk_size", imatrix.chunk_size)
    writer.add_uint32(_GROUP_CHUNKS, group_chunks)
    if imatrix.weighting is not None:
        writer.add_string(f"{_WEIGHTS}.rules", imatrix.weighting.rules)
        for label, use in imatrix.weighting.classes.items():
            writer.add_float64(f"{_WEIGHTS}.{label}", use.weight)
            writer.add_uint64(f"{_WEIGHTS}.{label}.tokens", use.tokens)
    for name in sorted(imatrix.entries):
        entry = imatrix.entries[name]
        # The sums of a dense tensor are one row. ggml writes it without its second dimension.
        sums = entry.sum_squares[0] if len(entry.sum_squares) == 1 else entry.sum_squares
        writer.add_tensor(name + _SUMS, sums.astype(np.float32))
        counts = entry.counts if len(entry.counts) == 1 else entry.counts[:, np.newaxis]
        writer.add_tensor(name + _COUNTS, counts.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_imatrix(path: str | Path, *, key: str = "--imatrix") -> Imatrix:
    """Read a file written by us or by llama-imatrix.

    Raises:
        BadInput: the file is missing, cut short, or not an importance matrix.
    """
    file = Path(path)
    matrix = _read_gguf(file, key) if _begins_as_gguf(file, key) else _read_dat(file, key)
    _check_values(matrix, file, key)
    return matrix


def _check_values(matrix: Imatrix, file: Path, key: str) -> None:
    """Raise `BadInput` for values that no activations can have. llama.cpp aborts for some, or makes a useless file."""
    for name, entry in matrix.entries.items():
        sums, counts = entry.sum_squares, entry.counts[:, np.newaxis]
        if not np.isfinite(sums).all() or not np.isfinite(counts).all():
            wrong = "values that are not finite"
        elif (sums < 0).any() or (counts < 0).any():
            wrong = "negative sums of squares or counts"
        elif (sums > _MOST_MEAN * np.maximum(counts, 1)).any():
            wrong = f"mean squares above {_MOST_MEAN:g}"
        else:
            continue
        allowed = f"{_ALLOWED} whose sums and counts are finite and not negative ({name[:80]!r} has {wrong})"
        raise BadInput(Fault(key, str(file), allowed, "Collect it again: python -m jobs.collect_imatrix."))


def _read_gguf(file: Path, key: str) -> Imatrix:
    layout = _layout(file, key)
    tensors = {tensor.name: tensor for tensor in layout.tensors}
    names = sorted(name.removesuffix(_SUMS) for name in tensors if name.endswith(_SUMS))
    datasets = layout.metadata.get("imatrix.datasets")
    chunk_count, chunk_size = (layout.metadata.get(f"imatrix.chunk_{what}") for what in ("count", "size"))
    whole = all(name + _COUNTS in tensors for name in names) and all(tensor.type == "F32" for tensor in layout.tensors)
    fits = whole and all(tensors[name + _SUMS].n_elements % tensors[name + _COUNTS].n_elements == 0 for name in names)
    if not names or not fits or not isinstance(chunk_count, int) or not isinstance(chunk_size, int):
        raise BadInput(
            Fault(
                key,
                str(file),
                f"{_ALLOWED} (this one holds something else)",
                "Collect one: python -m jobs.collect_imatrix.",
            )
        )
    entries = {name: _entry(file, tensors[name + _SUMS], tensors[name + _COUNTS]) for name in names}
    texts = getattr(datasets, "texts", ())
    return Imatrix(entries, texts, chunk_count, chunk_size, _weighting(layout.metadata))


def quantization_data(imatrix: Imatrix, file_name: str) -> ImatrixData:
    """Return the mean squares as llama-quantize computes them: in float32, with 1 for experts that no token reached."""
    importance = {}
    for name, entry in imatrix.entries.items():
        # llama.cpp's loader rounds all counts (lround). Compared with unrounded counts, this changes all columns of a
        # matrix or expert by one common factor (about 1e-5), which does not affect its quantization.
        counts = np.rint(entry.counts).astype(np.float32)[:, np.newaxis]
        sums = entry.sum_squares.astype(np.float32)
        means = np.divide(sums, counts, out=np.ones_like(sums), where=counts > 0)
        importance[name] = means.reshape(-1)
    dataset = imatrix.datasets[0] if imatrix.datasets else ""
    return ImatrixData(importance, file_name, dataset, imatrix.chunk_count)


def _begins_as_gguf(file: Path, key: str) -> bool:
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe may wait for ever
            raise BadInput(Fault(key, str(file), f"{_ALLOWED} (this is no regular file)", "Name the file itself."))
        with file.open("rb") as opened:
            return opened.read(4) == b"GGUF"
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL byte
        why = error.strerror if isinstance(error, OSError) else error
        raise BadInput(Fault(key, str(file), f"{_ALLOWED} ({why})", "Check the path.")) from error


def _layout(file: Path, key: str) -> Layout:
    try:
        layout = read_layout(file)
        check_structure(layout)
        return layout
    except NotGgufError as error:
        raise BadInput(Fault(key, str(file), f"{_ALLOWED} (this is not one: {error})")) from error
    except CutShortError as error:
        raise BadInput(Fault(key, str(file), "a complete file (this one is cut short)", "Collect it again.")) from error


def _read_dat(file: Path, key: str) -> Imatrix:
    """Read the older format: per matrix, the mean squares times the number of calls. Newer files have more after that.

    common/imatrix-loader.cpp of llama.cpp reads the same fields.
    """
    try:
        if file.stat().st_size > _MOST_DAT_BYTES:
            raise ValueError("too large for a matrix")
        return _parse_dat(file.read_bytes())
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise BadInput(Fault(key, str(file), f"{_ALLOWED} (invalid or cut short)", "Collect it again.")) from error


def _parse_dat(content: bytes) -> Imatrix:
    """Parse the bytes. Raise `struct.error`, `UnicodeDecodeError` or `ValueError` if they are not such a file."""
    place = 0

    def number() -> int:
        nonlocal place
        (value,) = struct.unpack_from("<i", content, place)
        place += 4
        return int(value)

    def taken(n_bytes: int) -> bytes:
        nonlocal place
        if not 0 < n_bytes <= len(content) - place:
            raise ValueError("a length beyond the end of the file")
        place += n_bytes
        return content[place - n_bytes : place]

    n_entries = number()
    if n_entries < 1:
        raise ValueError("no entries")
    entries = {}
    for _ in range(n_entries):
        name = taken(number()).decode()
        n_calls, n_values = number(), number()
        if n_calls < 0:
            raise ValueError("a negative number of calls")
        sums = np.frombuffer(taken(4 * n_values), np.float32).astype(np.float64)
        # If there were no calls, llama-quantize uses the values unchanged.
        entries[name] = TensorActivations(sums.reshape(1, -1), np.array([max(n_calls, 1)], np.float64))
    chunk_count, datasets = 0, tuple[str, ...]()
    if place < len(content):
        chunk_count = number()
        datasets = (taken(number()).decode(),) if len(content) > place + 4 else ()
    return Imatrix(entries, datasets, chunk_count, 0)


def _entry(file: Path, sums: TensorInfo, counts: TensorInfo) -> TensorActivations:
    tokens = _floats(file, counts).astype(np.float64)
    return TensorActivations(_floats(file, sums).astype(np.float64).reshape(len(tokens), -1), tokens)


def _weighting(metadata: Mapping[str, object]) -> TokenWeighting | None:
    """Return the token weighting stored in the file; None if it is missing or incomplete."""
    rules, weights, tokens = metadata.get(f"{_WEIGHTS}.rules"), dict[str, float](), dict[str, int]()
    for kind in TokenClass:
        weight, count = (metadata.get(f"{_WEIGHTS}.{kind.label}{what}") for what in ("", ".tokens"))
        if isinstance(weight, float) and isinstance(count, int):
            weights[kind.label], tokens[kind.label] = weight, count
    if not isinstance(rules, str) or len(weights) < len(TokenClass):
        return None
    return make_weighting(rules, weights, tokens)


def _floats(file: Path, tensor: TensorInfo) -> NDArray[np.float32]:
    return np.fromfile(file, np.float32, tensor.n_elements, offset=tensor.offset)
