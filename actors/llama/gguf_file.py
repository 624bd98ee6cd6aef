"""What a GGUF file says about itself, read from its header in a moment; and what makes one unusable as a model.

Tensor data is never touched: `actors.llama.model` loads it. Unusable files are told as bad input, with the next step.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf

from actors.llama.gguf_checks import WrongHeaderError, check_model, check_structure
from actors.llama.gguf_layout import (
    ArrayValue,
    CutShortError,
    Layout,
    MissingPartError,
    NotGgufError,
    Scalar,
    TensorInfo,
    read_layout,
)
from conf.faults import BadInput, Fault

UNQUANTIZED = frozenset({"F32", "F16", "BF16", "F64"})
_ALLOWED = "a GGUF file of a language model"


@dataclass(frozen=True)
class GgufHeader:
    """A model file by its header."""

    path: Path
    parts: tuple[Path, ...]
    """Its files: one, but for a split GGUF, of which `path` is the first."""
    architecture: str
    name: str
    """`general.name`, else the file's stem."""
    file_type: str
    """`Q4_1`, `F16`, ...: what the file says, else the type of most of its weights."""
    n_parameters: int
    n_ctx_train: int
    """Tokens; 0 where the file does not say."""
    n_layers: int
    expert_share: float
    """Part of the experts that a token goes through; 1 where there are none."""
    tensors: tuple[TensorInfo, ...]
    size_bytes: int
    """Of the whole file, all parts."""
    bits_per_weight: float
    """Of the tensor data alone, as llama.cpp counts it."""
    has_chat_template: bool
    dequantized_from: str | None
    """`Q4_1` where most weights are quantized already, so that no arm can be better than that; else None."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """What the file says of its model for people: `license`, `license_name`, `license_link`, `languages`, `repository`;
    only those that are there."""

    @property
    def kv_bytes_per_cell(self) -> int:
        """Bytes that one token takes in an f16 KV cache: two for each output of the key and value projections.

        An estimate for planning memory; layers that keep no such cache (recurrent ones) count nothing.
        """
        numbers = 0
        for tensor in self.tensors:
            kind = tensor.name.partition(".attn_")[2]
            if kind in ("k.weight", "v.weight"):
                numbers += tensor.shape[1]
            elif kind == "qkv.weight":  # queries are as wide as the row
                numbers += tensor.shape[1] - tensor.shape[0]
        return 2 * numbers


def read_header(path: str | Path, *, key: str = "--model") -> GgufHeader:
    """Read the header of a model file.

    Args:
        path: as the user gave it, made absolute.
        key: the flag or configuration key that fault messages name.

    Raises:
        BadInput: missing, a directory, not GGUF, cut short, lacking parts, not a model, or with a wrong header.
    """
    layout = _layout(path, key)
    architecture = _text(layout, "general.architecture")
    if not layout.tensors or architecture is None or _text(layout, "general.type") == "imatrix":
        raise BadInput(Fault(key, str(path), f"{_ALLOWED} (this one holds no model)", "Name the model's own file."))
    try:
        check_structure(layout)
        check_model(layout)
    except WrongHeaderError as error:
        step = "Name a model's own file, or download or make this one again."
        raise BadInput(Fault(key, str(path), f"{_ALLOWED} (this one cannot be loaded: {error})", step)) from error
    n_parameters = sum(tensor.n_elements for tensor in layout.tensors)
    dominant = _dominant_type(layout.tensors)
    file_type = _file_type(layout) or dominant
    return GgufHeader(
        path=Path(path),
        parts=layout.parts,
        architecture=architecture,
        name=_text(layout, "general.name") or Path(path).stem,
        file_type=file_type,
        n_parameters=n_parameters,
        n_ctx_train=int(_scalar(layout, f"{architecture}.context_length", 0)),
        n_layers=int(_scalar(layout, f"{architecture}.block_count", 0)),
        expert_share=_expert_share(layout, architecture),
        tensors=layout.tensors,
        size_bytes=layout.size_bytes,
        bits_per_weight=8 * sum(tensor.n_bytes for tensor in layout.tensors) / n_parameters,
        has_chat_template="tokenizer.chat_template" in layout.metadata,
        dequantized_from=_quantized_name(file_type, dominant),
        labels=_labels(layout),
    )


def _layout(path: str | Path, key: str) -> Layout:
    """The header's bytes, or `BadInput` that says what the path names instead."""
    file = Path(path)
    try:
        if file.is_dir():
            raise BadInput(Fault(key, str(path), f"{_ALLOWED} (this is a folder)", "Name a file in it."))
        if not file.exists():
            raise BadInput(Fault(key, str(path), f"{_ALLOWED} (there is no such file)", "Check the path."))
        return read_layout(file)
    except MissingPartError as error:
        step = "Download or copy what is missing into the same folder."
        raise BadInput(Fault(key, str(path), f"a split GGUF with all of its parts (missing: {error})", step)) from error
    except NotGgufError as error:
        raise BadInput(Fault(key, str(path), f"{_ALLOWED} (this is none: {error})", "Check the file.")) from error
    except CutShortError as error:
        raise BadInput(
            Fault(key, str(path), f"a whole GGUF file (this one is cut short: {error})", "Download or copy it again.")
        ) from error
    except OSError as error:
        raise BadInput(
            Fault(key, str(path), f"a readable file ({error.strerror})", "Check its permissions.")
        ) from error


def _scalar(layout: Layout, key: str, default: Scalar) -> Scalar:
    value = layout.metadata.get(key, default)
    # Some architectures give one value a layer; the first is as good as any for a summary.
    return default if isinstance(value, ArrayValue) else value


def _expert_share(layout: Layout, architecture: str) -> float:
    experts, used = (int(_scalar(layout, f"{architecture}.{key}", 0)) for key in ("expert_count", "expert_used_count"))
    return used / experts if experts and used else 1.0


def _text(layout: Layout, key: str) -> str | None:
    value = layout.metadata.get(key)
    return value if isinstance(value, str) else None


def _labels(layout: Layout) -> dict[str, Any]:
    """Keys as the `gguf` package writes them (gguf/constants.py, class Keys.General)."""
    keys = {
        "license": ("general.license",),
        "license_name": ("general.license.name",),
        "license_link": ("general.license.link",),
        "repository": ("general.repo_url", "general.source.huggingface.repository", "general.source.repo_url"),
    }
    found = {name: next(filter(None, (_text(layout, key) for key in tried)), None) for name, tried in keys.items()}
    labels: dict[str, Any] = {name: text for name, text in found.items() if text}
    languages = layout.metadata.get("general.languages")
    if isinstance(languages, ArrayValue) and languages.texts:
        labels["languages"] = list(languages.texts)
    return labels


def _file_type(layout: Layout) -> str | None:
    number = layout.metadata.get("general.file_type")
    if not isinstance(number, int):
        return None
    try:
        return gguf.LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return None


def _dominant_type(tensors: tuple[TensorInfo, ...]) -> str:
    """The type that holds most elements."""
    elements: collections.Counter[str] = collections.Counter()
    for tensor in tensors:
        elements[tensor.type] += tensor.n_elements
    return elements.most_common(1)[0][0]


def _quantized_name(file_type: str, dominant: str) -> str | None:
    if dominant in UNQUANTIZED:
        return None
    # A file that calls itself F16 while most of it is not: its tensors are believed.
    return dominant if file_type in UNQUANTIZED else file_type
