"""Early stop: tells from the records so far which blocks of a plan are not needed any more.

An arm's benchmark ends as soon as `stats.sequential` has decided it. Its reference goes on while any arm still needs
it. The result depends only on the plan, the records and the blocks that were given up, so a later run comes to the same
result at once. Everything is pure except `read_early_stop`, which reads the records.

`may_end_early` tells which comparisons can end early.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np

from actors.json_lines import read_jsonl
from actors.orchestrator.arm_progress import ArmProgress, no_progress
from actors.orchestrator.may_end_early import ArmAndBenchmark, Comparison, comparisons_of
from actors.orchestrator.plan import Plan, PlannedBlock
from conf.files import exists
from conf.schema.pipeline import PipelineConfig
from reporting.analysis.early import Stop
from stats.guards import kept_values
from stats.reduce import NEVER_ASKED, SCORED
from stats.sequential import Guards, InOrder, decide_in_order
from stats.verdict import Verdict


class EarlyStop:
    """Which blocks of a plan are not needed any more. None, unless the configuration asks for early stop."""

    def __init__(self, plan: Plan, config: PipelineConfig) -> None:
        self._margins = config.statistics.margins
        self.comparisons = tuple(comparisons_of(plan, config)) if config.statistics.early_stop else ()
        wanted = {key for one in self.comparisons for key in (one.of_arm, one.of_reference)}
        self._blocks = {block.unit: block for block in plan.blocks if (block.arm, block.benchmark) in wanted}
        self._progress: dict[ArmAndBenchmark, ArmProgress] = {}
        for block in self._blocks.values():
            key = (block.arm, block.benchmark)
            if key not in self._progress:
                self._progress[key] = no_progress(plan.benchmark(block.model, block.benchmark), config)
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

    def _end(self, unit: str) -> ArmProgress:
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


def _stop(key: ArmAndBenchmark, progress: ArmProgress, comparison: Comparison | None, found: InOrder | None) -> Stop:
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
