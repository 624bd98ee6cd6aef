"""Hugging Face checkpoints: which files belong to one, whether they are complete, and which type holds it losslessly.

Weights are read as safetensors only: other formats are pickles, which can run code when they are opened. Programs in a
checkpoint's folder are never among its files. `convert` does the conversion.
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
"""The model card. Its header names licence and base model, which go into the GGUF's metadata."""
_LOSSLESS = {frozenset({"BF16"}): "bf16", frozenset({"F16"}): "f16"}
_OUTTYPE_BYTES = {"f32": 4, "f16": 2, "bf16": 2}
_NEVER_LARGER = 64 * 2**20
"""Larger safetensors headers are refused, as other readers do (the format's own library refuses above 100 MB)."""


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint."""

    folder: Path
    name: str
    architecture: str
    """As named in config.json: `LlamaForCausalLM`."""
    files: tuple[str, ...]
    """Names of all files that the converter may read, sorted."""
    outtype: str
    """`bf16`, `f16` or `f32`: the smallest type that holds every matrix exactly."""
    quantized_as: str | None
    """For example `fp8`, if the checkpoint was published quantized. It is dequantized when it is converted."""
    has_own_code: bool
    """True if its configuration names programs to load with it. They are never loaded."""
    gguf_bytes: int
    """Estimated size of the converted file."""


def small_files(names: Collection[str]) -> list[str]:
    """Return the files of a repository that a conversion may read, except the weights."""
    return sorted(name for name in names if "/" not in name and (name.endswith(_SMALL_SUFFIXES) or name == _CARD))


def weight_files(names: Collection[str], index: Mapping[str, Any] | None, *, key: str, got: str) -> list[str]:
    """Return the safetensors files: those named in the index, or `model*.safetensors` without an index.

    The index comes first because repositories may contain the same weights twice, under different names. Raise
    `BadInput` if it names anything but safetensors files of the same folder: a pickle, say, or `../other.safetensors`.
    """
    if index is not None:
        named = index.get("weight_map")
        files = {str(file) for file in named.values()} if isinstance(named, dict) else set()
        others = sorted(file for file in files if "/" in file or "\\" in file or not file.endswith(".safetensors"))
        if others:
            allowed = f"a {INDEX} that names safetensors files of its own folder (it names {others[0]!r})"
            raise BadInput(Fault(key, got, allowed, "Save the checkpoint as safetensors."))
        return sorted(files)
    return sorted(name for name in names if name.startswith("model") and name.endswith(".safetensors"))


def check_kind(names: Collection[str], *, key: str, got: str) -> None:
    """Raise `BadInput` if a folder or repository with these files is not a checkpoint that can be converted."""
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
        step = "Save it as safetensors: pickles may run code and are never opened."
        fault = Fault(key, got, f"{allowed} (its weights are pickles)", step)
    else:
        missing = CONFIG if CONFIG not in names else "model*.safetensors"
        fault = Fault(key, got, f"{allowed} (there is no {missing})", "Name the folder that has it.")
    raise BadInput(fault)


def read_checkpoint(folder: Path, name: str, *, key: str, got: str) -> Checkpoint:
    """Read the configuration and the tensor headers of a checkpoint, but no tensor data.

    Args:
        folder: contains the files, or links to them.
        name: name of the model in the converted file.
        key: flag to name in error messages.
        got: value that the user gave.

    Raises:
        BadInput: a file is missing, cut short, or not what its name says.
    """
    try:
        names = [path.name for path in folder.iterdir() if path.is_file()]
    except OSError as error:
        raise BadInput(Fault(key, got, f"a readable folder ({error.strerror})", "Check the path.")) from error
    check_kind(names, key=key, got=got)
    config = read_object(folder / CONFIG, key=key, got=got)
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or not architectures:
        raise BadInput(Fault(key, got, f"a {CONFIG} that names its `architectures`", "Use the model's original file."))
    index = read_object(folder / INDEX, key=key, got=got) if INDEX in names else None
    weights = weight_files(names, index, key=key, got=got)
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
    """Return the content of a JSON file that holds an object. Raise `BadInput` for anything else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(Fault(key, got, f"a readable {path.name} ({error})", "Download or copy it again.")) from error
    if not isinstance(values, dict):
        raise BadInput(Fault(key, got, f"a {path.name} that holds an object", "Download or copy it again."))
    return values


@dataclass(frozen=True)
class _Tensor:
    """One entry of a safetensors header."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def n_elements(self) -> int:
        return math.prod(self.shape)


def _tensors(path: Path, *, key: str, got: str) -> Iterator[_Tensor]:
    """Yield the tensors of a safetensors file from its header: 8 bytes of length, then JSON, then the data."""
    fault = Fault(
        key, got, f"a complete safetensors file ({path.name} is not one, or is cut short)", "Download or copy it again."
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
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise BadInput(fault) from error
    if path.stat().st_size < end:
        raise BadInput(fault)
    yield from tensors


def _outtype(tensors: list[_Tensor], *, quantized: bool) -> str:
    """Return the type that holds each matrix exactly: f32 if their types differ.

    Vectors do not count, because the converter always stores them as f32. Quantized checkpoints are dequantized to
    bf16, the type in which such models are trained.
    """
    if quantized:
        return "bf16"
    kinds = frozenset(tensor.dtype for tensor in tensors if len(tensor.shape) > 1)
    return _LOSSLESS.get(kinds, "f32")
