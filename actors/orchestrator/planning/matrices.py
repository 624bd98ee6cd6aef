"""The importance matrices of a plan: which ones are collected, on which weights, and under which keys."""

from __future__ import annotations

from actors.hashing import content_hash
from actors.keys import imatrix_key
from actors.orchestrator.memory_limits import Loaded
from actors.orchestrator.placed import Placed
from actors.orchestrator.placement.choose import groups_of, limited
from actors.orchestrator.placement.single import place_collecting
from actors.orchestrator.plan import PlannedArm, PlannedImatrix
from actors.orchestrator.planning.arms import plan_arm, weighted_mix
from actors.orchestrator.sources.inputs import Inputs, SourceImatrix, SourceModel
from actors.quantization_orders import ImatrixOrder
from actors.recipes import LOSSLESS_TYPES
from actors.store import RunDirectory
from conf.schema.pipeline import PipelineConfig


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
    placed = _place(config, inputs, model, reference)
    gpu_layers, devices = (placed.gpu_layers, placed.devices) if placed else (0, None)
    key = imatrix_key(
        model=reference.key_hash if reference else model.sha256,
        texts=source.texts,
        rules=source.rules,
        dataset_size=source.tokens(config.calibration.dataset_size),
        ctx=config.calibration.ctx,
        threads=config.layout.threads,
        gpu_layers=gpu_layers,
        devices=devices,
        token_weights=token_weights,
        build=inputs.build_for(devices),
    )
    path = run.imatrix(mix, content_hash(key))
    order = ImatrixOrder(
        model_path=reference.gguf_path if reference else model.path,
        mix=mix,
        texts=source.texts,
        dataset_size=source.tokens(config.calibration.dataset_size),
        ctx=config.calibration.ctx,
        threads=config.layout.threads,
        gpu_layers=gpu_layers,
        devices=devices,
        output_path=str(path),
        key=key,
        rules=source.rules,
        token_weights=token_weights,
    )
    needs = (reference.unit,) if reference and reference.unit else ()
    return PlannedImatrix(f"imatrix/{path.stem}", needs, model.name, mix, str(path), order, placed)


def _place(config: PipelineConfig, inputs: Inputs, model: SourceModel, reference: PlannedArm | None) -> Placed | None:
    """Return the place of a worker that collects the matrix. None: it runs on the CPU."""
    shape, groups = inputs.known.shapes.get(model.name), groups_of(inputs.nodes, config.execution.gpus_per_worker)
    if shape is None or not groups:
        return None
    weights = shape.weights if reference is None or reference.weights is None else reference.weights
    groups = limited(groups, inputs.limits.part_of(Loaded("matrices", model.name)))
    ctx, threads = config.calibration.ctx, config.layout.threads
    return place_collecting(groups, shape, weights, ctx=ctx, threads=threads)


def _dequantized_reference(
    config: PipelineConfig, run: RunDirectory, inputs: Inputs, model: SourceModel
) -> PlannedArm | None:
    """Return the lossless arm that is made from a quantized model. None if there is none, or the model is lossless."""
    kinds = [kind for kind in LOSSLESS_TYPES if kind in config.quantizations_of(model.name)]
    if model.source_type.lower() in LOSSLESS_TYPES or not kinds:
        return None
    return plan_arm(config, run, inputs, model, inputs.recipes[kinds[0]][0], inputs.imatrices[0])
