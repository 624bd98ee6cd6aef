"""Resolve names to recipes: llama.cpp's types, the names that publishers use, and the user's custom recipes.

The jobs use this to check names before any work starts, and to recognize types in file names. llama.cpp and
`actors.llama.overrides` define what a recipe does to a model. `conf/quantizations.yaml` lists the publishers' names.
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
from conf.schema.protection import PROTECTION_BPW, Protection
from conf.schema.recipes import OutputTypes, RecipeSettings

LOSSLESS_TYPES = ("f32", "bf16", "f16")
"""Types that can be a reference, the most exact first."""
IMATRIX_IGNORED = (*LOSSLESS_TYPES, "q8_0")
"""Types whose quantizer does not use the importance matrix (ggml's `quantize_q8_0` ignores its weights)."""
BUDGET_RULE = 1
"""Version of the rule that spends a budget: objective, candidate types, sample of rows, control."""
CONTROL = "~plain"
"""Ending of the names of control arms."""

CustomRecipes = Mapping[str, RecipeSettings]


@dataclass(frozen=True)
class Recipe:
    """How to quantize a model."""

    name: str
    """Name in arm names: `q4_k_l`."""
    label: str
    """Name in file names: `Q4_K_L`."""
    method: str
    """llama.cpp type, lower case: `q4_k_m`."""
    overrides: TypeOverrides = NO_OVERRIDES
    budget: ByteBudget | None = None
    """None: the method decides the type of every tensor that is not overridden."""

    @property
    def suffix(self) -> str:
        """The ending of its arms' names, after the importance matrix: `+phigh~plain`."""
        if self.budget is None:
            return ""
        return (f"+{self.budget.name}" if self.budget.name else "") + (CONTROL if self.budget.control else "")

    @property
    def file_label(self) -> str:
        """`label` with the budget: `Q4_K_L-phigh-plain`."""
        return self.label + self.suffix.replace("+", "-").replace("~", "-")

    @property
    def identity(self) -> str | dict[str, Any]:
        """Everything that changes the output, as JSON. The name is not included; a plain type is just its name."""
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


@dataclass(frozen=True)
class ByteBudget:
    """How many bytes the tensors of an arm may take in total, if the method alone does not decide that.

    Exactly one of the three amounts is set.
    """

    name: str
    """Name in arm names: `phigh`, `tbpw4.5`. Empty if the recipe's own name implies the budget."""
    extra_bpw: float | None = None
    """Bits per weight of the model, in addition to the method's. No tensor gets less than the method gives it."""
    target_bpw: float | None = None
    """Total bits per weight of the model."""
    target_bytes: int | None = None
    """Size of the file."""
    control: bool = False
    """True for a control arm: the bytes are spent without using any measurement."""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that changes the output."""
        return {
            "rule": BUDGET_RULE,
            "extra_bpw": self.extra_bpw,
            "target_bpw": self.target_bpw,
            "target_bytes": self.target_bytes,
            "control": self.control,
        }


def resolve_recipe(name: str, custom: CustomRecipes, *, key: str = "--quantizations") -> Recipe:
    """Return the recipe for a name that the user gave, in any case; llama-quantize's aliases are accepted.

    Raises:
        BadInput: the name is unknown, or it is a custom recipe with faults.
    """
    lower = name.lower()
    if lower in custom:
        return _custom_recipe(lower, custom[lower])
    found = _public_recipe(lower)
    if found is None:
        published = published_recipes()
        names = [*known_types(), *published.recipes, *custom]
        rules = " or ".join(published.suffixes)
        allowed = f"one of {', '.join(names)}, or a quantized type followed by {rules}"
        raise BadInput(Fault(key, name, allowed, near_names(lower, names)))
    return found


def check_custom_recipes(custom: CustomRecipes) -> None:
    """Raise `BadInput` with all faults of the recipes under `recipes:`."""
    faults = Faults()
    for name, settings in custom.items():
        if _public_recipe(name) is not None:
            allowed = "a name that does not already stand for something else"
            faults.add(Fault(f"recipes.{name}", name, allowed, "Give the recipe another name."))
        faults.gather(_custom_recipe, name, settings)
    faults.stop_if_any()


def protected(recipe: Recipe, protection: Protection) -> tuple[Recipe, ...]:
    """Return what is made for a recipe: the recipe itself, or the recipe with a budget and its control of equal size.

    Lossless types are not protected. A recipe with its own protection level keeps that level.
    """
    if not known_types()[recipe.method].lossy:
        return (recipe,)
    budget = recipe.budget or _budget(protection)
    if budget is None:
        return (recipe,)
    made = replace(recipe, budget=budget)
    return (made, replace(recipe, budget=replace(budget, control=True))) if protection.controls else (made,)


def needs_imatrix(recipe: Recipe) -> bool:
    """Return True if llama.cpp refuses to make this recipe without an importance matrix."""
    types = known_types()
    overriding = [types[kind] for _, kind in recipe.overrides.tensors if kind in types]
    return types[recipe.method].needs_imatrix or any(kind.needs_imatrix for kind in overriding)


def uses_imatrix(recipe: Recipe) -> bool:
    """Return True if the importance matrix changes the output. A budget uses it to distribute bytes."""
    return recipe.budget is not None or any(
        kind not in IMATRIX_IGNORED for kind in (recipe.method, *recipe.overrides.types)
    )


def match_recipe_at_end(stem: str) -> re.Match[str] | None:
    """Match a type or publisher's name at the end of a file stem, as in `model-Q4_K_M-fp16`. Group 1 is that name."""
    published = published_recipes()
    names = sorted((*known_types(), *published.recipes), key=len, reverse=True)
    suffixes = "|".join(map(re.escape, published.suffixes))
    pattern = rf"[-._]((?:{'|'.join(map(re.escape, names))})(?:{suffixes})?)$"
    return re.search(pattern, stem, flags=re.IGNORECASE)


def _public_recipe(name: str) -> Recipe | None:
    """Return the recipe of a llama.cpp type or a publisher's name; None if the name is neither."""
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
    """Return False if a rule would only give a type a second name (`q8_0_l`)."""
    return kind.lossy and kind.name not in (types.output, types.embedding)


def _custom_recipe(name: str, settings: RecipeSettings) -> Recipe:
    """Return a custom recipe. Raise `BadInput` with all its faults."""
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
    # The recipe's own name implies its level, so no other name is added.
    budget = None if level == "none" else ByteBudget("", extra_bpw=PROTECTION_BPW[level])
    return Recipe(name, name.upper(), checked(kind).name, TypeOverrides(output, embedding, tuple(tensors)), budget)


def _method(settings: RecipeSettings, key: str) -> QuantType:
    kind = resolve_type(settings.method, key=f"{key}.method")
    if not kind.lossy:
        # llama.cpp applies regular expressions only if the type itself is quantized.
        allowed = "a quantized llama.cpp type"
        raise BadInput(Fault(f"{key}.method", settings.method, allowed, f"Use {kind.name} directly where you want it."))
    if settings.bits not in (None, bits_of(kind.name)):
        allowed = f"{bits_of(kind.name)}, the bits per weight of {kind.name}"
        same = [name for name in known_types() if bits_of(name) == settings.bits and known_types()[name].lossy]
        hint = f"With {settings.bits} bits: {', '.join(same)}." if same else "Leave out bits: the method implies it."
        raise BadInput(Fault(f"{key}.bits", settings.bits, allowed, hint))
    return kind


def _tensor_type(name: str | None, key: str) -> str | None:
    return None if name is None else resolve_tensor_type(name, key=key)


def _budget(protection: Protection) -> ByteBudget | None:
    if protection.level != "none":
        return ByteBudget(f"p{protection.level}", extra_bpw=PROTECTION_BPW[protection.level])
    if protection.target_bpw is not None:
        return ByteBudget(f"tbpw{protection.target_bpw:g}", target_bpw=protection.target_bpw)
    if protection.target_size is not None:
        return ByteBudget(f"tsize{protection.target_size / 2**20:.6g}MiB", target_bytes=protection.target_size)
    return None
