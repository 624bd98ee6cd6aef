"""The file types that llama.cpp can make, asked from the library, and the names by which users know them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import llama_cpp

from conf.faults import BadInput, Fault, near_names

# File types that can be read but not made: llama_ftype_get_default_type (src/llama-quant.cpp) has no entry for them.
_NOT_MADE = frozenset({"guessed", "nvfp4"})
_LOSSLESS = frozenset({"f32", "f16", "bf16"})
# tensor_requires_imatrix (src/llama-quant.cpp) refuses these without data; a test asks the library for each type.
_NEEDS_IMATRIX = frozenset({"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "iq3_xxs", "iq3_xs", "q2_k_s"})
# As llama-quantize reads them.
_ALIASES = {"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}


@dataclass(frozen=True)
class QuantType:
    """A type that llama.cpp can make."""

    name: str
    """Lower case: `q4_k_m`."""
    ftype: int
    """llama.cpp's number of the file type."""
    needs_imatrix: bool
    """True: llama.cpp refuses to make it without an importance matrix."""
    lossy: bool
    """False for f32, f16 and bf16, which can serve as a reference."""


@functools.cache
def known_types() -> Mapping[str, QuantType]:
    """Every type that this build of llama.cpp can make, by lower-case name."""
    types = {}
    for constant, number in vars(llama_cpp).items():
        if not constant.startswith("LLAMA_FTYPE_"):
            continue
        name = constant.removeprefix("LLAMA_FTYPE_").removeprefix("MOSTLY_").removeprefix("ALL_").lower()
        if name not in _NOT_MADE:
            types[name] = QuantType(name, int(number), name in _NEEDS_IMATRIX, name not in _LOSSLESS)
    return MappingProxyType(dict(sorted(types.items())))


def resolve_type(name: str, *, key: str = "--quantizations") -> QuantType:
    """The type that a user names, in any case and with llama-quantize's aliases (`q4_k` is `q4_k_m`).

    Raises:
        BadInput: unknown; near names and all known ones are told.
    """
    lower = name.lower()
    known = known_types()
    found = known.get(_ALIASES.get(lower, lower))
    if found is None:
        raise BadInput(Fault(key, name, f"one of {', '.join(known)}", near_names(lower, known)))
    return found
