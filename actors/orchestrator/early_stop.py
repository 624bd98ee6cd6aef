"""Early stop: tells from the records so far which blocks of a plan are not needed any more.

An arm's benchmark ends as soon as `stats.sequential` has decided it. Its reference goes on while any arm still needs
it. The result depends only on the plan, the records and the blocks that were given up, so a later run comes to the same
result at once. Everything is pure except `read_early_stop`, which reads the records.

A benchmark can end early only if its scores lie between 0 and 1, its items share no sources, and its verdict goes by
right and wrong answers: the other scores of multiple choice (`statistics.verdict_score`) decide with few items. Text
(perplexity) and custom functions, which are called once for all items, run to their end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.orchestrator.plan import Plan, PlannedArm, PlannedBlock, seeds_of
from actors.orchestrator.sources.inputs import PlannedBenchmark
from actors.store import exists, read_jsonl
from conf.custom_benchmarks import UNIT_SCALE
from conf.schema import PipelineConfig, Statistics
from reporting.analysis.early import Stop
from stats.guards import kept_values, worst_case
from stats.intervals import Floats
from stats.reduce import NEVER_ASKED, SCORED
from stats.sequential import Guards, InOrder, decide_in_order
from stats.verdict import Verdict

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


@dataclass
class _ArmProgress:
    """What is known so far about one arm on one benchmark."""

    seeds: frozenset[int]
    positions: Mapping[str, int]
    """Item id -> position in the fixed order of items."""
    sums: Floats
    """Per item, the sum of its scores over the seeds; shape (items,)."""
    counts: NDArray[np.int64]
    """Per item, the number of scores in its sum; shape (items,)."""
    prompts: list[set[str]]
    """Per item, the hashes of its prompts."""
    never_asked: NDArray[np.int64]
    """Per item, the number of records that no model could have answered; shape (items,)."""
    blocks: list[PlannedBlock] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    """Blocks that are done or were given up."""
    failed: set[str] = field(default_factory=set)
    """The blocks in `ended` that were given up."""

    @property
    def first_items(self) -> list[int]:
        """The positions at which blocks begin, in order. Blocks of several seed groups begin at the same one."""
        return sorted({block.first for block in self.blocks})

    @property
    def means(self) -> Floats:
        """Per item, its mean score; NaN if no seed is scored."""
        means: Floats = np.divide(self.sums, self.counts, out=np.full(self.sums.shape, np.nan), where=self.counts > 0)
        return means

    def filled(self, paired: NDArray[np.bool_], fill: float) -> Floats:
        """Return the means if each record without a score counts as `fill`. Items that do not pair have no scores."""
        planned = np.full(self.counts.shape, len(self.seeds))
        sums, counts = np.where(paired, self.sums, 0.0), np.where(paired, self.counts, 0)
        return worst_case(sums, counts, planned, float(fill))

    @property
    def ended_items(self) -> NDArray[np.bool_]:
        """Per item, whether all of its seeds are done or were given up."""
        ended = np.ones(self.sums.size, dtype=np.bool_)
        for block in self.blocks:
            if block.unit not in self.ended:
                ended[block.first : block.first + block.n_items] = False
        return ended

    def open_blocks(self) -> list[PlannedBlock]:
        """Return the blocks that have not ended."""
        return [block for block in self.blocks if block.unit not in self.ended]

    def last_usable_first_item(self) -> int:
        """Return where the last block that was not given up begins; -1 if all blocks were given up."""
        return max((block.first for block in self.blocks if block.unit not in self.failed), default=-1)


class EarlyStop:
    """Which blocks of a plan are not needed any more. None, unless the configuration asks for early stop."""

    def __init__(self, plan: Plan, config: PipelineConfig) -> None:
        self._margins = config.statistics.margins
        self.comparisons = tuple(_comparisons(plan, config)) if config.statistics.early_stop else ()
        wanted = {key for one in self.comparisons for key in (one.of_arm, one.of_reference)}
        self._blocks = {block.unit: block for block in plan.blocks if (block.arm, block.benchmark) in wanted}
        self._progress: dict[ArmAndBenchmark, _ArmProgress] = {}
        for block in self._blocks.values():
            key = (block.arm, block.benchmark)
            if key not in self._progress:
                self._progress[key] = _no_progress(plan.benchmark(block.model, block.benchmark), config)
            self._progress[key].blocks.append(block)
        self._decisions: dict[ArmAndBenchmark, InOrder] = {}
        self._changed: set[ArmAndBenchmark] = set(self._progress)
        """What has changed since `unneeded` was last called."""

    def follows(self, unit: str) -> bool:
        """Return whether a unit is a block of a benchmark that can end early."""
        return unit in self._blocks

    @property
    def turns(self) -> dict[str, int]:
        """The turn of each block: arm and reference go through the items together, in strides that double.

        All arms do one stride before any arm does the next one, and the reference does it first. So, once all arms are
        made, no more items are run in vain than were needed, and a worker changes its model only a few times.
        """
        references = {one.of_reference for one in self.comparisons}
        turns: dict[str, int] = {}
        for key, progress in self._progress.items():
            stride = {first: (row + 1).bit_length() - 1 for row, first in enumerate(progress.first_items)}
            turns |= {block.unit: 2 * stride[block.first] + (key not in references) for block in progress.blocks}
        return turns

    def add(self, unit: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Record that a block is done, and use its records."""
        progress = self._end(unit)
        for record in records:
            if record["seed"] in progress.seeds and record["outcome"] in SCORED:
                item = progress.positions[record["item_id"]]
                progress.sums[item] += record["score"]
                progress.counts[item] += 1
                progress.prompts[item].add(record["prompt_hash"])
            elif record["seed"] in progress.seeds and record.get("reason") in NEVER_ASKED:
                progress.never_asked[progress.positions[record["item_id"]]] += 1

    def give_up(self, unit: str) -> None:
        """Record that a block has failed for good, so its items stay unscored."""
        if unit not in self._progress[self._arm_and_benchmark(unit)].failed:
            self._end(unit).failed.add(unit)

    def decision(self, comparison: Comparison) -> InOrder:
        """Return what can be decided now. A decision that was made never changes."""
        changed = {comparison.of_arm, comparison.of_reference} & self._changed
        known = self._decisions.get(comparison.of_arm)
        if known is None or (changed and known.decision.verdict is Verdict.UNDECIDED):
            self._decisions[comparison.of_arm] = self._decide(comparison)
        return self._decisions[comparison.of_arm]

    def unneeded(self) -> frozenset[str]:
        """Return the blocks that have not ended and need not begin."""
        found: set[str] = set()
        last_needed: dict[ArmAndBenchmark, int] = {}
        for one in self.comparisons:
            progress = self._progress[one.of_arm]
            last_needed.setdefault(one.of_reference, -1)
            if self.decision(one).decision.verdict is Verdict.UNDECIDED:
                last_needed[one.of_reference] = max(last_needed[one.of_reference], progress.last_usable_first_item())
            else:
                found |= {block.unit for block in progress.open_blocks()}
        self._changed.clear()
        for reference, last in last_needed.items():
            found |= {block.unit for block in self._progress[reference].open_blocks() if block.first > last}
        return frozenset(found)

    def stops(self) -> tuple[Stop, ...]:
        """Return how far each arm and each reference went on each benchmark that can end early."""
        decided = {one.of_arm: (one, self.decision(one)) for one in self.comparisons}
        return tuple(_stop(key, progress, *decided.get(key, (None, None))) for key, progress in self._progress.items())

    def _arm_and_benchmark(self, unit: str) -> ArmAndBenchmark:
        block = self._blocks[unit]
        return block.arm, block.benchmark

    def _end(self, unit: str) -> _ArmProgress:
        key = self._arm_and_benchmark(unit)
        self._changed.add(key)
        progress = self._progress[key]
        progress.ended.add(unit)
        return progress

    def _decide(self, comparison: Comparison) -> InOrder:
        arm, reference = self._progress[comparison.of_arm], self._progress[comparison.of_reference]
        same = np.array([own == other for own, other in zip(arm.prompts, reference.prompts, strict=True)])
        paired = same & (arm.counts > 0) & (reference.counts > 0)
        own, other = (np.where(paired, one.means, np.nan) for one in (arm, reference))
        asked = ~((arm.never_asked == len(arm.seeds)) & (reference.never_asked == len(reference.seeds)))
        higher = comparison.higher_is_better
        worst, best = (
            np.where(asked, one.filled(paired, fill), np.nan) for one, fill in ((arm, not higher), (reference, higher))
        )
        if not higher:
            own, other, worst, best = 1 - own, 1 - other, 1 - worst, 1 - best
        share = self._margins.relative
        guards = Guards(
            worst - best,
            kept_values(own, other, share, comparison.chance),
            kept_values(worst, best, share, comparison.chance),
            other,
            comparison.chance,
        )
        return decide_in_order(
            own - other,
            arm.ended_items & reference.ended_items,
            margin=self._margins.accuracy,
            n_tests=comparison.n_tests,
            guards=guards,
        )


