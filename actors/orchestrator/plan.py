"""The plan of a pipeline: which artifacts are made once an arm, which blocks are evaluated, under which keys.

Names and orders only; `actors.orchestrator.planning` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.llama.layout import EngineLayout
from actors.orchestrator.sources.inputs import PlannedBenchmark, SourceArm, SourceModel
from actors.orders import CheckOrder, Endpoint, ImatrixOrder, PerformanceOrder, QuantizeOrder, ReferenceModel
from conf.schema import PipelineConfig

AA = "~aa"
"""What the name of a reference's second arm ends with: the same file in another batch layout."""


@dataclass(frozen=True)
class PlannedImatrix:
    """An importance matrix to collect."""

    unit: str
    needs: tuple[str, ...]
    model: str
    mix: str
    """Name of the mix, or `weighted_mix` of it."""
    file: str
    order: ImatrixOrder

    @property
    def group_units(self) -> tuple[str, ...]:
        """The units of its groups, in their order; `unit` adds them up."""
        return tuple(f"{self.unit}/group-{number:05d}" for number in range(len(self.order.group_tokens)))


@dataclass(frozen=True)
class PlannedArm:
    """One thing that is compared; `order` is None for a GGUF that exists."""

    name: str
    model: str
    reference: str | None
    recipe: str | None
    imatrix: str | None
    dequantized_from: str | None
    key_hash: str
    gguf_path: str
    predicted_bytes: int
    unit: str | None
    needs: tuple[str, ...]
    order: QuantizeOrder | None
    existing: SourceArm | None = None

    @property
    def is_aa(self) -> bool:
        """Its reference's file once more, in another batch layout."""
        return self.name.endswith(AA)

    @property
    def made_by(self) -> tuple[str, ...]:
        """Units that must be done before its GGUF is there."""
        return (self.unit,) if self.unit else self.needs

    @property
    def endpoint(self) -> Endpoint | None:
        return self.existing.endpoint if self.existing else None


@dataclass(frozen=True)
class PlannedBlock:
    """A block: the unit of scheduling, batching and redoing."""

    unit: str
    arm: str
    benchmark: str
    model: str
    first: int
    n_items: int
    seeds: tuple[int, ...]
    records_path: str
    layout: EngineLayout
    tokens: int
    """About how many tokens will be reported while it works."""
    cost: float
    """The same, with generated ones at their weight."""
    reference: ReferenceModel | None = None
    """What the arm's text is decoded beside; itself, where the arm is the reference."""
    shared_pass: str | None = None
    """Blocks of one name are decoded side by side, with one pass of their reference."""


@dataclass(frozen=True)
class PlannedPerformance:
    """Speed and memory of an arm, measured once."""

    unit: str
    order: PerformanceOrder


@dataclass(frozen=True)
class PlannedCheck:
    """The comparison of the batched engine with one sequence at a time, before an arm's first block."""

    unit: str
    needs: tuple[str, ...]
    order: CheckOrder


@dataclass(frozen=True)
class RecordsDirectory:
    """All blocks of one arm and benchmark, under one key."""

    path: str
    arm: str
    benchmark: str
    key: Mapping[str, Any]
    item_ids: tuple[str, ...]
    seed_groups: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Cell:
    """arm x benchmark x seed: the unit of an MLflow run and of progress."""

    arm: str
    benchmark: str
    seed: int
    records_dir: str
    blocks: tuple[str, ...]
    """Units of the blocks that hold its records."""


@dataclass(frozen=True)
class Plan:
    """The whole pipeline, multiplied out."""

    pipeline_id: str
    models: tuple[SourceModel, ...]
    imatrices: tuple[PlannedImatrix, ...]
    arms: tuple[PlannedArm, ...]
    benchmarks: Mapping[str, tuple[PlannedBenchmark, ...]]
    directories: tuple[RecordsDirectory, ...]
    blocks: tuple[PlannedBlock, ...]
    cells: tuple[Cell, ...]
    plan_hash: str
    notices: tuple[str, ...] = ()
    chat_templates: Mapping[str, str] = field(default_factory=dict)
    performances: tuple[PlannedPerformance, ...] = ()
    """One an arm that is a file."""
    checks: tuple[PlannedCheck, ...] = ()
    """One an arm; none where the configuration switches them off."""

    def arm(self, name: str) -> PlannedArm:
        return next(arm for arm in self.arms if arm.name == name)

    def benchmark(self, model: str, name: str) -> PlannedBenchmark:
        return next(benchmark for benchmark in self.benchmarks[model] if benchmark.name == name)


def seeds_of(config: PipelineConfig, benchmark: PlannedBenchmark) -> tuple[int, ...]:
    """The seeds of a benchmark: one a run, or the base seed alone where nothing is sampled."""
    runs = config.runs if benchmark.sampled else 1
    return tuple(range(config.seed, config.seed + runs))
