"""Checks of a GGUF's header before llama.cpp reads the file. llama.cpp aborts the process for some wrong headers.

`gguf_layout` has already checked that all counts and lengths are within the file. What can only be seen by loading the
model (tensors of its architecture that are missing, values in its weights) is left to `isolated_trial`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import gguf
import numpy as np

from actors.llama import ggml
from actors.llama.gguf_layout import ArrayValue, Layout, NotGgufError, TensorInfo

_T = gguf.GGUFValueType
_NAME_BYTES = 64
"""GGML_MAX_NAME: a tensor's name and its closing zero must fit."""
_SHOWN = 80
_INTEGERS = (_T.UINT32, _T.INT32)
_TOKEN_TYPES = range(7)
"""UNDEFINED to BYTE (enum llama_token_type)."""
_MOST_TOKENS = 2**22
_NO_MODEL = {"clip": "the vision or audio part (mmproj) of a model", "adapter": "an adapter (LoRA)"}


class WrongHeaderError(NotGgufError):
    """The header can be read, but what it says cannot be true of a model."""


class Bounds(NamedTuple):
    """The smallest and the largest value that is allowed."""

    least: float
    most: float


_COUNTS = {
    "context_length": Bounds(1, 2**30),
    "embedding_length": Bounds(1, 2**20),
    "block_count": Bounds(1, 512),  # LLAMA_MAX_LAYERS
    "vocab_size": Bounds(1, _MOST_TOKENS),
    "expert_count": Bounds(0, 512),  # LLAMA_MAX_EXPERTS
    "expert_used_count": Bounds(0, 512),
    "rope.dimension_count": Bounds(0, 2**16),
    "attention.key_length": Bounds(1, 2**16),
    "attention.value_length": Bounds(1, 2**16),
    "ssm.conv_kernel": Bounds(1, 2**10),
    "ssm.inner_size": Bounds(1, 2**22),
    "ssm.state_size": Bounds(1, 2**16),
    "ssm.time_step_rank": Bounds(1, 2**20),
}
"""Hyperparameters that llama.cpp reads as one UINT32, behind the architecture's name."""
_COUNTS_BY_LAYER = {
    "feed_forward_length": Bounds(0, 2**24),
    "attention.head_count": Bounds(0, 2**14),
    "attention.head_count_kv": Bounds(0, 2**14),
}
"""Hyperparameters that may also be an array with one value per layer."""
_FLOATS = {
    "attention.layer_norm_epsilon": Bounds(0, 1),
    "attention.layer_norm_rms_epsilon": Bounds(0, 1),
    "attention.group_norm_epsilon": Bounds(0, 1),
    "rope.freq_base": Bounds(1e-3, 1e15),
    "rope.scaling.factor": Bounds(0, 1e6),
}
"""Hyperparameters that llama.cpp reads as one FLOAT32."""
_TEXTS = (
    "general.architecture",
    "general.name",
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
    "tokenizer.chat_template",
)
_SWITCHES = tuple(
    f"tokenizer.ggml.{name}"
    for name in ("add_bos_token", "add_eos_token", "add_sep_token", "add_space_prefix", "remove_extra_whitespaces")
)
_ARRAYS = {
    "tokenizer.ggml.tokens": (_T.STRING,),
    "tokenizer.ggml.merges": (_T.STRING,),
    "tokenizer.ggml.scores": (_T.FLOAT32,),
    "tokenizer.ggml.token_type": _INTEGERS,
    "tokenizer.ggml.precompiled_charsmap": (_T.UINT8, _T.INT8),
}


