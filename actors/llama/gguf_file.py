"""Read the header of a GGUF model file, and reject files that cannot be used as a model.

Reading takes a moment, because tensor data is never read here (`actors.llama.model` loads it). An unusable file raises
`BadInput`, with the next step for the user.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf

from actors.llama.cache_sizes import CacheNumbers, kv_bytes_per_cell
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
_LAYER = re.compile(r"blk\.(\d+)\.")
_ALLOWED = "a GGUF file of a language model"
_MOST_BASE_MODELS = 8
"""Most base models of a merged model that are named."""


@dataclass(frozen=True)
class GgufHeader:
    """Facts about a model file, from its header."""

    path: Path
    parts: tuple[Path, ...]
    """All files of the model. A split GGUF has several, and `path` is the first."""
    architecture: str
    name: str
    """`general.name`, or the stem of the file name."""
    file_type: str
    """For example `Q4_1` or `F16`. Taken from the metadata, otherwise the type of most weights."""
    n_parameters: int
    n_ctx_train: int
    """Context length from training, in tokens. 0 if the file does not state it."""
    n_layers: int
    expert_share: float
    """Fraction of the experts that are active per token. 1 if the model has no experts."""
    tensors: tuple[TensorInfo, ...]
    size_bytes: int
    """Size of all parts together."""
    bits_per_weight: float
    """Bits of tensor data per weight, as llama.cpp counts them. The header is not included."""
    has_chat_template: bool
    dequantized_from: str | None
    """The type, such as `Q4_1`, if most weights are already quantized: no arm can be better. Otherwise None."""
    cache_numbers: CacheNumbers = field(default_factory=CacheNumbers)
    """What decides the sizes of KV cache and states beside the tensors."""
    has_sliding_window: bool = False
    """True if some layers attend to a window only. They have a KV cache of their own."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """Information for people, as far as the file has it: `license`, `license_name`, `license_link`, `repository`,
    `name`, `author`, `organization`, `languages`, `base_models`, `context_length`, `tokenizer` (its kind) and
    `vocabulary` (its number of tokens)."""

    @property
    def kv_bytes_per_cell(self) -> int:
        """Bytes per token in an f16 KV cache, of all layers together, for memory planning."""
        return sum(kv_bytes_per_cell(number, layer, self.cache_numbers) for number, layer in self.layers.items())

    @property
    def layers(self) -> dict[int, dict[str, TensorInfo]]:
        """The tensors of each layer, by its number and by their names without it."""
        found: dict[int, dict[str, TensorInfo]] = {}
        for tensor in self.tensors:
            if match := _LAYER.match(tensor.name):
                found.setdefault(int(match[1]), {})[tensor.name[match.end() :]] = tensor
        return found


def read_header(path: str | Path, *, key: str = "--model") -> GgufHeader:
    """Read the header of a model file.

    Args:
        path: the user's path, made absolute.
        key: the flag or configuration key to name in error messages.

    Raises:
        BadInput: the file is missing, a folder, not GGUF, truncated or not a model, one of its parts is missing, or its
            header is wrong.
    """
    layout = _layout(path, key)
    architecture = _text(layout, "general.architecture")
    if not layout.tensors or architecture is None or _text(layout, "general.type") == "imatrix":
        raise BadInput(Fault(key, str(path), f"{_ALLOWED} (this file contains no model)", "Give the model file."))
    try:
        check_structure(layout)
        check_model(layout)
    except WrongHeaderError as error:
        step = "Give the file of a model, or download or make this one again."
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
        cache_numbers=_cache_numbers(layout, architecture),
        has_sliding_window=f"{architecture}.attention.sliding_window" in layout.metadata,
        labels=_labels(layout),
    )


def _layout(path: str | Path, key: str) -> Layout:
    """Read the layout of the file. Raise `BadInput` that says what is wrong with the path or the file."""
    file = Path(path)
    try:
        if file.is_dir():
            raise BadInput(Fault(key, str(path), f"{_ALLOWED} (this is a folder)", "Give the path of a file in it."))
        if not file.exists():
            raise BadInput(Fault(key, str(path), f"{_ALLOWED} (there is no such file)", "Check the path."))
        return read_layout(file)
    except MissingPartError as error:
        step = "Download or copy the missing parts into the same folder."
        raise BadInput(Fault(key, str(path), f"a split GGUF with all its parts (missing: {error})", step)) from error
    except NotGgufError as error:
        raise BadInput(Fault(key, str(path), f"{_ALLOWED} (this file is not: {error})", "Check the file.")) from error
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
    # Some architectures store one value per layer. An array is treated like a missing value.
    return default if isinstance(value, ArrayValue) else value


def _cache_numbers(layout: Layout, architecture: str) -> CacheNumbers:
    def number(key: str, default: int = 0) -> int:
        return int(_scalar(layout, f"{architecture}.{key}", default))

    shared = number("attention.shared_kv_layers")
    return CacheNumbers(
        n_heads=_most_heads(layout, f"{architecture}.attention.head_count"),
        n_kv_heads=_most_heads(layout, f"{architecture}.attention.head_count_kv"),
        key_width=number("attention.key_length"),
        value_width=number("attention.value_length"),
        latent=number("attention.key_length_mla") > 0,
        own_layers=number("block_count") - shared if shared else None,
        ssm_state_numbers=number("ssm.state_size") * number("ssm.inner_size"),
        kda_width=number("kda.head_dim"),
        wkv_width=number("wkv.head_size"),
        token_shifts=number("token_shift_count", 2),
    )


def _most_heads(layout: Layout, key: str) -> int:
    value = layout.metadata.get(key, 0)
    return int(layout.numbers(key).max(initial=0)) if isinstance(value, ArrayValue) else int(value)


def _expert_share(layout: Layout, architecture: str) -> float:
    experts, used = (int(_scalar(layout, f"{architecture}.{key}", 0)) for key in ("expert_count", "expert_used_count"))
    return used / experts if experts and used else 1.0


def _text(layout: Layout, key: str) -> str | None:
    value = layout.metadata.get(key)
    return value if isinstance(value, str) else None


def _labels(layout: Layout) -> dict[str, Any]:
    """Return the labels that the file has. Metadata keys: gguf/constants.py of the `gguf` package, Keys.General."""
    keys = {
        "license": ("general.license",),
        "license_name": ("general.license.name",),
        "license_link": ("general.license.link",),
        "repository": ("general.repo_url", "general.source.huggingface.repository", "general.source.repo_url"),
        "name": ("general.name",),
        "author": ("general.author",),
        "organization": ("general.organization",),
    }
    found = {name: next(filter(None, (_text(layout, key) for key in tried)), None) for name, tried in keys.items()}
    labels: dict[str, Any] = {name: text for name, text in found.items() if text}
    languages = layout.metadata.get("general.languages")
    if isinstance(languages, ArrayValue) and languages.texts:
        labels["languages"] = list(languages.texts)
    return labels | _facts(layout)


def _facts(layout: Layout) -> dict[str, Any]:
    """Return what the header says about base models, context and tokenizer."""
    architecture = _text(layout, "general.architecture")
    bases = int(_scalar(layout, "general.base_model.count", 0))
    names = [_text(layout, f"general.base_model.{number}.name") for number in range(min(bases, _MOST_BASE_MODELS))]
    kinds = filter(None, (_text(layout, "tokenizer.ggml.model"), _text(layout, "tokenizer.ggml.pre")))
    tokens = layout.metadata.get("tokenizer.ggml.tokens")
    facts = {
        "base_models": [name for name in names if name],
        "context_length": int(_scalar(layout, f"{architecture}.context_length", 0)),
        "tokenizer": " / ".join(kinds),
        "vocabulary": tokens.count if isinstance(tokens, ArrayValue) else 0,
    }
    return {name: value for name, value in facts.items() if value}


def _file_type(layout: Layout) -> str | None:
    number = layout.metadata.get("general.file_type")
    if not isinstance(number, int):
        return None
    try:
        return gguf.LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return None


def _dominant_type(tensors: tuple[TensorInfo, ...]) -> str:
    """Return the type with the most elements."""
    elements: collections.Counter[str] = collections.Counter()
    for tensor in tensors:
        elements[tensor.type] += tensor.n_elements
    return elements.most_common(1)[0][0]


def _quantized_name(file_type: str, dominant: str) -> str | None:
    if dominant in UNQUANTIZED:
        return None
    # If the file claims to be F16 but most of its tensors are quantized, trust the tensors.
    return dominant if file_type in UNQUANTIZED else file_type
