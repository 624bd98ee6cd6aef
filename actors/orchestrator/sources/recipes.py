"""The recipes of a configuration: checked against the models, with the sizes of the files that they will make."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.errors import LlamaError
from actors.llama.file_types import resolve_type
from actors.llama.gguf_file import read_header
from actors.llama.overrides import check_fit
from actors.llama.quantizer import plan_quantization
from actors.llama.shape import Weights, weights_of
from actors.orchestrator.sources.inputs import SourceImatrix, SourceModel
from actors.quantization.budget import check_fits
from actors.quantization.protection import make_problem
from actors.recipes import Recipe, check_custom_recipes, needs_imatrix, protected, resolve_recipe, uses_imatrix
from conf.faults import BadInput, Fault, Faults, checked
from conf.schema.pipeline import PipelineConfig


def resolve_recipes(config: PipelineConfig) -> dict[str, tuple[Recipe, ...]]:
    """Return what is made for each name in `quantizations`, of all models: the recipe, then its control if any.

    All recipes of the configuration are checked, including those that `quantizations` does not name.

    Raises:
        BadInput: with every fault found.
    """
    faults = Faults()
    faults.gather(check_custom_recipes, config.recipes)
    faults.stop_if_any()
    found = {name: faults.gather(resolve_recipe, name, config.recipes) for name in config.all_quantizations}
    if "none" in config.imatrix:
        for recipe in found.values():
            if recipe is not None and needs_imatrix(recipe):
                allowed = f"an importance matrix: {recipe.name} cannot be made without one"
                faults.add(Fault("--imatrix", "none", allowed, "Remove `none` from --imatrix."))
    faults.stop_if_any()
    return {name: protected(checked(recipe), config.protection) for name, recipe in found.items()}


def with_canonical_types(config: PipelineConfig) -> PipelineConfig:
    """Return the configuration with llama-quantize's aliases (`q4_k`) replaced by full names (`q4_k_m`).

    Unknown names stay as they are.
    """
    models = tuple(
        model
        if model.quantizations is None
        else model.model_copy(update={"quantizations": _canonical(config, model.quantizations)})
        for model in config.models
    )
    return config.model_copy(update={"quantizations": _canonical(config, config.quantizations), "models": models})


def _canonical(config: PipelineConfig, quantizations: Sequence[str]) -> tuple[str, ...]:
    names = []
    for name in quantizations:
        with contextlib.suppress(BadInput):
            name = resolve_recipe(name, config.recipes).name
        names.append(name)
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class PredictedFile:
    """What is known of a file before it is made."""

    size_bytes: int
    weights: Weights
    """The bytes of its tensors. With a byte budget they are about right: which layers get more is known later."""


def predict_size(path: str, recipe: Recipe, *, with_imatrix: bool) -> int:
    """Predict the size of the file that a recipe makes from a model, in bytes. Raises as `predict_file` does."""
    return predict_file(path, recipe, with_imatrix=with_imatrix).size_bytes


def predict_file(path: str, recipe: Recipe, *, with_imatrix: bool) -> PredictedFile:
    """Predict the file that a recipe makes from a model.

    Raises:
        BadInput: the recipe does not fit the model.
    """
    key, header = f"recipes.{recipe.name}", read_header(path)
    check_fit(header.tensors, recipe.overrides, key=key)
    kind = resolve_type(recipe.method)
    try:
        plan = plan_quantization(path, kind, with_imatrix=with_imatrix, overrides=recipe.overrides)
    except LlamaError as error:
        raise BadInput(Fault(key, recipe.identity, "a recipe that llama.cpp can carry out", str(error))) from error
    weights = weights_of((tensor.name, tensor.n_bytes) for tensor in plan.tensors)
    if recipe.budget is None:
        return PredictedFile(plan.size_bytes, weights)
    # Which tensors a matrix covers is only known when the arm is made. It rarely covers the embedding and the output.
    known = {tensor.name for tensor in header.tensors if with_imatrix and tensor.name.startswith("blk.")}
    problem = make_problem(plan, kind, recipe.overrides, recipe.budget, header, known)
    check_fits(problem, recipe.budget)
    return PredictedFile(problem.file_bytes, weights.scaled_to(problem.file_bytes))


def predict_files(
    config: PipelineConfig,
    models: tuple[SourceModel, ...],
    recipes: Mapping[str, tuple[Recipe, ...]],
    imatrices: tuple[SourceImatrix, ...],
) -> dict[tuple[str, str, bool], PredictedFile]:
    """Predict each file, by model, recipe with suffix, and whether an importance matrix is used.

    Raises:
        BadInput: with every recipe that does not fit a model.
    """
    faults = Faults()
    with_or_without = {source.name != "none" for source in imatrices}
    files: dict[tuple[str, str, bool], PredictedFile] = {}
    for model in models:
        for made in (recipes[name] for name in config.quantizations_of(model.name)):
            for weighted in with_or_without if uses_imatrix(made[0]) else {False}:
                file = faults.gather(predict_file, model.path, made[0], with_imatrix=weighted)
                # A control has the same size as the recipe that it controls.
                if file is not None:
                    files |= {(model.name, recipe.name + recipe.suffix, weighted): file for recipe in made}
    faults.stop_if_any()
    return files
