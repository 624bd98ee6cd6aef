"""The facts about the run itself: models, arms, importance matrices, benchmarks, settings and failures.

They are what both result files say beside the numbers. They come from the plan and from the manifests of made files,
never from records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from actors.items import TemplateUse
from actors.orchestrator.own_files import OF_MATRIX, arm_manifest, matrix_manifest, performance
from actors.orchestrator.plan import Plan, PlannedArm, seeds_of
from actors.orchestrator.schedule import Failure
from actors.recipes import CONTROL, Recipe
from actors.stored_files import ArmFiles, ImatrixFiles
from conf.schema.pipeline import PipelineConfig


def read_performances(plan: Plan) -> dict[str, Mapping[str, Any]]:
    """Return the measured speed and memory of each arm that was measured, by arm."""
    found = {one.order.arm: performance(one.order.output_path) for one in plan.performances}
    return {arm: measured for arm, measured in found.items() if measured is not None}


def describe_run(
    plan: Plan,
    config: PipelineConfig,
    description: Mapping[str, Any],
    failures: Sequence[Failure],
    notices: Sequence[str],
) -> dict[str, Any]:
    """Return the facts about the run itself: models, arms, matrices, benchmarks, settings, failures."""
    performances = read_performances(plan)
    failed = {failure.arm: failure.error for failure in failures if failure.phase == "quantize"}
    return {
        "pipeline_id": plan.pipeline_id,
        **description,
        "models": [asdict(model) for model in plan.models],
        "arms": _with_predictions(
            [
                _describe_arm(arm, failed.get(arm.name), _prefixes(plan, arm), performances.get(arm.name))
                for arm in plan.arms
            ]
        ),
        "imatrices": [
            _describe_imatrix(one.mix, files.matrix.name, manifest)
            for one in plan.imatrices
            if (manifest := matrix_manifest(files := ImatrixFiles(one.file))) is not None
        ],
        "benchmarks": _describe_benchmarks(plan, config),
        "failures": [{**asdict(failure), "log_tail": list(failure.log_tail)} for failure in failures],
        "notices": list(notices),
    }


def _prefixes(plan: Plan, arm: PlannedArm) -> str:
    """Return whether sequences of an arm share a decoded prefix, or each decodes its own."""
    shared = all(block.layout.share_prefixes for block in plan.blocks if block.arm == arm.name)
    return "shared" if shared else "not_shared"


def _describe_arm(
    arm: PlannedArm, failed: str | None, prefixes: str, performance: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the facts about one arm.

    Args:
        arm: the arm.
        failed: the error with which making it failed, if it did.
        prefixes: the value of `_prefixes`.
        performance: its measured speed and memory, if they were measured.
    """
    manifest: Mapping[str, Any] = {}
    if arm.existing is not None:
        existing = arm.existing
        manifest = {
            "size_bytes": existing.size_bytes,
            "bits_per_weight": existing.bits_per_weight,
            "sha256": existing.sha256,
            "fallbacks": existing.fallbacks,
            "types": existing.types,
            "origin": existing.origin,
        }
    else:
        manifest = arm_manifest(ArmFiles.in_own_folder(arm.gguf_path)) or {}
    return {
        "name": arm.name,
        "model": arm.model,
        "reference": arm.reference,
        "recipe": arm.recipe,
        "method": arm.order.recipe.method if arm.order else None,
        "overrides": _describe_overrides(arm.order.recipe) if arm.order else [],
        "imatrix": arm.imatrix,
        "dequantized_from": arm.dequantized_from,
        "file": None if arm.endpoint else Path(arm.gguf_path).name,
        "path": arm.gguf_path,
        "endpoint": {"url": arm.endpoint.url, "model": arm.endpoint.model} if arm.endpoint else None,
        "size_bytes": manifest.get("size_bytes"),
        "size_bytes_reason": "endpoint" if arm.endpoint else "block_failed" if failed else None,
        "bits_per_weight": manifest.get("bits_per_weight"),
        "sha256": manifest.get("sha256"),
        "fallbacks": manifest.get("fallbacks"),
        "budget": manifest.get("budget"),
        "types": manifest.get("types"),
        "origin": manifest.get("origin"),
        "quantize_seconds": manifest.get("seconds"),
        "thinking": _describe_thinking(arm),
        "prefixes": prefixes,
        "failed": failed,
        "performance": performance,
    }


def _describe_thinking(arm: PlannedArm) -> dict[str, Any] | None:
    """Return how an arm may think; None if it has no settings of it and its chat template knows no thoughts."""
    use = arm.template_use
    if use is None or use == TemplateUse(use.template):
        return None
    return {"mode": use.thinking, "arguments": json.loads(use.arguments), "max_tokens": use.thinking_tokens}


def _with_predictions(arms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the same arms, where each control has the errors that its protected arm predicts for it.

    A control measures nothing itself.
    """
    budgets = {arm["name"]: arm["budget"] for arm in arms}
    for arm in arms:
        protected = budgets.get(str(arm["name"]).removesuffix(CONTROL))
        if arm["budget"] and arm["budget"]["control"] and protected:
            arm["budget"] = {
                **arm["budget"],
                "predicted_error": protected["predicted_error_control"],
                "predicted_error_base": protected["predicted_error_base"],
            }
    return arms


def _describe_overrides(recipe: Recipe) -> list[dict[str, str]]:
    """Return the tensors that a recipe gives a type of their own; its regular expressions in their order."""
    given = recipe.overrides
    named = [("token embedding", given.embedding), ("output tensor", given.output), *given.tensors]
    return [{"tensors": tensors, "type": kind} for tensors, kind in named if kind is not None]


def _describe_imatrix(mix: str, file_name: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": mix,
        "file": file_name,
        **{key: manifest[key] for key in OF_MATRIX},
        "token_weighting": manifest.get("token_weighting"),
    }


def _describe_benchmarks(plan: Plan, config: PipelineConfig) -> list[dict[str, Any]]:
    """Return one entry per benchmark.

    If models have different items (as with the chunks of perplexity), those of the first model are described.
    """
    described = []
    for benchmark in plan.benchmarks[plan.models[0].name]:
        described.append(
            {
                "name": benchmark.name,
                "kind": benchmark.spec.kind,
                "metric": benchmark.spec.metric,
                "higher_is_better": benchmark.spec.higher_is_better,
                "version": benchmark.spec.version,
                "n_items_total": benchmark.data.n_items_total,
                "n_items": len(benchmark.items),
                "chance": benchmark.chance,
                "shots": benchmark.data.shots,
                "seeds": list(seeds_of(config, benchmark)),
                "deterministic": not benchmark.sampled,
                "data_hash": benchmark.data.data_hash,
                "title": dict(benchmark.spec.title),
                "source": dict(benchmark.data.source),
                "scale": None if benchmark.spec.scale is None else list(benchmark.spec.scale),
                "questions": benchmark.spec.questions,
                "category": benchmark.spec.category,
                "rubrics": list(benchmark.spec.rubrics),
            }
        )
    return described
