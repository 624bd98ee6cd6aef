"""Which comparisons of a plan can end early.

A benchmark can end early only if its scores lie between 0 and 1, its items share no sources, and its verdict goes by
right and wrong answers: the other scores of multiple choice (`statistics.verdict_score`) decide with few items. Text
(perplexity) and custom functions, which are called once for all items, run to their end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from actors.orchestrator.plan import Plan, PlannedArm
from actors.orchestrator.sources.inputs import PlannedBenchmark
from conf.custom_benchmarks import UNIT_SCALE
from conf.schema.pipeline import PipelineConfig
from conf.schema.verdicts import Statistics

BOUNDED_KINDS = ("generate", "choose")
"""The kinds of benchmarks that score item by item; a function is called once for all items."""

ArmAndBenchmark = tuple[str, str]
"""The name of an arm and the name of a benchmark."""


@dataclass(frozen=True)
class Comparison:
    """One arm compared with its reference on one benchmark."""

    arm: str
    reference: str
    benchmark: str
    higher_is_better: bool
    n_tests: int
    """Number of benchmarks that the arm is compared on."""
    chance: float
    """Share of right answers that guessing gives."""

    @property
    def of_arm(self) -> ArmAndBenchmark:
        """The arm and the benchmark."""
        return self.arm, self.benchmark

    @property
    def of_reference(self) -> ArmAndBenchmark:
        """The reference and the benchmark."""
        return self.reference, self.benchmark


def comparisons_of(plan: Plan, config: PipelineConfig) -> Iterable[Comparison]:
    """Yield the comparisons of a plan that can end early."""
    benchmarks_of: dict[str, set[str]] = {}
    for block in plan.blocks:
        benchmarks_of.setdefault(block.arm, set()).add(block.benchmark)
    for arm in plan.arms:
        names = benchmarks_of.get(arm.name, set())
        yield from _of_arm(arm, [one for one in plan.benchmarks[arm.model] if one.name in names], config)


def _of_arm(arm: PlannedArm, benchmarks: Sequence[PlannedBenchmark], config: PipelineConfig) -> Iterable[Comparison]:
    """Yield the comparisons of an arm that can end early. `benchmarks`: all benchmarks of the arm."""
    if arm.reference is None:
        return
    for benchmark in benchmarks:
        if may_end_early(benchmark, config.statistics):
            yield Comparison(
                arm.name,
                arm.reference,
                benchmark.spec.name,
                benchmark.spec.higher_is_better,
                len(benchmarks),
                benchmark.chance,
            )


def may_end_early(benchmark: PlannedBenchmark, settings: Statistics) -> bool:
    """Return whether the benchmark can end early and its verdict goes by right and wrong answers."""
    metric = benchmark.spec.metric
    return settings.score_of(benchmark.name, metric) == metric and can_end_early(benchmark)


def can_end_early(benchmark: PlannedBenchmark) -> bool:
    """Return whether the betting sequence is valid: scores between 0 and 1, and items that are independent draws."""
    sources = Counter(item.cluster for item in benchmark.items if item.cluster is not None)
    bounded = benchmark.spec.kind in BOUNDED_KINDS and benchmark.spec.scale == UNIT_SCALE
    return bounded and max(sources.values(), default=1) == 1
