"""Which arms there are: what is made, what exists already, and which of them the others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from actors.orchestrator.plan import AA, PlannedArm, PlannedImatrix
from actors.orchestrator.sources.inputs import Inputs, SourceArm, SourceImatrix, SourceModel
from actors.orders import QuantizeOrder
from actors.recipes import LOSSLESS_TYPES, Recipe, uses_imatrix
from actors.store import KEY_RULE, RunDirectory, content_hash, gguf_name
from conf.schema import PipelineConfig


def recipes_of(config: PipelineConfig, inputs: Inputs) -> tuple[Recipe, ...]:
    return tuple(recipe for name in config.quantizations for recipe in inputs.recipes[name])


def weighs_tokens(config: PipelineConfig, recipe: Recipe) -> bool:
    """True where the matrix is one in which tokens count by their class: for protected arms, and not their controls."""
    weights = config.protection.token_weights
    return recipe.budget is not None and not recipe.budget.control and len(set(weights.model_dump().values())) > 1


def weighted_mix(mix: str) -> str:
    """Name of the matrix of the same mix in which tokens count by their class; no mix of a user's has such a name."""
    return f"{mix}+weighted"


def name_prefix(inputs: Inputs, model: SourceModel) -> str:
    """What arm names begin with where there are several models."""
    return f"{model.name}~" if len(inputs.models) > 1 else ""


def plan_arms(
    config: PipelineConfig, run: RunDirectory, inputs: Inputs, imatrices: tuple[PlannedImatrix, ...]
) -> tuple[PlannedArm, ...]:
    """Our own arms model by model, then the existing GGUFs, which are compared within the first model."""
    arms: list[PlannedArm] = []
    for model in inputs.models:
        prefix = name_prefix(inputs, model)
        names = [f"{prefix}{recipe.name}{recipe.suffix}" for recipe in recipes_of(config, inputs)]
        own_existing = [arm.name for arm in inputs.arms] if model is inputs.models[0] else []
        reference = reference_of(config, prefix, [*names, *own_existing])
        for recipe in recipes_of(config, inputs):
            for source in inputs.imatrices if uses_imatrix(recipe) else inputs.imatrices[:1]:
                name = f"{prefix}{recipe.name}"
                arms.append(plan_arm(config, run, inputs, imatrices, model, name, recipe, source, reference))
        if model is inputs.models[0]:
            arms.extend(_existing_arm(arm, model, reference) for arm in inputs.arms)
    return tuple(arms)


def with_aa(config: PipelineConfig, arms: tuple[PlannedArm, ...]) -> tuple[PlannedArm, ...]:
    """With `noise_floor`, each reference once more, to be decoded in another batch layout."""
    if not config.noise_floor:
        return arms
    references = {arm.reference for arm in arms}
    return (
        *arms,
        *(
            replace(arm, name=f"{arm.name}{AA}", reference=arm.name, unit=None, needs=arm.made_by, order=None)
            for arm in arms
            if arm.name in references and arm.endpoint is None
        ),
    )


def reference_of(config: PipelineConfig, prefix: str, names: Sequence[str]) -> str | None:
    """The reference among the arms of one model: the one that the user named, else the most exact lossless one."""
    if config.reference is not None:
        return next((name for name in (config.reference, f"{prefix}{config.reference}") if name in names), None)
    return next((f"{prefix}{kind}" for kind in LOSSLESS_TYPES if f"{prefix}{kind}" in names), None)


def plan_arm(
    config: PipelineConfig,
    run: RunDirectory,
    inputs: Inputs,
    imatrices: tuple[PlannedImatrix, ...],
    model: SourceModel,
    base_name: str,
    recipe: Recipe,
    source: SourceImatrix,
    reference: str | None,
) -> PlannedArm:
    is_default = source is inputs.imatrices[0]
    name = (base_name if is_default else f"{base_name}+{source.name}") + recipe.suffix
    mix = weighted_mix(source.name) if source.texts and weighs_tokens(config, recipe) else source.name
    collected = next((one for one in imatrices if (one.model, one.mix) == (model.name, mix)), None)
    weighted = uses_imatrix(recipe) and (collected is not None or source.path is not None)
    imatrix_identity = None
    if weighted:
        imatrix_identity = content_hash(collected.order.key) if collected else source.sha256
    key: dict[str, Any] = {
        "rule": KEY_RULE,
        "kind": "arm",
        "model": model.sha256,
        "recipe": recipe.identity,
        "imatrix": imatrix_identity,
        "build": dict(inputs.build),
    }
    key_hash = content_hash(key)
    path = run.artifact(name, key_hash) / gguf_name(model.name, recipe.file_label)
    # Shared by all arms of the storage that are made from the same model with the same matrix.
    errors = content_hash({**key, "kind": "errors", "recipe": None})
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
        measured_path=str(run.measured(errors)) if recipe.budget else None,
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
    )


def _identity_of_existing(arm: SourceArm) -> dict[str, Any]:
    if arm.endpoint is not None:
        return {"kind": "endpoint", "url": arm.endpoint.url, "model": arm.endpoint.model}
    return {"kind": "file", "sha256": arm.sha256}


def _existing_arm(arm: SourceArm, model: SourceModel, reference: str | None) -> PlannedArm:
    return PlannedArm(
        name=arm.name,
        model=model.name,
        reference=reference if reference != arm.name else None,
        recipe=arm.recipe,
        imatrix=arm.imatrix,
        dequantized_from=arm.dequantized_from,
        key_hash=content_hash({"rule": KEY_RULE, **_identity_of_existing(arm)}),
        gguf_path=arm.path,
        predicted_bytes=arm.size_bytes or 0,
        unit=None,
        needs=(),
        order=None,
        existing=arm,
    )
