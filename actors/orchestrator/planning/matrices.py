"""The importance matrices of a plan: which ones are collected, on which weights, and under which keys."""

from __future__ import annotations

from actors.keys import imatrix_key
from actors.orchestrator.plan import PlannedArm, PlannedImatrix
from actors.orchestrator.planning.arms import plan_arm, weighted_mix
from actors.orchestrator.planning.layouts import gpu_layers
from actors.orchestrator.sources.inputs import Inputs, SourceImatrix, SourceModel
from actors.orders import ImatrixOrder
from actors.recipes import LOSSLESS_TYPES
from actors.store import RunDirectory, content_hash
from conf.schema import PipelineConfig


def plan_imatrix(
    config: PipelineConfig,
    run: RunDirectory,
    inputs: Inputs,
    model: SourceModel,
    source: SourceImatrix,
    *,
    weighted: bool = False,
) -> PlannedImatrix:
    """Plan the matrix that is collected from the texts of `source`.

    It is collected on the model itself. If the model is quantized and the pipeline makes its dequantized reference
    anyway, it is collected on that: the weights are the same, but products with quantized weights round the
    activations that are to be measured.

    Args:
        weighted: True if tokens count by `protection.token_weights`.
    """
    mix = weighted_mix(source.name) if weighted else source.name
    token_weights = config.protection.token_weights if weighted else None
    reference = _dequantized_reference(config, run, inputs, model)
    key = imatrix_key(
        model=reference.key_hash if reference else model.sha256,
        texts=source.texts,
        rules=source.rules,
        dataset_size=source.tokens(config.calibration.dataset_size),
        ctx=config.calibration.ctx,
        threads=config.layout.threads,
        gpu_layers=gpu_layers(inputs),
        token_weights=token_weights,
        build=inputs.build_for(None),
    )
    path = run.imatrix(mix, content_hash(key))
    order = ImatrixOrder(
        model_path=reference.gguf_path if reference else model.path,
        mix=mix,
        texts=source.texts,
        dataset_size=source.tokens(config.calibration.dataset_size),
        ctx=config.calibration.ctx,
        threads=config.layout.threads,
        gpu_layers=gpu_layers(inputs),
        output_path=str(path),
        key=key,
        rules=source.rules,
        token_weights=token_weights,
    )
    needs = (reference.unit,) if reference and reference.unit else ()
    return PlannedImatrix(
        unit=f"imatrix/{path.stem}", needs=needs, model=model.name, mix=mix, file=str(path), order=order
    )


def _dequantized_reference(
    config: PipelineConfig, run: RunDirectory, inputs: Inputs, model: SourceModel
) -> PlannedArm | None:
    """Return the lossless arm that is made from a quantized model. None if there is none, or the model is lossless."""
    kinds = [kind for kind in LOSSLESS_TYPES if kind in config.quantizations_of(model.name)]
    if model.source_type.lower() in LOSSLESS_TYPES or not kinds:
        return None
    return plan_arm(config, run, inputs, model, inputs.recipes[kinds[0]][0], inputs.imatrices[0])
