"""Which importance matrices are collected, on which weights, under which keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from actors.orchestrator.plan import PlannedArm, PlannedImatrix
from actors.orchestrator.planning.arms import name_prefix, plan_arm, weighted_mix
from actors.orchestrator.planning.layouts import gpu_layers
from actors.orchestrator.sources.inputs import Inputs, SourceImatrix, SourceModel
from actors.orders import GROUP_CHUNKS, ImatrixOrder
from actors.recipes import LOSSLESS_TYPES
from actors.store import KEY_RULE, RunDirectory, content_hash
from actors.token_classes import weights_key
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
    """Collected on the model itself; of a quantized one on its dequantized reference, where that is made anyway.

    The weights are the same then, but products with quantized weights round the activations that are to be measured.
    `weighted`: tokens count by `protection.token_weights`.
    """
    mix = weighted_mix(source.name) if weighted else source.name
    token_weights = config.protection.token_weights if weighted else None
    reference = _dequantized_reference(config, run, inputs, model)
    key: dict[str, Any] = {
        "rule": KEY_RULE,
        "kind": "imatrix",
        "model": reference.key_hash if reference else model.sha256,
        "texts": [[text.sha256, text.share] for text in source.texts],
        "dataset_size": source.tokens(config.calibration.dataset_size),
        "ctx": config.calibration.ctx,
        "rules": asdict(source.rules),
        "group_chunks": GROUP_CHUNKS,
        "threads": config.layout.threads,
        "gpu_layers": gpu_layers(inputs),
        "build": dict(inputs.build),
        **weights_key(token_weights),
    }
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
    return PlannedImatrix(f"imatrix/{path.stem}", needs, model.name, mix, str(path), order)


def _dequantized_reference(
    config: PipelineConfig, run: RunDirectory, inputs: Inputs, model: SourceModel
) -> PlannedArm | None:
    kinds = [kind for kind in LOSSLESS_TYPES if kind in config.quantizations]
    if model.source_type.lower() in LOSSLESS_TYPES or not kinds:
        return None
    name = f"{name_prefix(inputs, model)}{kinds[0]}"
    return plan_arm(config, run, inputs, (), model, name, inputs.recipes[kinds[0]][0], inputs.imatrices[0], None)
