"""From a name to a recipe: llama.cpp's types, the names that publishers use, and the user's own.

Shared by the jobs, which check names before any work, and by whoever reads types off file names. What a recipe does
to a model is llama.cpp's and `actors.llama.overrides`'; the names that publishers use stand in
`conf/quantizations.yaml`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from actors.llama.file_types import QuantType, known_types, resolve_type
from actors.llama.overrides import NO_OVERRIDES, TypeOverrides, bits_of, check_pattern, resolve_tensor_type
from conf.faults import BadInput, Fault, Faults, checked, near_names
from conf.load import published_recipes
from conf.schema import PROTECTION_BPW, OutputTypes, Protection, RecipeSettings

BUDGET_RULE = 1
"""Version of the rule by which a budget is spent: objective, candidate types, sample of rows, control."""


CONTROL = "~plain"
"""What the names of control arms end with."""


@dataclass(frozen=True)
class ByteBudget:
    """How many bytes the tensors of an arm may take together, where that is not just what its method gives them.

    Exactly one of the three amounts is set.
    """

    name: str
    """As arms are named by it: `phigh`, `tbpw4.5`; empty where the recipe's own name stands for it."""
    extra_bpw: float | None = None
    """Bits a weight of the model beyond those of the method. No tensor gets less than the method gives it."""
    target_bpw: float | None = None
    """Bits a weight of the model in all."""
    target_bytes: int | None = None
    """Of the file."""
    control: bool = False
    """True: spent without looking at any measurement, to compare with."""

    @property
    def identity(self) -> dict[str, Any]:
        """All that changes the output."""
        return {
            "rule": BUDGET_RULE,
            "extra_bpw": self.extra_bpw,
            "target_bpw": self.target_bpw,
            "target_bytes": self.target_bytes,
            "control": self.control,
        }


@dataclass(frozen=True)
class Recipe:
    """How to quantize."""

    name: str
    """As arms are named by it: `q4_k_l`."""
    label: str
    """As files are named by it: `Q4_K_L`."""
    method: str
    """llama.cpp type, lower case: `q4_k_m`."""
    overrides: TypeOverrides = NO_OVERRIDES
    budget: ByteBudget | None = None
    """None: every tensor that is not overridden gets what the method gives it."""

    @property
    def suffix(self) -> str:
        """What arms made by it end with, after the importance matrix's name: `+phigh~plain`."""
        if self.budget is None:
            return ""
        return (f"+{self.budget.name}" if self.budget.name else "") + (CONTROL if self.budget.control else "")

    @property
    def file_label(self) -> str:
        """As `label`, with the budget: `Q4_K_L-phigh-plain`."""
        return self.label + self.suffix.replace("+", "-").replace("~", "-")

    @property
    def identity(self) -> str | dict[str, Any]:
        """All that changes the output, as JSON has it: the name is no part of it, and a plain type is just that."""
        if self.overrides == NO_OVERRIDES and self.budget is None:
            return self.method
        tensors = [list(pair) for pair in self.overrides.tensors]
        identity: dict[str, Any] = {
            "method": self.method,
            "output": self.overrides.output,
            "embedding": self.overrides.embedding,
            "tensors": tensors,
        }
        return identity if self.budget is None else {**identity, "budget": self.budget.identity}


OwnRecipes = Mapping[str, RecipeSettings]


def resolve_recipe(name: str, own: OwnRecipes, *, key: str = "--quantizations") -> Recipe:
    """The recipe that a user names, in any case and with llama-quantize's aliases.

    Raises:
        BadInput: unknown, or a recipe of the user's with faults in it.
    """
    lower = name.lower()
    if lower in own:
        return _own_recipe(lower, own[lower])
    found = _public_recipe(lower)
    if found is None:
        published = published_recipes()
        names = [*known_types(), *published.recipes, *own]
        rules = " or ".join(published.suffixes)
        allowed = f"one of {', '.join(names)}, or a quantized type with {rules} after it"
        raise BadInput(Fault(key, name, allowed, near_names(lower, names)))
    return found


def protected(recipe: Recipe, protection: Protection) -> tuple[Recipe, ...]:
    """What is made in place of a recipe: itself, or itself under a budget and the control of equal size.

    A lossless type has nothing to protect; a recipe with a level of its own keeps that.
    """
    if not known_types()[recipe.method].lossy:
        return (recipe,)
    budget = recipe.budget or _budget(protection)
    if budget is None:
        return (recipe,)
    made = replace(recipe, budget=budget)
    return (made, replace(recipe, budget=replace(budget, control=True))) if protection.controls else (made,)


def _budget(protection: Protection) -> ByteBudget | None:
    if protection.level != "none":
        return ByteBudget(f"p{protection.level}", extra_bpw=PROTECTION_BPW[protection.level])
    if protection.target_bpw is not None:
        return ByteBudget(f"tbpw{protection.target_bpw:g}", target_bpw=protection.target_bpw)
    if protection.target_size is not None:
        return ByteBudget(f"tsize{protection.target_size / 2**20:.6g}MiB", target_bytes=protection.target_size)
    return None


