"""Which arms' texts are decoded side by side, and beside which reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.orchestrator.plan import PlannedArm
from actors.orchestrator.planning.layouts import layout_of
from actors.orchestrator.sources.inputs import Inputs, PlannedBenchmark
from actors.orders import ReferenceModel
from conf.schema import PipelineConfig


def shared_passes(arms: Sequence[PlannedArm]) -> dict[str, str]:
    """By arm, the name of the pass that its text shares: the reference with the first arms, further passes with more.

    The arms of a pass together are no larger than their reference (one may be, if it is alone): decoding them side by
    side takes about twice the memory of the reference, which must fit anyway. Records do not depend on it.
    """
    passes: dict[str, str] = {}
    for reference in arms:
        own = [arm for arm in arms if arm.reference == reference.name and arm.endpoint is None]
        number, filled = 0, 0
        for arm in own:
            if filled and filled + arm.predicted_bytes > reference.predicted_bytes:
                number, filled = number + 1, 0
            filled += arm.predicted_bytes
            passes[arm.name] = f"{reference.name}/{number}"
        if own:
            passes[reference.name] = f"{reference.name}/0"
    return passes


@dataclass(frozen=True)
class Beside:
    """What an arm's text is decoded beside."""

    model: ReferenceModel
    key_hash: str | None
    """Of the reference; None for the reference itself, whose records are the same whether it has arms or not."""


def measured_beside(
    config: PipelineConfig,
    inputs: Inputs,
    arms: Sequence[PlannedArm],
    arm: PlannedArm,
    benchmark: PlannedBenchmark,
) -> Beside | None:
    """None where there is no text, no reference, or one of both is an endpoint."""
    if benchmark.spec.kind != "measure" or arm.endpoint is not None:
        return None
    if arm.reference is not None:
        reference = next(other for other in arms if other.name == arm.reference)
        if reference.endpoint is not None:
            return None
        return Beside(
            ReferenceModel(reference.gguf_path, layout_of(config, inputs, reference, benchmark)), reference.key_hash
        )
    if any(other.reference == arm.name for other in arms):
        return Beside(ReferenceModel(arm.gguf_path, layout_of(config, inputs, arm, benchmark)), None)
    return None