def read_early_stop(
    plan: Plan, config: PipelineConfig, failed: Container[str], running: Container[str] = ()
) -> EarlyStop:
    """Return the early stop of a plan after reading the records on disk.

    Args:
        plan: the plan.
        config: its configuration.
        failed: the units that were given up.
        running: units that are still at work. Their records are added when they end.
    """
    early = EarlyStop(plan, config)
    for block in plan.blocks:
        if early.follows(block.unit) and block.unit not in running:
            if exists(block.records_path):
                early.add(block.unit, read_jsonl(block.records_path))
            elif block.unit in failed:
                early.give_up(block.unit)
    return early


def describe_early_stop(plan: Plan, config: PipelineConfig) -> list[str]:
    """Return a line to show before the run: which benchmarks may end early, and what that costs."""
    names = dict.fromkeys(one.benchmark for one in EarlyStop(plan, config).comparisons)
    if not names:
        return []
    return [f"May end early: {', '.join(names)}. If one does not, its intervals are up to 1.8 times as wide."]


def _comparisons(plan: Plan, config: PipelineConfig) -> Iterable[Comparison]:
    """Yield the comparisons of a plan that can end early."""
    benchmarks_of: dict[str, set[str]] = {}
    for block in plan.blocks:
        benchmarks_of.setdefault(block.arm, set()).add(block.benchmark)
    for arm in plan.arms:
        names = benchmarks_of.get(arm.name, set())
        yield from _comparisons_of(arm, [one for one in plan.benchmarks[arm.model] if one.name in names], config)


