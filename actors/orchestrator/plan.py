"""The plan of a pipeline: what is made once per arm, which blocks are evaluated, and under which keys.

This module only defines the data. `actors.orchestrator.planning` makes plans.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.items import TemplateUse
from actors.judging.orders import JudgeModel, JudgeRules
from actors.llama.layout import EngineLayout
from actors.llama.shape import Weights
from actors.nodes import Nodes
from actors.orchestrator.placed import Placed
from actors.orchestrator.sources.inputs import PlannedBenchmark, SourceArm, SourceModel
from actors.orders import CheckOrder, Endpoint, PerformanceOrder, ReferenceModel
from actors.quantization_orders import ImatrixOrder, QuantizeOrder
from conf.schema.pipeline import PipelineConfig
from reporting.analysis.scored_arms import AA_SUFFIX


@dataclass(frozen=True)
class PlannedImatrix:
    """One importance matrix to collect."""

    unit: str
    needs: tuple[str, ...]
    """Units that must be done before."""
    model: str
    mix: str
    """Name of the calibration mix, or the name that `weighted_mix` gives it."""
    file: str
    order: ImatrixOrder
    placed: Placed | None = None
    """The place of a worker that collects one of its groups. None: any, on the CPU."""

    @property
    def group_units(self) -> tuple[str, ...]:
        """The units that collect its groups, in order. `unit` adds them up."""
        return tuple(f"{self.unit}/group-{number:05d}" for number in range(len(self.order.group_tokens)))


@dataclass(frozen=True)
class PlannedArm:
    """One arm: a model in one form that is compared with others."""

    name: str
    model: str
    reference: str | None
    """Name of the arm that it is compared with. None for a reference, and if there is no reference."""
    recipe: str | None
    imatrix: str | None
    dequantized_from: str | None
    key_hash: str
    gguf_path: str
    predicted_bytes: int
    unit: str | None
    """The unit that makes it. None for a GGUF or an endpoint that exists, and for a second arm of a reference."""
    needs: tuple[str, ...]
    """Units that must be done before."""
    order: QuantizeOrder | None
    """None if nothing has to be made."""
    existing: SourceArm | None = None
    weights: Weights | None = None
    """Its tensors by layer. None: they are not known, as of an endpoint."""
    template_use: TemplateUse | None = None
    """How its chat template is used. None: as the template in its GGUF is."""

    @property
    def is_aa(self) -> bool:
        """True if it is its reference's file again, in another batch layout."""
        return self.name.endswith(AA_SUFFIX)

    @property
    def made_by(self) -> tuple[str, ...]:
        """Units that must be done before its GGUF exists."""
        return (self.unit,) if self.unit else self.needs

    @property
    def endpoint(self) -> Endpoint | None:
        """The endpoint that answers for it; None if it is a GGUF."""
        return self.existing.endpoint if self.existing else None


@dataclass(frozen=True)
class PlannedBlock:
    """One block: what is scheduled, batched and redone as a whole."""

    unit: str
    arm: str
    benchmark: str
    model: str
    first: int
    """Position of its first item."""
    n_items: int
    seeds: tuple[int, ...]
    records_path: str
    layout: EngineLayout
    tokens: int
    """About how many tokens are reported while it runs."""
    cost: float
    """The same, but a generated token counts more than one that is only read."""
    generated: int = 0
    """About how many of its tokens are generated."""
    most_generated: int = 0
    """How many are generated if every answer runs to its token limit."""
    reference: ReferenceModel | None = None
    """The model that a text is decoded beside; the arm itself if the arm is the reference."""
    shared_pass: str | None = None
    """Name of its pass. Blocks with the same name are decoded side by side, together with their reference."""


@dataclass(frozen=True)
class PlannedPerformance:
    """One measurement of an arm's speed and memory."""

    unit: str
    order: PerformanceOrder


@dataclass(frozen=True)
class PlannedCheck:
    """One self-check of the batched engine against decoding one sequence at a time, before an arm's first block."""

    unit: str
    needs: tuple[str, ...]
    order: CheckOrder


@dataclass(frozen=True)
class PlannedJudging:
    """The answers of one block, judged by one judge."""

    unit: str
    arm: str
    benchmark: str
    model: str
    block: str
    """The unit of the block. Its records must exist."""
    judge: JudgeModel
    rules: JudgeRules
    output_path: str
    cache_dir: str
    n_calls: int
    """Number of calls if every verdict can be read at once, and none is known."""
    most_calls: int
    """The same if each verdict has to be asked for twice."""
    tokens: int
    """About how many tokens the judge reads and writes."""
    generated: int
    """About how many of them it writes."""
    cost: float
    """The same as the tokens, but a generated one counts more than one that is only read."""


@dataclass(frozen=True)
class RecordsDirectory:
    """The folder of all blocks of one arm and benchmark that share a key."""

    path: str
    arm: str
    benchmark: str
    key: Mapping[str, Any]
    item_ids: tuple[str, ...]
    seed_groups: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Cell:
    """One arm, one benchmark, one seed. MLflow has one run per cell, and progress counts cells."""

    arm: str
    benchmark: str
    seed: int
    records_dir: str
    blocks: tuple[str, ...]
    """The units of the blocks that hold its records."""
    judgings: tuple[str, ...] = ()
    """The units that judge these records."""


@dataclass(frozen=True)
class Plan:
    """Everything that a pipeline makes, measures and evaluates."""

    pipeline_id: str
    models: tuple[SourceModel, ...]
    imatrices: tuple[PlannedImatrix, ...]
    arms: tuple[PlannedArm, ...]
    benchmarks: Mapping[str, tuple[PlannedBenchmark, ...]]
    """By model."""
    directories: tuple[RecordsDirectory, ...]
    blocks: tuple[PlannedBlock, ...]
    cells: tuple[Cell, ...]
    plan_hash: str
    notices: tuple[str, ...] = ()
    performances: tuple[PlannedPerformance, ...] = ()
    """One per arm that is a file."""
    checks: tuple[PlannedCheck, ...] = ()
    """One per arm; empty if the configuration switches them off."""
    judges: tuple[JudgeModel, ...] = ()
    """The jury of the judged benchmarks. Empty: their answers stay unscored."""
    judgings: tuple[PlannedJudging, ...] = ()
    """One per judge and block of a judged benchmark."""
    placed: Mapping[str, Placed] = field(default_factory=dict)
    """The place of the worker of each unit, by unit. Units that ask an endpoint have none."""

    nodes: Nodes = field(default_factory=lambda: Nodes(()))
    """The machines that do the work."""

    def arm(self, name: str) -> PlannedArm:
        """Return the arm with a name."""
        return next(arm for arm in self.arms if arm.name == name)

    def benchmark(self, model: str, name: str) -> PlannedBenchmark:
        """Return the benchmark with a name, as it is for one model."""
        return next(benchmark for benchmark in self.benchmarks[model] if benchmark.name == name)


def seeds_of(config: PipelineConfig, benchmark: PlannedBenchmark) -> tuple[int, ...]:
    """Return the seeds of a benchmark: one per run, or only the base seed if nothing is sampled."""
    runs = config.runs if benchmark.sampled else 1
    return tuple(range(config.seed, config.seed + runs))
