"""Which arms measure a text side by side, and which reference is decoded beside them for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.llama.layout import EngineLayout
from actors.orchestrator.plan import PlannedArm
from actors.orchestrator.planning.device_places import ArmPlaces, layout_of
from actors.orchestrator.sources.inputs import PlannedBenchmark
from actors.orders import ReferenceModel
from conf.schema.pipeline import PipelineConfig


def shared_passes(arms: Sequence[PlannedArm], places: ArmPlaces) -> dict[str, str]:
    """Return the name of the pass for each arm. Arms with the same pass are decoded side by side.

    The reference shares its first pass with as many arms as fit; further passes take the other arms. On devices as many
    fit as the devices of a worker hold. On the CPU the arms of a pass are together no larger than their reference,
    unless a pass has only one arm. So a pass takes about twice the memory of the reference, which must fit in any case.
    An arm for which memory was short in a pass gets passes of its own.
    Records do not depend on the passes.
    """
    passes: dict[str, str] = {}
    for reference in arms:
        own = [arm for arm in arms if arm.reference == reference.name and arm.endpoint is None]
        number, together = 0, list[PlannedArm]()
        for arm in own:
            if arm.name in places.own_passes:
                passes[arm.name] = f"{reference.name}/only {arm.name}"
                continue
            if together and not _has_room(places, reference, [*together, arm]):
                number, together = number + 1, []
            together.append(arm)
            passes[arm.name] = f"{reference.name}/{number}"
        if own:
            alone = reference.name in places.own_passes
            passes[reference.name] = f"{reference.name}/{f'only {reference.name}' if alone else 0}"
    return passes


def _has_room(places: ArmPlaces, reference: PlannedArm, arms: Sequence[PlannedArm]) -> bool:
    on_devices = places.holds(reference.name, [arm.name for arm in arms])
    if on_devices is not None:
        return on_devices
    return sum(arm.predicted_bytes for arm in arms) <= reference.predicted_bytes


@dataclass(frozen=True)
class MeasuringReference:
    """The reference that is decoded beside an arm while it measures a text."""

    model: ReferenceModel
    key_hash: str | None
    """Hash of the reference's key. None for the reference itself: its records do not depend on the other arms."""


@dataclass(frozen=True)
class Decoding:
    """How an arm is decoded on a benchmark."""

    layout: EngineLayout
    reference: MeasuringReference | None
    """What is decoded beside it; None if the benchmark compares no text."""


def measuring_reference(
    config: PipelineConfig,
    places: ArmPlaces,
    arms: Sequence[PlannedArm],
    arm: PlannedArm,
    benchmark: PlannedBenchmark,
) -> MeasuringReference | None:
    """Return what is decoded beside `arm` on a measured text: its reference, or itself if it is one.

    Return None if the benchmark measures no text, if the arm has no reference, or if one of the two is an endpoint.
    """
    if benchmark.spec.kind != "measure" or arm.endpoint is not None:
        return None
    if arm.reference is not None:
        reference = next(other for other in arms if other.name == arm.reference)
        if reference.endpoint is not None:
            return None
        model = ReferenceModel(reference.gguf_path, layout_of(config, places, reference, benchmark, arm.name))
        return MeasuringReference(model, reference.key_hash)
    if any(other.reference == arm.name for other in arms):
        return MeasuringReference(
            ReferenceModel(arm.gguf_path, layout_of(config, places, arm, benchmark, arm.name)), None
        )
    return None
