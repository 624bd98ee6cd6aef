"""Type overrides for single tensors: the possible types, the tensors that each applies to, and llama.cpp's arguments.

`requested_types` repeats the rules of llama.cpp's `llama_tensor_get_type` (src/llama-quant.cpp) on purpose: a new file
is checked against what was requested, not against what llama.cpp says it did.
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
from actors.patterns import PatternOverLimit, searcher
from conf.faults import BadInput, Fault, near_names


@dataclass(frozen=True)
class TypeOverrides:
    """Tensors that get a different type than the method would give them. Types are ggml's, in lower case (`q4_k`)."""

    output: str | None = None
    embedding: str | None = None
    tensors: tuple[tuple[str, str], ...] = ()
    """Pairs of a regular expression and a type. The first expression that is found in the tensor's name counts."""

    @property
    def types(self) -> tuple[str, ...]:
        """All types in these overrides."""
        named = (self.output, self.embedding, *(kind for _, kind in self.tensors))
        return tuple(kind for kind in named if kind is not None)


NO_OVERRIDES = TypeOverrides()


_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")
"""Characters with a meaning in regular expressions, in Python and in C++."""
_OUTPUT = "output.weight"
_EMBEDDINGS = ("token_embd.weight", "per_layer_token_embd.weight")


@dataclass(frozen=True)
class RequestedType:
    """The type that an override requests for a tensor."""

    by: str
    """The override: `output`, `embedding` or the regular expression."""
    type: str
    """Upper case, for example `Q8_0`."""
    strict: bool
    """True: if the rows do not fit this type, llama.cpp fails instead of using a fallback type."""


@functools.cache
def settable_types() -> tuple[str, ...]:
    """Return the tensor types that quantization can write, in lower case: those that file types use.

    ggml has more types (`q8_1`, `q8_k`, integers). They are for computation only, and files with them would be garbage.
    """
    names = [name.lower() for name in ggml.tensor_types()]
    return tuple(name for name in names if any(f"{kind}_".startswith(f"{name}_") for kind in known_types()))


def resolve_tensor_type(name: str, *, key: str) -> str:
    """Return the tensor type for a name in any letter case. Raise `BadInput` with similar names if it is unknown."""
    known = settable_types()
    if name.lower() not in known:
        raise BadInput(Fault(key, name, f"a tensor type: one of {', '.join(known)}", near_names(name, known)))
    return name.lower()


def bits_of(method: str) -> int:
    """Return the bits per weight of a file type: 4 for `q4_k_m` and all other q4 types.

    It is computed from ggml's block sizes. The scales take at most one bit per weight.
    """
    family = method.partition("_")[0]
    kinds = [kind for name, kind in ggml.tensor_types().items() if name.lower().partition("_")[0] == family]
    return min(
        math.ceil(8 * kind.block_bytes / kind.block) - 1 for kind in kinds if kind.name.lower() in settable_types()
    )


def check_pattern(pattern: str, *, key: str) -> None:
    """Raise `BadInput` if this is not a regular expression, or if llama.cpp would read it differently."""
    try:
        with warnings.catch_warnings():
            # `[[:alpha:]]` is a character class in C++ but not in Python. Python warns about it.
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, Warning, OverflowError, RecursionError, MemoryError) as error:
        allowed = f"a regular expression for tensor names, for example blk\\.0\\..* (error: {error})"
        raise BadInput(Fault(key, pattern, allowed, "Use sets such as [0-9].")) from None


def exact_pattern(name: str) -> str:
    """Return the regular expression that matches this tensor's name only, in Python and in C++."""
    return "^" + _SPECIAL.sub(r"\\\g<0>", name) + "$"


def requested_types(names: Collection[str], overrides: TypeOverrides) -> dict[str, RequestedType]:
    """Return the types that the overrides request, one entry per tensor name, for a model with these tensors."""
    tied = _OUTPUT not in names
    by_pattern = _first_found(names, overrides)
    ordered = {}
    for name in names:
        found = _requested_type(name, overrides, by_pattern.get(name), tied)
        if found is not None:
            ordered[name] = found
    return ordered