def check_structure(layout: Layout) -> None:
    """Raise `WrongHeaderError` unless the tensor table can be right: names, shapes, and data side by side.

    llama.cpp has the same rules (ggml/src/gguf.cpp).
    """
    for name, number in Counter(tensor.name for tensor in layout.tensors).items():
        if number > 1:
            raise WrongHeaderError(f"it has {number} tensors named {name[:_SHOWN]!r}")
    before: TensorInfo | None = None
    for tensor in layout.tensors:
        named = f"tensor {tensor.name[:_SHOWN]!r}"
        if not 0 < len(tensor.name.encode()) < _NAME_BYTES:
            raise WrongHeaderError(f"{named} must have a name of 1 to {_NAME_BYTES - 1} bytes")
        if not tensor.shape or min(tensor.shape) < 1:
            raise WrongHeaderError(f"{named} has the shape {list(tensor.shape)}")
        block = ggml.tensor_types()[tensor.type].block
        if tensor.shape[0] % block:
            raise WrongHeaderError(f"{named} has rows of {tensor.shape[0]}, no multiple of {block} ({tensor.type})")
        if before is not None and before.part == tensor.part:
            end = before.offset + -(-before.n_bytes // layout.alignment) * layout.alignment
            if tensor.offset != end:
                raise WrongHeaderError(f"the data of {named} begin at byte {tensor.offset:,}, not at {end:,}")
        elif not tensor.part and tensor.offset != layout.tensors_offset:
            raise WrongHeaderError(f"the data of {named} begin at byte {tensor.offset:,}, not behind the header")
        before = tensor


def check_model(layout: Layout) -> None:
    """Raise `WrongHeaderError` unless the metadata can be those of a language model with these tensors."""
    architecture = _check_kind(layout)
    _check_types(layout, architecture)
    _check_finite(layout)
    n_tokens = _check_vocabulary(layout)
    _check_hyperparameters(layout, architecture)
    _check_shapes(layout, architecture, n_tokens)


def _check_kind(layout: Layout) -> str:
    """Return the architecture. Raise if the file holds something else than a model."""
    architecture, kind = (layout.metadata.get(f"general.{what}") for what in ("architecture", "type"))
    if not isinstance(architecture, str) or not re.fullmatch(r"[\w.-]{1,64}", architecture, re.ASCII):
        raise WrongHeaderError("it names no architecture")
    for one in (architecture, kind):
        if isinstance(one, str) and one in _NO_MODEL:
            raise WrongHeaderError(f"it holds {_NO_MODEL[one]}, and no model of its own")
    return architecture


def _check_types(layout: Layout, architecture: str) -> None:
    """Raise unless each key has the type that llama.cpp asks for. For some keys, another type ends the process."""
    wanted: dict[str, tuple[gguf.GGUFValueType, ...]] = dict.fromkeys(_TEXTS, (_T.STRING,))
    wanted |= dict.fromkeys(_SWITCHES, (_T.BOOL,))
    wanted |= dict.fromkeys((f"{architecture}.{name}" for name in _COUNTS), (_T.UINT32,))
    wanted |= dict.fromkeys((f"{architecture}.{name}" for name in _COUNTS_BY_LAYER), (_T.UINT32, _T.ARRAY))
    wanted |= dict.fromkeys((f"{architecture}.{name}" for name in _FLOATS), (_T.FLOAT32,))
    ids = [key for key in layout.metadata if re.fullmatch(r"tokenizer\.ggml\.\w+_token_id", key)]
    wanted |= dict.fromkeys(("general.file_type", *ids), (_T.UINT32,))
    wanted |= dict.fromkeys(_ARRAYS, (_T.ARRAY,))
    for key, kinds in wanted.items():
        if key in layout.metadata and layout.kind(key) not in kinds:
            raise WrongHeaderError(f"{key} is of type {layout.kind(key).name}, not {_names(kinds)}")
    elements = _ARRAYS | {f"{architecture}.{name}": _INTEGERS for name in _COUNTS_BY_LAYER}
    for key, kinds in elements.items():
        value = layout.metadata.get(key)
        if isinstance(value, ArrayValue) and layout.element_kind(key) not in kinds:
            raise WrongHeaderError(f"{key} holds values of type {layout.element_kind(key).name}, not {_names(kinds)}")


def _names(kinds: Iterable[gguf.GGUFValueType]) -> str:
    return " or ".join(kind.name for kind in kinds)


def _check_finite(layout: Layout) -> None:
    """Raise if a number of the metadata is infinite or NaN."""
    for key, value in layout.metadata.items():
        if isinstance(value, float):
            finite = math.isfinite(value)
        elif isinstance(value, ArrayValue) and layout.element_kind(key) in (_T.FLOAT32, _T.FLOAT64):
            finite = bool(np.isfinite(layout.numbers(key)).all())
        else:
            continue
        if not finite:
            raise WrongHeaderError(f"{key[:_SHOWN]!r} is not a finite number")


def _check_vocabulary(layout: Layout) -> int:
    """Return the number of tokens. llama.cpp reads a score and a type for each, even behind the end of their arrays."""
    key = "tokenizer.ggml.tokens"
    if key not in layout.metadata or "tokenizer.ggml.model" not in layout.metadata:
        raise WrongHeaderError(f"it has no vocabulary ({key}, tokenizer.ggml.model)")
    # llama.cpp gives empty tokens names of their own.
    tokens = [token or b"[EMPTY_%d]" % number for number, token in enumerate(layout.texts(key))]
    if not 0 < len(tokens) <= _MOST_TOKENS:
        raise WrongHeaderError(f"{key} has {len(tokens):,} tokens")
    if len(set(tokens)) < len(tokens):
        raise WrongHeaderError(f"{key} has {len(tokens) - len(set(tokens)):,} tokens twice")
    for name in ("scores", "token_type"):
        value = layout.metadata.get(f"tokenizer.ggml.{name}")
        if isinstance(value, ArrayValue) and value.count != len(tokens):
            raise WrongHeaderError(f"tokenizer.ggml.{name} has {value.count:,} values for {len(tokens):,} tokens")
    types = "tokenizer.ggml.token_type"
    if types in layout.metadata and not np.isin(layout.numbers(types), _TOKEN_TYPES).all():
        raise WrongHeaderError(f"{types} has types that llama.cpp does not know")
    return len(tokens)


def _check_hyperparameters(layout: Layout, architecture: str) -> None:
    """Raise if a hyperparameter is out of bounds, or has another number of layers."""
    for name, bounds in (_COUNTS | _FLOATS | _COUNTS_BY_LAYER).items():
        key = f"{architecture}.{name}"
        value = layout.metadata.get(key)
        if value is None:
            continue
        values = layout.numbers(key).tolist() if isinstance(value, ArrayValue) else [float(value)]
        wrong = next((one for one in values if not bounds.least <= one <= bounds.most), None)
        if wrong is not None:
            raise WrongHeaderError(f"{key} is {wrong:,g}, not from {bounds.least:,g} to {bounds.most:,g}")
        n_layers = layout.metadata.get(f"{architecture}.block_count")
        if isinstance(value, ArrayValue) and value.count != n_layers:
            raise WrongHeaderError(f"{key} has {value.count:,} values for {n_layers} layers")
    experts, used = (layout.metadata.get(f"{architecture}.expert_{what}", 0) for what in ("count", "used_count"))
    if isinstance(experts, int) and isinstance(used, int) and (used > experts or (experts and not used)):
        raise WrongHeaderError(f"it uses {used} of {experts} experts")


def _check_shapes(layout: Layout, architecture: str, n_tokens: int) -> None:
    """Raise if tensors that every architecture has do not fit the hyperparameters."""
    width, n_layers = (layout.metadata.get(f"{architecture}.{name}") for name in ("embedding_length", "block_count"))
    for name, value in (("embedding_length", width), ("block_count", n_layers)):
        if value is None:
            raise WrongHeaderError(f"{architecture}.{name} is missing")
    shapes = {tensor.name: tensor.shape for tensor in layout.tensors}
    if shapes.get("token_embd.weight") != (width, n_tokens):
        got = list(shapes.get("token_embd.weight", ()))
        raise WrongHeaderError(f"token_embd.weight has the shape {got}, not {[width, n_tokens]}")
    for name, shape in shapes.items():
        block = re.match(r"blk\.(\d{1,9})\.(.*)", name)
        if block and int(block[1]) >= int(str(n_layers)):
            raise WrongHeaderError(f"it has tensor {name!r}, but only {n_layers} layers")
        if name in ("output.weight", "output_norm.weight") or (block and block[2] == "attn_norm.weight"):
            if shape[0] != width:
                raise WrongHeaderError(f"{name!r} has rows of {shape[0]}, not {width}")
        elif block and re.fullmatch(r"attn_(q|k|v|qkv)\.weight", block[2]) and len(shape) < 2:
            raise WrongHeaderError(f"{name!r} is no matrix")
