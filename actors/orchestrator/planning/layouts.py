"""How a benchmark is laid out in an engine: batch, sequences, KV cache."""

from __future__ import annotations

from dataclasses import replace

from actors.llama.layout import EngineLayout
from actors.orchestrator.plan import PlannedArm
from actors.orchestrator.sources.inputs import Inputs, PlannedBenchmark
from conf.schema import PipelineConfig

LEAST_UBATCH = 16


def gpu_layers(inputs: Inputs) -> int:
    return -1 if inputs.use_gpu else 0


def layout_of(config: PipelineConfig, inputs: Inputs, arm: PlannedArm, benchmark: PlannedBenchmark) -> EngineLayout:
    layout = EngineLayout(
        threads=config.layout.threads,
        sequences=benchmark.cache.sequences,
        n_batch=config.layout.n_batch,
        n_ubatch=config.layout.n_ubatch,
        n_ctx=benchmark.cache.n_ctx,
        kv_unified=benchmark.cache.unified,
        # Choices are told apart by hundredths of a nat: with it they move more with the batch they are decoded in (on
        # SmolLM2-135M in q4_k_m by 0.05 nats a token, without by 0.03), and gain a tenth in speed.
        flash_attention=config.layout.flash_attention and benchmark.spec.kind != "choose",
        gpu_layers=gpu_layers(inputs),
        share_prefixes=benchmark.share_prefixes,
    )
    return _other_layout(layout, benchmark) if arm.is_aa else layout


def _other_layout(layout: EngineLayout, benchmark: PlannedBenchmark) -> EngineLayout:
    """Half as many sequences and half as long graphs: what a user might run just as well."""
    most_choices = max((len(getattr(item.task, "choices", ())) for item in benchmark.items), default=0)
    return replace(
        layout,
        sequences=max(layout.sequences // 2, most_choices, 1),
        n_ubatch=max(layout.n_ubatch // 2, LEAST_UBATCH),
    )
