"""The recipes of a configuration, checked against the models, with the sizes of the files that they will make."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from actors.errors import LlamaError
from actors.llama.file_types import resolve_type
from actors.llama.gguf_file import read_header
from actors.llama.overrides import check_fit
from actors.llama.quantizer import plan_quantization
from actors.orchestrator.sources.inputs import SourceImatrix, SourceModel
from actors.quantization.budget import check_fits
from actors.quantization.protection import allot
from actors.recipes import Recipe, check_own_recipes, needs_imatrix, protected, resolve_recipe, uses_imatrix
from conf.faults import BadInput, Fault, Faults, checked
from conf.schema import PipelineConfig


def resolve_recipes(config: PipelineConfig) -> dict[str, tuple[Recipe, ...]]:
    """What is made of each of `quantizations`, by its name; recipes that nobody asked for are checked as well."""
    faults = Faults()
    faults.gather(check_own_recipes, config.recipes)
    faults.stop_if_any()
    found = {name: faults.gather(resolve_recipe, name, config.recipes) for name in config.quantizations}
    if "none" in config.imatrix:
        for recipe in found.values():
            if recipe is not None and needs_imatrix(recipe):
                allowed = f"an importance matrix: {recipe.name} cannot be made without one"
                faults.add(Fault("--imatrix", "none", allowed, "Leave none out."))
    faults.stop_if_any()
    return {name: protected(checked(recipe), config.protection) for name, recipe in found.items()}


def with_canonical_types(config: PipelineConfig) -> PipelineConfig:
    """The configuration with llama-quantize's aliases (`q4_k`) in full (`q4_k_m`); unknown names stay as they are."""
    names = []
    for name in config.quantizations:
        with contextlib.suppress(BadInput):
            name = resolve_recipe(name, config.recipes).name
        names.append(name)
    return config.model_copy(update={"quantizations": tuple(dict.fromkeys(names))})


def predict_size(path: str, recipe: Recipe, *, with_imatrix: bool) -> int:
    """Bytes that a recipe makes of a model. Raises `BadInput` where the recipe does not fit it."""
    key, header = f"recipes.{recipe.name}", read_header(path)
    check_fit(header.tensors, recipe.overrides, key=key)
    kind = resolve_type(recipe.method)
    try:
        plan = plan_quantization(path, kind, with_imatrix=with_imatrix, overrides=recipe.overrides)
    except LlamaError as error:
        # Regular expressions are C++'s to read in the end.
        raise BadInput(Fault(key, recipe.identity, "a recipe that llama.cpp can carry out", str(error))) from error
    if recipe.budget is None:
        return plan.size_bytes
    # What a matrix covers is read where the arm is made; of embedding and output it rarely knows anything.
    known = {tensor.name for tensor in header.tensors if with_imatrix and tensor.name.startswith("blk.")}
    allotment = allot(plan, kind, recipe.overrides, recipe.budget, header, known)
    check_fits(allotment, recipe.budget)
    return allotment.file_bytes


def predict_sizes(
    models: tuple[SourceModel, ...], recipes: Mapping[str, tuple[Recipe, ...]], imatrices: tuple[SourceImatrix, ...]
) -> dict[tuple[str, str, bool], int]:
    faults = Faults()
    is_there = {source.name != "none" for source in imatrices}
    sizes: dict[tuple[str, str, bool], int] = {}
    for model in models:
        for made in recipes.values():
            for weighted in is_there if uses_imatrix(made[0]) else {False}:
                size = faults.gather(predict_size, model.path, made[0], with_imatrix=weighted)
                # A control is as large as what it controls.
                sizes |= {(model.name, recipe.name + recipe.suffix, weighted): size or 0 for recipe in made}
    faults.stop_if_any()
    return sizes
