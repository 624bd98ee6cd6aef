"""The arms of a plan: the ones that the pipeline makes, the ones that exist already, and the reference of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from actors.hashing import content_hash
from actors.keys import arm_key, errors_hash, make_key
from actors.orchestrator.plan import PlannedArm, PlannedImatrix
from actors.orchestrator.sources.inputs import Inputs, SourceArm, SourceImatrix, SourceModel
from actors.quantization_orders import QuantizeOrder
from actors.recipes import LOSSLESS_TYPES, Recipe, uses_imatrix
from actors.store import RunDirectory
from actors.stored_files import gguf_name
from conf.schema.pipeline import PipelineConfig
from reporting.analysis.scored_arms import AA_SUFFIX


def recipes_of(config: PipelineConfig, inputs: Inputs, model: SourceModel) -> tuple[Recipe, ...]:
    """Return all recipes that are made of a model, a control after the recipe that it controls."""
    return tuple(recipe for name in config.quantizations_of(model.name) for recipe in inputs.recipes[name])


def weighs_tokens(config: PipelineConfig, recipe: Recipe) -> bool:
    """Return True if the recipe needs a matrix in which tokens count by their class.

    Protected arms need one if the class weights differ. Their controls do not.
    """
    weights = config.protection.token_weights
    return recipe.budget is not None and not recipe.budget.control and len(set(weights.model_dump().values())) > 1


def weighted_mix(mix: str) -> str:
    """Return the name of the matrix from `mix` with token weights. No custom mix can have such a name."""
    return f"{mix}+weighted"


def name_prefix(inputs: Inputs, model: SourceModel) -> str:
    """Return the prefix of the model's arm names: empty if there is only one model."""
    return f"{model.name}~" if len(inputs.models) > 1 else ""


def plan_arms(
    config: PipelineConfig, run: RunDirectory, inputs: Inputs, imatrices: tuple[PlannedImatrix, ...]
) -> tuple[PlannedArm, ...]:
    """Plan the arms model by model: those that are made, then the existing ones that belong to it."""
    arms: list[PlannedArm] = []
    for model in inputs.models:
        prefix = name_prefix(inputs, model)
        names = [f"{prefix}{recipe.name}{recipe.suffix}" for recipe in recipes_of(config, inputs, model)]
        existing = [arm for arm in inputs.arms if (arm.model or inputs.models[0].name) == model.name]
        reference = reference_of(config, model.name, prefix, [*names, *(arm.name for arm in existing)])
        arms += [
            plan_arm(config, run, inputs, model, recipe, source, imatrices=imatrices, reference=reference)
            for recipe in recipes_of(config, inputs, model)
            for source in (inputs.imatrices if uses_imatrix(recipe) else inputs.imatrices[:1])
        ]
        arms += [_existing_arm(inputs, arm, model, reference) for arm in existing]
    return tuple(arms)


def with_aa(config: PipelineConfig, arms: tuple[PlannedArm, ...]) -> tuple[PlannedArm, ...]:
    """Add an A/A arm for each reference if `noise_floor` is set: the same file, decoded in another batch layout."""
    if not config.noise_floor:
        return arms
    references = {arm.reference for arm in arms}
    return (
        *arms,
        *(
            replace(arm, name=f"{arm.name}{AA_SUFFIX}", reference=arm.name, unit=None, needs=arm.made_by, order=None)
            for arm in arms
            if arm.name in references and arm.endpoint is None
        ),
    )


def reference_of(config: PipelineConfig, model: str, prefix: str, names: Sequence[str]) -> str | None:
    """Return the reference among one model's arms: its own or the pipeline's, else the most exact lossless one."""
    wanted = config.entry(model).reference or config.reference
    if wanted is not None:
        return next((name for name in (f"{prefix}{wanted}", wanted) if name in names), None)
    return next((f"{prefix}{kind}" for kind in LOSSLESS_TYPES if f"{prefix}{kind}" in names), None)


def plan_arm(
    config: PipelineConfig,
    run: RunDirectory,
    inputs: Inputs,
    model: SourceModel,
    recipe: Recipe,
    source: SourceImatrix,
    *,
    imatrices: tuple[PlannedImatrix, ...] = (),
    reference: str | None = None,
) -> PlannedArm:
    """Plan one arm that the pipeline makes from `model` by `recipe`, with the matrix that `source` names."""
    matrix_suffix = "" if source is inputs.imatrices[0] else f"+{source.name}"
    name = f"{name_prefix(inputs, model)}{recipe.name}{matrix_suffix}{recipe.suffix}"
    mix = weighted_mix(source.name) if source.texts and weighs_tokens(config, recipe) else source.name
    collected = next((one for one in imatrices if (one.model, one.mix) == (model.name, mix)), None)
    weighted = uses_imatrix(recipe) and (collected is not None or source.path is not None)
    key = arm_key(
        model=model.sha256,
        recipe=recipe,
        imatrix=content_hash(collected.order.key) if collected else source.sha256,
        build=inputs.build_for(None),
    )
    key_hash = content_hash(key)
    path = run.artifact(name, key_hash) / gguf_name(model.name, recipe.file_label)
    order = QuantizeOrder(
        arm=name,
        model_path=model.path,
        model_name=model.name,
        recipe=recipe,
        imatrix_path=(collected.file if collected else source.path) if weighted else None,
        threads=config.layout.threads,
        output_path=str(path),
        dequantized_from=model.dequantized_from,
        key=key,
        measured_path=str(run.measured(errors_hash(key))) if recipe.budget else None,
    )
    return PlannedArm(
        name=name,
        model=model.name,
        reference=reference if reference != name else None,
        recipe=recipe.name + recipe.suffix,
        imatrix=mix if weighted else None,
        dequantized_from=model.dequantized_from,
        key_hash=key_hash,
        gguf_path=str(path),
        predicted_bytes=inputs.predicted_bytes[model.name, recipe.name + recipe.suffix, weighted],
        unit=f"artifacts/{path.parent.name}",
        needs=(collected.unit,) if weighted and collected else (),
        order=order,
        weights=inputs.known.made.get((model.name, recipe.name + recipe.suffix, weighted)),
        template_use=inputs.template_uses.models.get(model.name),
    )


def _existing_key(arm: SourceArm) -> dict[str, Any]:
    if arm.endpoint is not None:
        return make_key({"kind": "endpoint", "url": arm.endpoint.url, "model": arm.endpoint.model})
    return make_key({"kind": "file", "sha256": arm.sha256})


def _existing_arm(inputs: Inputs, arm: SourceArm, model: SourceModel, reference: str | None) -> PlannedArm:
    return PlannedArm(
        name=arm.name,
        model=model.name,
        reference=reference if reference != arm.name else None,
        recipe=arm.recipe,
        imatrix=arm.imatrix,
        dequantized_from=arm.dequantized_from,
        key_hash=content_hash(_existing_key(arm)),
        gguf_path=arm.path,
        predicted_bytes=arm.size_bytes or 0,
        unit=None,
        needs=(),
        order=None,
        existing=arm,
        weights=inputs.known.given.get(arm.name),
        template_use=inputs.template_uses.arms.get(arm.name),
    )