def check_own_recipes(own: OwnRecipes) -> None:
    """Raise `BadInput` with every fault in the recipes under `recipes:`."""
    faults = Faults()
    for name, settings in own.items():
        if _public_recipe(name) is not None:
            allowed = "a name that does not stand for something else already"
            faults.add(Fault(f"recipes.{name}", name, allowed, "Give the recipe another name."))
        faults.gather(_own_recipe, name, settings)
    faults.stop_if_any()


def needs_imatrix(recipe: Recipe) -> bool:
    """True where llama.cpp refuses to make it without an importance matrix."""
    types = known_types()
    overriding = [types[kind] for _, kind in recipe.overrides.tensors if kind in types]
    return types[recipe.method].needs_imatrix or any(kind.needs_imatrix for kind in overriding)


def named_at_end(stem: str) -> re.Match[str] | None:
    """Where a file's stem ends with a type or a publisher's name, as in `model-Q4_K_M-fp16`: group 1 is that name."""
    published = published_recipes()
    names = sorted((*known_types(), *published.recipes), key=len, reverse=True)
    suffixes = "|".join(map(re.escape, published.suffixes))
    pattern = rf"[-._]((?:{'|'.join(map(re.escape, names))})(?:{suffixes})?)$"
    return re.search(pattern, stem, flags=re.IGNORECASE)


def _public_recipe(name: str) -> Recipe | None:
    """A type of llama.cpp's, or a publisher's name; None where it is neither."""
    with contextlib.suppress(BadInput):
        kind = resolve_type(name)
        return Recipe(kind.name, kind.name.upper(), kind.name)
    published = published_recipes()
    if name in published.recipes:
        settings = published.recipes[name]
        return Recipe(name, name.upper(), settings.method, TypeOverrides(settings.output, settings.embedding))
    for suffix, types in published.suffixes.items():
        with contextlib.suppress(BadInput):
            kind = resolve_type(name.removesuffix(suffix))
            if name.endswith(suffix) and _changes(kind, types):
                label = kind.name.upper() + (suffix if suffix.startswith("-") else suffix.upper())
                return Recipe(f"{kind.name}{suffix}", label, kind.name, TypeOverrides(types.output, types.embedding))
    return None


def _changes(kind: QuantType, types: OutputTypes) -> bool:
    """False where a rule would only give another name to what the type is anyway (`q8_0_l`)."""
    return kind.lossy and kind.name not in (types.output, types.embedding)


def _own_recipe(name: str, settings: RecipeSettings) -> Recipe:
    """Raises `BadInput` with every fault."""
    faults = Faults()
    key = f"recipes.{name}"
    kind = faults.gather(_method, settings, key)
    output = faults.gather(_tensor_type, settings.output, f"{key}.output")
    embedding = faults.gather(_tensor_type, settings.embedding, f"{key}.embedding")
    tensors = []
    for pattern, wanted in settings.tensors.items():
        faults.gather(check_pattern, pattern, key=f"{key}.tensors")
        found = faults.gather(resolve_tensor_type, wanted, key=f"{key}.tensors")
        tensors.append((pattern, found or ""))
    faults.stop_if_any()
    level = settings.protection
    # The recipe's own name stands for its level: no other is added to it.
    budget = None if level == "none" else ByteBudget("", extra_bpw=PROTECTION_BPW[level])
    return Recipe(name, name.upper(), checked(kind).name, TypeOverrides(output, embedding, tuple(tensors)), budget)


def _method(settings: RecipeSettings, key: str) -> QuantType:
    kind = resolve_type(settings.method, key=f"{key}.method")
    if not kind.lossy:
        # llama.cpp looks at regular expressions only where the type itself is a quantized one.
        allowed = "a quantized llama.cpp type"
        raise BadInput(Fault(f"{key}.method", settings.method, allowed, f"Name {kind.name} itself where you want it."))
    if settings.bits not in (None, bits_of(kind.name)):
        allowed = f"{bits_of(kind.name)}, the bits that {kind.name} gives to a weight"
        same = [name for name in known_types() if bits_of(name) == settings.bits and known_types()[name].lossy]
        hint = f"Of {settings.bits} bits: {', '.join(same)}." if same else "Leave bits out: the method says it."
        raise BadInput(Fault(f"{key}.bits", settings.bits, allowed, hint))
    return kind


def _tensor_type(name: str | None, key: str) -> str | None:
    return None if name is None else resolve_tensor_type(name, key=key)


LOSSLESS_TYPES = ("f32", "bf16", "f16")
"""Types that can be a reference, the most exact first."""
IMATRIX_IGNORED = (*LOSSLESS_TYPES, "q8_0")
"""Types whose quantizer never looks at the importance matrix (ggml's `quantize_q8_0` leaves its weights unused)."""


def uses_imatrix(recipe: Recipe) -> bool:
    """True where the importance matrix changes what is written. Bytes are shared out by it."""
    return recipe.budget is not None or any(
        kind not in IMATRIX_IGNORED for kind in (recipe.method, *recipe.overrides.types)
    )
