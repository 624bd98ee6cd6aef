"""Early stop: follows the records of a plan as blocks end, and says which blocks nobody needs any more.

An arm's benchmark ends once `stats.sequential` has decided it; its reference goes on as far as some arm still needs it.
All of it is a function of the plan, the records and what was given up, so a later run finds the same at once. Pure but
for `follow`, which reads the records.

Only benchmarks whose scores lie on [0, 1] and whose items share no sources can be ended; text (perplexity) and
functions of the user's, which are called once for all items, run to their end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.orchestrator.plan import Plan, PlannedArm, PlannedBlock, seeds_of
from actors.orchestrator.sources.inputs import PlannedBenchmark
from actors.store import read_jsonl
from conf.schema import PipelineConfig
from reporting.analysis.early import Stop
from stats.intervals import Floats
from stats.reduce import SCORED
from stats.sequential import InOrder, decide_in_order
from stats.verdict import Verdict

BOUNDED_KINDS = ("generate", "choose")
"""Kinds of benchmarks all of whose scorers give shares of right."""

Place = tuple[str, str]
"""Arm and benchmark."""


@dataclass(frozen=True)
class Contest:
    """One arm against its reference on one benchmark."""

    arm: str
    reference: str
    benchmark: str
    higher_is_better: bool
    n_tests: int
    """Benchmarks that the arm is compared on."""

    @property
    def place(self) -> Place:
        return self.arm, self.benchmark


@dataclass
class _Side:
    """What is known of one arm on one benchmark."""

    seeds: frozenset[int]
    places: Mapping[str, int]
    """Item id -> place in the fixed order."""
    sums: Floats
    """Of the scores of each item's seeds; shape (items,)."""
    counts: NDArray[np.int64]
    prompts: list[set[str]]
    blocks: list[PlannedBlock] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    """Of those that have ended."""

    @property
    def rows(self) -> list[int]:
        """First items of its runs of items, in order; blocks of several seed groups share one."""
        return sorted({block.first for block in self.blocks})

    @property
    def means(self) -> Floats:
        """NaN where no seed is scored."""
        means: Floats = np.divide(self.sums, self.counts, out=np.full(self.sums.shape, np.nan), where=self.counts > 0)
        return means

    @property
    def ended_items(self) -> NDArray[np.bool_]:
        """Items all of whose seeds are done or given up."""
        ended = np.ones(self.sums.size, dtype=np.bool_)
        for block in self.blocks:
            if block.unit not in self.ended:
                ended[block.first : block.first + block.n_items] = False
        return ended

    def still_to_come(self) -> list[PlannedBlock]:
        return [block for block in self.blocks if block.unit not in self.ended]

    def last_that_can_pair(self) -> int:
        """The last run of items of which not everything was given up; -1 where there is none."""
        return max((block.first for block in self.blocks if block.unit not in self.failed), default=-1)


class EarlyStop:
    """What may be ended of a plan; nothing at all where the configuration does not ask for it."""

    def __init__(self, plan: Plan, config: PipelineConfig) -> None:
        self._margin = config.statistics.margins.accuracy
        self.contests = tuple(_contests(plan)) if config.statistics.early_stop else ()
        wanted = {place for one in self.contests for place in (one.place, (one.reference, one.benchmark))}
        self._blocks = {block.unit: block for block in plan.blocks if (block.arm, block.benchmark) in wanted}
        self._sides: dict[Place, _Side] = {}
        for block in self._blocks.values():
            place = (block.arm, block.benchmark)
            if place not in self._sides:
                self._sides[place] = _new_side(plan.benchmark(block.model, block.benchmark), config)
            self._sides[place].blocks.append(block)
        self._found: dict[Place, InOrder] = {}
        self._changed: set[Place] = set(self._sides)

    def follows(self, unit: str) -> bool:
        """Whether the unit is a block of a benchmark that can be ended."""
        return unit in self._blocks

    @property
    def turns(self) -> dict[str, int]:
        """By block, when it is its turn: arm and reference go through the items together, in strides that double.

        One stride of each goes before the next of any, the reference's first: once all arms are made, what is run
        beyond what is needed is no more than was needed, and a worker changes its model only a few times.
        """
        references = {(one.reference, one.benchmark) for one in self.contests}
        turns: dict[str, int] = {}
        for place, side in self._sides.items():
            stride = {first: (row + 1).bit_length() - 1 for row, first in enumerate(side.rows)}
            turns |= {block.unit: 2 * stride[block.first] + (place not in references) for block in side.blocks}
        return turns

    def add(self, unit: str, records: Iterable[Mapping[str, Any]]) -> None:
        """A block is done, with these records."""
        side = self._end(unit)
        for record in records:
            if record["seed"] in side.seeds and record["outcome"] in SCORED:
                item = side.places[record["item_id"]]
                side.sums[item] += record["score"]
                side.counts[item] += 1
                side.prompts[item].add(record["prompt_hash"])

    def give_up(self, unit: str) -> None:
        """A block has failed for good: its items are unscored."""
        if unit not in self._sides[self._place(unit)].failed:
            self._end(unit).failed.add(unit)

    def decision(self, contest: Contest) -> InOrder:
        """What may be said of it now; once it is decided, it stays so."""
        changed = {contest.place, (contest.reference, contest.benchmark)} & self._changed
        known = self._found.get(contest.place)
        if known is None or (changed and known.decision.verdict is Verdict.UNDECIDED):
            self._found[contest.place] = self._decide(contest)
        return self._found[contest.place]

    def unneeded(self) -> frozenset[str]:
        """Blocks that have not ended and need not be begun."""
        found: set[str] = set()
        needed: dict[Place, int] = {}
        for contest in self.contests:
            own, reference = self._sides[contest.place], (contest.reference, contest.benchmark)
            needed.setdefault(reference, -1)
            if self.decision(contest).decision.verdict is Verdict.UNDECIDED:
                needed[reference] = max(needed[reference], own.last_that_can_pair())
            else:
                found |= {block.unit for block in own.still_to_come()}
        self._changed.clear()
        for place, last in needed.items():
            found |= {block.unit for block in self._sides[place].still_to_come() if block.first > last}
        return frozenset(found)

    def stops(self) -> tuple[Stop, ...]:
        """What became of each arm and benchmark that was looked at, the references' too."""
        decided = {one.place: (one, self.decision(one)) for one in self.contests}
        return tuple(_stop(place, side, *decided.get(place, (None, None))) for place, side in self._sides.items())

    def _place(self, unit: str) -> Place:
        block = self._blocks[unit]
        return block.arm, block.benchmark

    def _end(self, unit: str) -> _Side:
        place = self._place(unit)
        self._changed.add(place)
        side = self._sides[place]
        side.ended.add(unit)
        return side

    def _decide(self, contest: Contest) -> InOrder:
        arm, reference = self._sides[contest.place], self._sides[contest.reference, contest.benchmark]
        differences = (arm.means - reference.means) * (1 if contest.higher_is_better else -1)
        same = [own == other for own, other in zip(arm.prompts, reference.prompts, strict=True)]
        return decide_in_order(
            np.where(same, differences, np.nan),
            arm.ended_items & reference.ended_items,
            margin=self._margin,
            n_tests=contest.n_tests,
        )


