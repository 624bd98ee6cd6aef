"""The engine layout of each arm and benchmark: batch, sequences and KV cache."""

from __future__ import annotations

from dataclasses import replace

from actors.llama.layout import EngineLayout
from actors.orchestrator.memory_limits import Loaded
from actors.orchestrator.plan import PlannedArm
from actors.orchestrator.sources.inputs import PlannedBenchmark
from conf.schema.pipeline import PipelineConfig

LEAST_UBATCH = 16
"""The smallest physical batch of an A/A arm, in tokens."""


def host_layout(
    config: PipelineConfig, arm: PlannedArm, benchmark: PlannedBenchmark, pass_of: str | None = None
) -> EngineLayout:
    """Return the layout in which an arm decodes a benchmark on a CPU. An A/A arm has another than its reference.

    `ArmPlaces.on_devices` adds the devices, if there are any.

    Args:
        pass_of: the arm for which the pass is, if it is decoded in one: itself, or an arm beside its reference.
    """
    cache = benchmark.cache_of(Loaded("passes", pass_of) if pass_of else Loaded("arms", arm.name))
    layout = EngineLayout(
        threads=config.layout.threads,
        sequences=cache.sequences,
        n_batch=config.layout.n_batch,
        n_ubatch=config.layout.n_ubatch,
        n_ctx=cache.n_ctx,
        kv_unified=cache.unified,
        # Choices differ by hundredths of a nat. With flash attention they depend more on the batch that they are
        # decoded in (SmolLM2-135M in q4_k_m: 0.05 nats per token instead of 0.03), for only a tenth more speed.
        flash_attention=config.layout.flash_attention and benchmark.spec.kind != "choose",
        gpu_layers=0,
        share_prefixes=benchmark.share_prefixes,
    )
    return _other_layout(layout, benchmark) if arm.is_aa else layout


def _other_layout(layout: EngineLayout, benchmark: PlannedBenchmark) -> EngineLayout:
    """Return a layout with half the sequences and half the physical batch. A user could just as well choose it."""
    most_choices = max((len(getattr(item.task, "choices", ())) for item in benchmark.items), default=0)
    return replace(
        layout,
        sequences=max(layout.sequences // 2, most_choices, 1),
        n_ubatch=max(layout.n_ubatch // 2, LEAST_UBATCH),
    )
