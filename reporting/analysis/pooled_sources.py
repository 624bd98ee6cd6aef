"""Which items of pooled benchmarks come from the same source, such as one question in two forms.

Such items are drawn together, also across benchmarks of one set of questions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conf.tiers import question_set
from reporting.analysis.comparisons import Compared


def sources_of(pooled: Sequence[Compared]) -> list[NDArray[np.int64]]:
    """Return numbers of the sources of all planned items of each benchmark; equal ones are the same source."""
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(pooled):
        benchmark = one.arm.benchmark
        within = question_set(benchmark["name"], benchmark.get("questions"), benchmark["source"])
        groups.setdefault(within, []).append(place)
    found: dict[int, NDArray[np.int64]] = {}
    first = 0
    for places in groups.values():
        labels = [_labels(pooled[place]) for place in places]
        numbers = pl.concat(labels).rank("dense").cast(pl.Int64).to_numpy() + first
        ends = np.cumsum([len(one) for one in labels])
        found |= dict(zip(places, np.split(numbers, ends[:-1]), strict=True))
        first = int(numbers.max(initial=first)) + 1
    return [found[place] for place in range(len(pooled))]


def _labels(one: Compared) -> pl.Series:
    """Return the source of each planned item: its cluster, or else its id."""
    alone = pl.col("cluster") == pl.format("item {}", "item_id")
    named = pl.when(alone).then("item_id").otherwise("cluster").alias("source")
    return one.reference.items.sort("item_id").select(named).to_series()
