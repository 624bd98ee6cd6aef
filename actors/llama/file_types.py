"""The file types that llama.cpp can make, read from the library, and the names that users give them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import llama_cpp

from conf.faults import BadInput, Fault, near_names

# llama.cpp can read these but not make them: llama_ftype_get_default_type (src/llama-quant.cpp) has no entry for them.
_NOT_MADE = frozenset({"guessed", "nvfp4"})
_LOSSLESS = frozenset({"f32", "f16", "bf16"})
# tensor_requires_imatrix (src/llama-quant.cpp) refuses these without an imatrix. A test checks each type.
_NEEDS_IMATRIX = frozenset({"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "iq3_xxs", "iq3_xs", "q2_k_s"})
# Short names that llama-quantize also accepts.
_ALIASES = {"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}


@dataclass(frozen=True)
class QuantType:
    """A file type that llama.cpp can make."""

    name: str
    """Lower case, for example `q4_k_m`."""
    ftype: int
    """llama.cpp's number of the file type."""
    needs_imatrix: bool
    """True if llama.cpp refuses to make it without an importance matrix."""
    lossy: bool
    """False for f32, f16 and bf16, which can serve as a reference."""


@functools.cache
def known_types() -> Mapping[str, QuantType]:
    """Return every type that this build of llama.cpp can make, one entry per lower-case name."""
    types = {}
    for constant, number in vars(llama_cpp).items():
        if not constant.startswith("LLAMA_FTYPE_"):
            continue
        name = constant.removeprefix("LLAMA_FTYPE_").removeprefix("MOSTLY_").removeprefix("ALL_").lower()
        if name not in _NOT_MADE:
            types[name] = QuantType(name, int(number), name in _NEEDS_IMATRIX, name not in _LOSSLESS)
    return MappingProxyType(dict(sorted(types.items())))


def resolve_type(name: str, *, key: str = "--quantizations") -> QuantType:
    """Return the type for a name in any letter case. llama-quantize's aliases work too (`q4_k` is `q4_k_m`).

    Raises:
        BadInput: the name is unknown. The message lists similar names and all known names.
    """
    lower = name.lower()
    known = known_types()
    found = known.get(_ALIASES.get(lower, lower))
    if found is None:
        raise BadInput(Fault(key, name, f"one of {', '.join(known)}", near_names(lower, known)))
    return found
