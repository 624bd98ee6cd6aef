"""Which arm belongs to which model, and the checks of all names that a configuration gives to models and arms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from actors.orchestrator.sources.arms import source_arm
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.inputs import SourceArm, SourceModel
from actors.recipes import LOSSLESS_TYPES, Recipe
from conf.faults import BadInput, Fault, Faults, near_names
from conf.schema.models import ArmEntry, ModelEntry
from conf.schema.pipeline import PipelineConfig


def check_names(config: PipelineConfig) -> None:
    """Raise `BadInput` for names of models or arms that differ only in case.

    On some disks (of Windows and macOS), such names are one file.
    """
    faults = Faults()
    for key, names in (
        ("--model", [model.name for model in config.models]),
        ("--arm", [*config.all_quantizations, *(arm.name for arm in config.arms)]),
    ):
        alike = Counter(name.casefold() for name in names)
        for name in sorted({name for name in names if alike[name.casefold()] > 1}):
            allowed = "names that differ from each other in more than case"
            faults.add(Fault(key, name, allowed, "Give it another name: NAME=PATH."))
    faults.stop_if_any()


def owners_of_arms(config: PipelineConfig) -> dict[str, str]:
    """Return the name of the model that each existing arm is a form of, by the name of the arm.

    Raises:
        BadInput: an arm names a model that the pipeline does not have.
    """
    known = [model.name for model in config.models]
    faults = Faults()
    for arm in config.arms:
        if arm.model is not None and arm.model not in known:
            allowed = f"the name of a model ({', '.join(known)})"
            faults.add(Fault("--arm", f"{arm.name} of model {arm.model}", allowed, near_names(arm.model, known)))
    faults.stop_if_any()
    return {arm.name: arm.model or _owner_by_name(arm, known) for arm in config.arms}


def _owner_by_name(arm: ArmEntry, known: list[str]) -> str:
    """Return the model whose name stands in front of the arm's name; of several the longest; else the first model."""
    named = [name for name in known if arm.name.startswith(f"{name}~")]
    return max(named, key=len, default=known[0])


def check_references(config: PipelineConfig, recipes: Mapping[str, tuple[Recipe, ...]]) -> None:
    """Raise `BadInput` for a reference that is no arm: that of the pipeline, or that of a model.

    Args:
        config: the configuration.
        recipes: what is made for each name in `quantizations`. Empty: it is not known, and nothing is checked.
    """
    if not recipes:
        return
    faults = Faults()
    by_model = {model.name: _names_of_arms(config, model, recipes) for model in config.models}
    every = [name for names in by_model.values() for name in names]
    if config.reference is not None and not _is_among(config.reference, every):
        faults.add(_unknown_reference("--reference", config.reference, every))
    for model in config.models:
        if model.quantizations == ():  # the type of its file is not known yet: see `arm_of_given_file`
            continue
        if model.reference is not None and not _is_among(model.reference, by_model[model.name]):
            faults.add(_unknown_reference(f"models.{model.name}.reference", model.reference, by_model[model.name]))
    faults.stop_if_any()


def _unknown_reference(key: str, name: str, known: list[str]) -> Fault:
    return Fault(key, name, f"one of the arms ({', '.join(known)})", near_names(name, known))


def _is_among(reference: str, names: list[str]) -> bool:
    return any(reference == name or name.endswith(f"~{reference}") for name in names)


def _names_of_arms(config: PipelineConfig, model: ModelEntry, recipes: Mapping[str, tuple[Recipe, ...]]) -> list[str]:
    """Return the names of a model's arms, without those that only a further importance matrix makes."""
    prefix = f"{model.name}~" if len(config.models) > 1 else ""
    made = [recipe for name in config.quantizations_of(model.name) for recipe in recipes[name]]
    known = [one.name for one in config.models]
    own = [arm.name for arm in config.arms if (arm.model or _owner_by_name(arm, known)) == model.name]
    return [*(f"{prefix}{recipe.name}{recipe.suffix}" for recipe in made), *own]


def described_by(entry: ModelEntry, model: SourceModel) -> SourceModel:
    """Return a model with what the configuration says about it.

    Of a file that is evaluated as it is, nothing is dequantized.
    """
    quantized = model.source_type.lower() not in LOSSLESS_TYPES
    if entry.quantizations == () and quantized:
        model = replace(model, dequantized_from=None)
    return replace(model, stage=entry.stage)


def arm_of_given_file(config: PipelineConfig, model: SourceModel, hashes: HashCache) -> SourceArm:
    """Return the arm that is a model's own file, named after its type.

    Raises:
        BadInput: the file cannot be used, or the model's reference is neither it nor another arm of the model.
    """
    prefix = f"{model.name}~" if len(config.models) > 1 else ""
    name = f"{prefix}{model.source_type.lower()}"
    entry = config.entry(model.name)
    names = [name, *_names_of_arms(config, entry, {})]
    if entry.reference is not None and not _is_among(entry.reference, names):
        raise BadInput(_unknown_reference(f"models.{model.name}.reference", entry.reference, names))
    return replace(source_arm(name, model.path, model.origin, hashes), model=model.name)