def _first_found(names: Collection[str], overrides: TypeOverrides) -> dict[str, tuple[str, str]]:
    """Return the first expression that is found in each tensor's name, with its type, for names that have one."""
    if not overrides.tensors:
        return {}
    numbers = searcher().first_found([pattern for pattern, _ in overrides.tensors], list(names))
    return {name: overrides.tensors[found] for name, found in zip(names, numbers, strict=True) if found is not None}


def _requested_type(
    name: str, overrides: TypeOverrides, by_name: tuple[str, str] | None, tied: bool
) -> RequestedType | None:
    is_table = name in _EMBEDDINGS
    # `embedding` always applies to token_embd. It applies to per_layer_token_embd unless an expression matches that.
    if overrides.embedding and is_table and not (by_name and name == _EMBEDDINGS[1]):
        return RequestedType("embedding", overrides.embedding.upper(), strict=True)
    if overrides.output and name == _OUTPUT:
        return RequestedType("output", overrides.output.upper(), strict=True)
    if by_name is not None:
        return RequestedType(by_name[0], by_name[1].upper(), strict=False)
    if overrides.output and tied and is_table:
        return RequestedType("output", overrides.output.upper(), strict=False)
    return None


def check_fit(tensors: Sequence[TensorInfo], overrides: TypeOverrides, *, key: str) -> None:
    """Check overrides against a model. llama.cpp would ignore some of these errors, and abort the process for others.

    Raises:
        BadInput: an expression matches no tensor name or takes too long, or a tensor cannot have the requested type.
    """
    names = [tensor.name for tensor in tensors]
    try:
        faults = [
            Fault(f"{key}.tensors", one, "a regular expression that is found in a tensor's name", "No tensor matches.")
            for one, _ in overrides.tensors
            if not any(number is not None for number in searcher().first_found([one], names))
        ]
        ordered = requested_types(names, overrides)
    except PatternOverLimit as error:
        allowed = f"a regular expression that is searched quickly in the names of tensors ({error})"
        step = "Nested repetitions such as (a+)+ take very long: write a+."
        raise BadInput(Fault(f"{key}.tensors", error.pattern, allowed, step)) from None
    for tensor in tensors:
        order = ordered.get(tensor.name)
        if order is None:
            continue
        kind = ggml.tensor_types()[order.type]
        if order.strict and tensor.shape[0] % kind.block:
            allowed = f"a type whose blocks fit {tensor.name}, with rows of {tensor.shape[0]} values"
            faults.append(Fault(f"{key}.{order.by}", kind.name.lower(), allowed, "q8_0 fits most rows, f16 fits all."))
        if tensor.name in (_OUTPUT, *_EMBEDDINGS) and ggml.requires_importance(kind):
            allowed = f"a type that works without importance: the matrix may have no data for {tensor.name}"
            faults.append(Fault(f"{key}.{order.by}", kind.name.lower(), allowed, "Use for example iq3_s or q3_k."))
    if faults:
        raise BadInput(faults)


def apply_overrides(
    params: llama_cpp.llama_model_quantize_params, overrides: TypeOverrides, names: Collection[str]
) -> object:
    """Set the overrides in `params`, for a model with tensors of these names.

    llama.cpp gets each tensor's exact name: a search for the user's expression could keep it busy for ever, and its
    library for expressions reads some of them differently. Keep the returned object alive as long as `params` is used.
    """
    kinds = ggml.tensor_types()
    if overrides.output:
        params.output_tensor_type = kinds[overrides.output.upper()].number
    if overrides.embedding:
        params.token_embedding_type = kinds[overrides.embedding.upper()].number
    by_name = _first_found(names, overrides)
    if not by_name:
        return None
    # One extra entry: a null pattern ends the array.
    entries = (llama_cpp.llama_model_tensor_override * (len(by_name) + 1))()
    for entry, (name, (_, kind)) in zip(entries, by_name.items(), strict=False):
        entry.pattern = exact_pattern(name).encode()
        entry.type = kinds[kind.upper()].number
    params.tt_overrides = ctypes.cast(entries, ctypes.POINTER(llama_cpp.llama_model_tensor_override))
    return entries
