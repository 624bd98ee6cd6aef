"""How far one arm has got on one benchmark that can end early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from actors.orchestrator.plan import PlannedBlock, seeds_of
from actors.orchestrator.sources.inputs import PlannedBenchmark
from conf.schema.pipeline import PipelineConfig
from stats.guards import worst_case
from stats.intervals import Floats


@dataclass
class ArmProgress:
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


def no_progress(benchmark: PlannedBenchmark, config: PipelineConfig) -> ArmProgress:
    """Return the progress of an arm before its first block."""
    n_items = len(benchmark.items)
    return ArmProgress(
        seeds=frozenset(seeds_of(config, benchmark)),
        positions={item.item_id: position for position, item in enumerate(benchmark.items)},
        sums=np.zeros(n_items),
        counts=np.zeros(n_items, dtype=np.int64),
        prompts=[set() for _ in range(n_items)],
        never_asked=np.zeros(n_items, dtype=np.int64),
    )
