"""Types for single tensors: which there are, which tensors an override means, and how llama.cpp is told.

Which tensor gets which type follows `llama_tensor_get_type` of llama.cpp (src/llama-quant.cpp), written down here a
second time on purpose: a new file is checked against what was ordered, not against what llama.cpp says it made.
"""

from __future__ import annotations

import ctypes
import functools
import math
import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import llama_cpp

from actors.llama import ggml
from actors.llama.file_types import known_types
from actors.llama.gguf_layout import TensorInfo
from conf.faults import BadInput, Fault, near_names


@dataclass(frozen=True)
class TypeOverrides:
    """Tensors that get another type than the method would give them; types are ggml's, lower case: `q4_k`."""

    output: str | None = None
    embedding: str | None = None
    tensors: tuple[tuple[str, str], ...] = ()
    """Regular expression and type; the first that is found in a tensor's name counts."""

    @property
    def types(self) -> tuple[str, ...]:
        """Every type that is named."""
        named = (self.output, self.embedding, *(kind for _, kind in self.tensors))
        return tuple(kind for kind in named if kind is not None)


NO_OVERRIDES = TypeOverrides()


_OUTPUT = "output.weight"
_EMBEDDINGS = ("token_embd.weight", "per_layer_token_embd.weight")


@dataclass(frozen=True)
class OrderedType:
    """The type that an override orders for a tensor."""

    by: str
    """`output`, `embedding` or the regular expression."""
    type: str
    """Upper case: `Q8_0`."""
    strict: bool
    """True: llama.cpp takes no other type where the rows are too short for this one, but gives up."""


@functools.cache
def settable_types() -> tuple[str, ...]:
    """Tensor types that quantization can write, lower case: those that the file types are made of.

    ggml has more (`q8_1`, `q8_k`, integers), which serve computation and would come out as garbage.
    """
    names = [name.lower() for name in ggml.tensor_types()]
    return tuple(name for name in names if any(f"{kind}_".startswith(f"{name}_") for kind in known_types()))


def resolve_tensor_type(name: str, *, key: str) -> str:
    """The tensor type that a user names, in any case. Raises `BadInput` with near names where there is none."""
    known = settable_types()
    if name.lower() not in known:
        raise BadInput(Fault(key, name, f"a tensor type: one of {', '.join(known)}", near_names(name, known)))
    return name.lower()


def bits_of(method: str) -> int:
    """Bits that a file type gives to a weight: of `q4_k_m`, as of all types called q4, 4.

    ggml tells the bits of a block; scales take at most one whole bit a weight of them.
    """
    family = method.partition("_")[0]
    kinds = [kind for name, kind in ggml.tensor_types().items() if name.lower().partition("_")[0] == family]
    return min(
        math.ceil(8 * kind.block_bytes / kind.block) - 1 for kind in kinds if kind.name.lower() in settable_types()
    )


def check_pattern(pattern: str, *, key: str) -> None:
    """Raise `BadInput` where this is no regular expression, or one that llama.cpp would read differently."""
    try:
        with warnings.catch_warnings():
            # `[[:alpha:]]` is a class to C++, and something else to Python, which warns of it.
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, Warning) as error:
        allowed = f"a regular expression for tensor names, as blk\\.0\\..* is one ({error})"
        raise BadInput(Fault(key, pattern, allowed, "Sets such as [0-9] are read alike by all.")) from None


def ordered_types(names: Collection[str], overrides: TypeOverrides) -> dict[str, OrderedType]:
    """By tensor name, what the overrides order for a model of these tensors."""
    tied = _OUTPUT not in names
    ordered = {}
    for name in names:
        found = _ordered_type(name, overrides, tied)
        if found is not None:
            ordered[name] = found
    return ordered


def _ordered_type(name: str, overrides: TypeOverrides, tied: bool) -> OrderedType | None:
    by_name = next((pair for pair in overrides.tensors if re.search(pair[0], name)), None)
    is_table = name in _EMBEDDINGS
    # The table of every layer follows the embedding unless it is named; the embedding itself always does.
    if overrides.embedding and is_table and not (by_name and name == _EMBEDDINGS[1]):
        return OrderedType("embedding", overrides.embedding.upper(), strict=True)
    if overrides.output and name == _OUTPUT:
        return OrderedType("output", overrides.output.upper(), strict=True)
    if by_name is not None:
        return OrderedType(by_name[0], by_name[1].upper(), strict=False)
    if overrides.output and tied and is_table:
        return OrderedType("output", overrides.output.upper(), strict=False)
    return None


def check_fit(tensors: Sequence[TensorInfo], overrides: TypeOverrides, *, key: str) -> None:
    """Check overrides against a model. llama.cpp would ignore some of these faults, and abort the process at others.

    Raises:
        BadInput: a pattern that no tensor's name has, or a type that a tensor cannot have.
    """
    faults = [
        Fault(f"{key}.tensors", pattern, "a regular expression that is found in a tensor's name", "This one never is.")
        for pattern, _ in overrides.tensors
        if not any(re.search(pattern, tensor.name) for tensor in tensors)
    ]
    ordered = ordered_types([tensor.name for tensor in tensors], overrides)
    for tensor in tensors:
        order = ordered.get(tensor.name)
        if order is None:
            continue
        kind = ggml.tensor_types()[order.type]
        if order.strict and tensor.shape[0] % kind.block:
            allowed = f"a type whose blocks fit {tensor.name}, with rows of {tensor.shape[0]} values"
            faults.append(Fault(f"{key}.{order.by}", kind.name.lower(), allowed, "q8_0 fits most rows, f16 all."))
        if tensor.name in (_OUTPUT, *_EMBEDDINGS) and ggml.requires_importance(kind):
            allowed = f"a type that {tensor.name} can have: an importance matrix need not know that tensor"
            faults.append(Fault(f"{key}.{order.by}", kind.name.lower(), allowed, "Take iq3_s or q3_k, say."))
    if faults:
        raise BadInput(faults)


def apply_overrides(params: llama_cpp.llama_model_quantize_params, overrides: TypeOverrides) -> object:
    """Set the overrides. What is given back must stay alive for as long as the parameters are used."""
    kinds = ggml.tensor_types()
    if overrides.output:
        params.output_tensor_type = kinds[overrides.output.upper()].number
    if overrides.embedding:
        params.token_embedding_type = kinds[overrides.embedding.upper()].number
    if not overrides.tensors:
        return None
    # One more entry than there are overrides: the null pattern ends the array.
    entries = (llama_cpp.llama_model_tensor_override * (len(overrides.tensors) + 1))()
    for entry, (pattern, kind) in zip(entries, overrides.tensors, strict=False):
        entry.pattern = pattern.encode()
        entry.type = kinds[kind.upper()].number
    params.tt_overrides = ctypes.cast(entries, ctypes.POINTER(llama_cpp.llama_model_tensor_override))
    return entries