def follow(plan: Plan, config: PipelineConfig, failed: Container[str]) -> EarlyStop:
    """The state that the records on disk give; `failed`: units that were given up."""
    early = EarlyStop(plan, config)
    for block in plan.blocks:
        if early.follows(block.unit):
            if Path(block.records_path).exists():
                early.add(block.unit, read_jsonl(block.records_path))
            elif block.unit in failed:
                early.give_up(block.unit)
    return early


def describe_early_stop(plan: Plan, config: PipelineConfig) -> list[str]:
    """A line for people, before the run: what may end early, and what that costs."""
    names = dict.fromkeys(one.benchmark for one in EarlyStop(plan, config).contests)
    if not names:
        return []
    return [
        f"May end early: {', '.join(names)}. What does not is found less sharply: intervals up to 1.8 times as wide."
    ]


def _contests(plan: Plan) -> Iterable[Contest]:
    asked: dict[str, set[str]] = {}
    for block in plan.blocks:
        asked.setdefault(block.arm, set()).add(block.benchmark)
    for arm in plan.arms:
        own = asked.get(arm.name, set())
        yield from _contests_of(arm, [one for one in plan.benchmarks[arm.model] if one.name in own])


def _contests_of(arm: PlannedArm, own: Sequence[PlannedBenchmark]) -> Iterable[Contest]:
    if arm.reference is None:
        return
    for benchmark in own:
        if can_end_early(benchmark):
            yield Contest(arm.name, arm.reference, benchmark.name, benchmark.spec.higher_is_better, len(own))


def can_end_early(benchmark: PlannedBenchmark) -> bool:
    """Whether the betting sequence holds for it: scores on [0, 1], items that are independent draws."""
    sources = Counter(item.cluster for item in benchmark.items if item.cluster is not None)
    return benchmark.spec.kind in BOUNDED_KINDS and max(sources.values(), default=1) == 1


def _new_side(benchmark: PlannedBenchmark, config: PipelineConfig) -> _Side:
    n_items = len(benchmark.items)
    return _Side(
        seeds=frozenset(seeds_of(config, benchmark)),
        places={item.item_id: place for place, item in enumerate(benchmark.items)},
        sums=np.zeros(n_items),
        counts=np.zeros(n_items, dtype=np.int64),
        prompts=[set() for _ in range(n_items)],
    )


def _stop(place: Place, side: _Side, contest: Contest | None, found: InOrder | None) -> Stop:
    def n_records(blocks: Iterable[PlannedBlock]) -> int:
        return sum(block.n_items * len(side.seeds.intersection(block.seeds)) for block in blocks)

    begun = {block.first for block in side.blocks if block.unit in side.ended}
    planned = n_records(side.blocks)
    n_items = len(side.places)
    return Stop(
        arm=place[0],
        benchmark=place[1],
        verdict=None if found is None else found.decision.verdict,
        n_tests=None if contest is None else contest.n_tests,
        n_items_planned=n_items,
        n_items_begun=sum({block.first: block.n_items for block in side.blocks if block.first in begun}.values()),
        n_items_looked_at=n_items if found is None else found.n_places,
        n_records_planned=planned,
        n_records_saved=n_records(side.still_to_come()),
    )
