"""A Hugging Face checkpoint: which files belong to it, whether they are whole, and in which type it fits losslessly.

Weights are read as safetensors only: other formats are pickles, which run code when they are opened. Programs in a
checkpoint's folder are never among its files. Converting it is `convert`'s.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conf.faults import BadInput, Fault

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
_SMALL_SUFFIXES = (".json", ".jinja", ".model", ".tiktoken", ".txt")
_CARD = "README.md"
"""The model card: its head has licence and base model, which a GGUF's metadata keeps."""
_LOSSLESS = {frozenset({"BF16"}): "bf16", frozenset({"F16"}): "f16"}
_OUTTYPE_BYTES = {"f32": 4, "f16": 2, "bf16": 2}
_NEVER_LARGER = 64 * 2**20
"""A header of a safetensors file is refused past this, as other readers do (100 MB in the format's own library)."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files are all there."""

    folder: Path
    name: str
    architecture: str
    """As config.json names it: `LlamaForCausalLM`."""
    files: tuple[str, ...]
    """Names of all files that a conversion may read, sorted."""
    outtype: str
    """`bf16`, `f16` or `f32`: the smallest that holds every matrix as it is."""
    quantized_as: str | None
    """`fp8`, say: it was published quantized, and is dequantized when converted."""
    has_own_code: bool
    """Its configuration names programs to be loaded with it; they are not."""
    gguf_bytes: int
    """About the size of the converted file."""


def small_files(names: Collection[str]) -> list[str]:
    """Of a repository's files, those that are no weights and that a conversion may read."""
    return sorted(name for name in names if "/" not in name and (name.endswith(_SMALL_SUFFIXES) or name == _CARD))


def weight_files(names: Collection[str], index: Mapping[str, Any] | None) -> list[str]:
    """The safetensors files: those that the index names, else `model*.safetensors`.

    The index goes first because repositories may carry the same weights a second time, under other names.
    """
    if index is not None:
        named = index.get("weight_map")
        return sorted({str(file) for file in named.values()}) if isinstance(named, dict) else []
    return sorted(name for name in names if name.startswith("model") and name.endswith(".safetensors"))


def check_kind(names: Collection[str], *, key: str, got: str) -> None:
    """Raise `BadInput` where a folder or repository with these files is no checkpoint that can be converted."""
    allowed = f"a checkpoint: {CONFIG} and model*.safetensors"
    ggufs = sorted(name for name in names if name.endswith(".gguf"))
    has_weights = any(name.startswith("model") and name.endswith(".safetensors") for name in names)
    if has_weights and CONFIG in names:
        return
    if not names:
        fault = Fault(key, got, f"{allowed} (it is empty)", "Check the path.")
    elif ggufs:
        more = f" or one of {len(ggufs) - 3} more" if len(ggufs) > 3 else ""
        step = f"Name one of its files: {', '.join(f'{got}/{name}' for name in ggufs[:3])}{more}."
        fault = Fault(key, got, f"{allowed}, or one GGUF file", step)
    elif "adapter_config.json" in names:
        fault = Fault(key, got, f"{allowed} (this is an adapter)", "Merge it into its base model first.")
    elif not has_weights and any(name.endswith((".bin", ".pt", ".pth")) for name in names):
        step = "Save it as safetensors; pickles may run code and are not opened."
        fault = Fault(key, got, f"{allowed} (its weights are pickles)", step)
    else:
        missing = CONFIG if CONFIG not in names else "model*.safetensors"
        fault = Fault(key, got, f"{allowed} (there is no {missing})", "Name the folder that has it.")
    raise BadInput(fault)


def read_checkpoint(folder: Path, name: str, *, key: str, got: str) -> Checkpoint:
    """Read configuration and headers of a checkpoint; no tensor data.

    Args:
        folder: where the files lie, itself or as links.
        name: what the model is called in the converted file.
        key: the flag that fault messages name.
        got: what the user gave.

    Raises:
        BadInput: files are missing, cut short, or not what their names say.
    """
    try:
        names = [path.name for path in folder.iterdir() if path.is_file()]
    except OSError as error:
        raise BadInput(Fault(key, got, f"a readable folder ({error.strerror})", "Check the path.")) from error
    check_kind(names, key=key, got=got)
    config = read_object(folder / CONFIG, key=key, got=got)
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or not architectures:
        raise BadInput(Fault(key, got, f"a {CONFIG} that names its `architectures`", "Take the model's own."))
    index = read_object(folder / INDEX, key=key, got=got) if INDEX in names else None
    weights = weight_files(names, index)
    missing = [file for file in weights if file not in names]
    if missing or not weights:
        what = ", ".join(missing[:3]) or "every file"
        raise BadInput(Fault(key, got, f"all files that {INDEX} names (missing: {what})", "Download or copy it again."))
    tensors = [tensor for file in weights for tensor in _tensors(folder / file, key=key, got=got)]
    quantization = config.get("quantization_config") or {}
    quantized_as = str(quantization.get("quant_method", "unknown")) if quantization else None
    outtype = _outtype(tensors, quantized=quantized_as is not None)
    settings = [config] + [
        read_object(folder / file, key=key, got=got) for file in ("tokenizer_config.json",) if file in names
    ]
    return Checkpoint(
        folder=folder,
        name=name,
        architecture=str(architectures[0]),
        files=tuple(sorted({*small_files(names), *weights})),
        outtype=outtype,
        quantized_as=quantized_as,
        has_own_code=any("auto_map" in values for values in settings),
        gguf_bytes=sum(tensor.n_elements for tensor in tensors) * _OUTTYPE_BYTES[outtype],
    )


def read_object(path: Path, *, key: str, got: str) -> dict[str, Any]:
    """A JSON file that holds an object. Raises `BadInput` for anything else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(Fault(key, got, f"a readable {path.name} ({error})", "Download or copy it again.")) from error
    if not isinstance(values, dict):
        raise BadInput(Fault(key, got, f"a {path.name} that holds an object", "Download or copy it again."))
    return values


@dataclass(frozen=True)
class _Tensor:
    """A row of a safetensors header."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def n_elements(self) -> int:
        return math.prod(self.shape)


def _tensors(path: Path, *, key: str, got: str) -> Iterator[_Tensor]:
    """The header of a safetensors file: 8 bytes of length, JSON, then the data that it describes."""
    fault = Fault(
        key, got, f"a whole safetensors file ({path.name} is none, or cut short)", "Download or copy it again."
    )
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _NEVER_LARGER:
                raise BadInput(fault)
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        rows = list(header.values())
        end = 8 + length + max((row["data_offsets"][1] for row in rows), default=0)
        tensors = [_Tensor(row["dtype"], tuple(row["shape"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise BadInput(fault) from error
    if path.stat().st_size < end:
        raise BadInput(fault)
    yield from tensors


def _outtype(tensors: list[_Tensor], *, quantized: bool) -> str:
    """The type that holds each matrix exactly; f32 where they differ.

    Vectors do not count: the converter keeps them as f32. What was quantized is dequantized into bf16, the type that
    such models are trained in.
    """
    if quantized:
        return "bf16"
    kinds = frozenset(tensor.dtype for tensor in tensors if len(tensor.shape) > 1)
    return _LOSSLESS.get(kinds, "f32")