def _comparisons_of(
    arm: PlannedArm, benchmarks: Sequence[PlannedBenchmark], config: PipelineConfig
) -> Iterable[Comparison]:
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


def _no_progress(benchmark: PlannedBenchmark, config: PipelineConfig) -> _ArmProgress:
    n_items = len(benchmark.items)
    return _ArmProgress(
        seeds=frozenset(seeds_of(config, benchmark)),
        positions={item.item_id: position for position, item in enumerate(benchmark.items)},
        sums=np.zeros(n_items),
        counts=np.zeros(n_items, dtype=np.int64),
        prompts=[set() for _ in range(n_items)],
        never_asked=np.zeros(n_items, dtype=np.int64),
    )


def _stop(key: ArmAndBenchmark, progress: _ArmProgress, comparison: Comparison | None, found: InOrder | None) -> Stop:
    """Return how far an arm went. Without `comparison` and `found` it is a reference."""

    def n_records(blocks: Iterable[PlannedBlock]) -> int:
        return sum(block.n_items * len(progress.seeds.intersection(block.seeds)) for block in blocks)

    begun = {block.first for block in progress.blocks if block.unit in progress.ended}
    n_items = len(progress.positions)
    return Stop(
        arm=key[0],
        benchmark=key[1],
        verdict=None if found is None else found.decision.verdict,
        n_tests=None if comparison is None else comparison.n_tests,
        n_items_planned=n_items,
        n_items_begun=sum({block.first: block.n_items for block in progress.blocks if block.first in begun}.values()),
        n_items_looked_at=n_items if found is None else found.n_places,
        n_records_planned=n_records(progress.blocks),
        n_records_saved=n_records(progress.open_blocks()),
    )
