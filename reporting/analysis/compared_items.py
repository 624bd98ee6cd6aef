"""Which items are shown with the answers of all arms side by side.

The first item is the one on which most arms fell from right to wrong. The second is the one on which most arms rose
from wrong to right: showing only losses would show half. Then come other items on which the arms disagree, because
equal answers show nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

MAX_ITEMS = 3


@dataclass(frozen=True)
class ComparedItem:
    """One item under one seed."""

    benchmark: str
    item_id: str
    seed: int


def compared_items(comparison: Mapping[str, Any], answers: pl.LazyFrame) -> list[ComparedItem]:
    """Return the items to show: at most `MAX_ITEMS` per benchmark with generated answers.

    Args:
        comparison: `quantization_comparison.json`.
        answers: the table of answers, as it stands beside the results.
    """
    generated = [benchmark["name"] for benchmark in comparison["benchmarks"] if benchmark["kind"] == "generate"]
    references = {arm["name"]: arm["reference"] for arm in comparison["arms"]}
    return [found for name in generated for found in _of_benchmark(references, answers, name)]


def _of_benchmark(references: Mapping[str, str | None], answers: pl.LazyFrame, benchmark: str) -> list[ComparedItem]:
    own = answers.filter((pl.col("benchmark") == benchmark) & pl.col("text").is_not_null())
    spread = (
        _changes(references, own)
        .group_by("item_id", "seed")
        .agg(
            lost=pl.col("lost").sum(),
            gained=pl.col("gained").sum(),
            outcomes=pl.col("outcome").n_unique(),
            arms=pl.col("arm").n_unique(),
            texts=pl.col("text").n_unique(),
        )
        .collect()
    )
    chosen: dict[str, int] = {}
    for first in (["lost"], ["gained"], *([[]] * (MAX_ITEMS - 2))):
        most = [*first, "outcomes", "arms", "texts"]
        left = spread.filter(~pl.col("item_id").is_in(list(chosen)))
        # One seed per item: the first one under which the arms differ most.
        ordered = left.sort([*most, "seed", "item_id"], descending=[*[True] * len(most), False, False])
        chosen |= dict(ordered["item_id", "seed"].head(1).rows())
    return [ComparedItem(benchmark, item_id, seed) for item_id, seed in chosen.items()]


def _changes(references: Mapping[str, str | None], answers: pl.LazyFrame) -> pl.LazyFrame:
    """Return the answers with the columns `lost` and `gained`, relative to the reference on the same item and seed."""
    paired = answers.with_columns(
        reference=pl.col("arm").replace_strict(dict(references), default=None, return_dtype=pl.String)
    )
    before = answers.select("item_id", "seed", reference="arm", before="outcome")
    joined = paired.join(before, on=["item_id", "seed", "reference"], how="left")
    return joined.with_columns(
        lost=((pl.col("before") == "correct") & (pl.col("outcome") == "wrong")).fill_null(False),
        gained=((pl.col("before") == "wrong") & (pl.col("outcome") == "correct")).fill_null(False),
    )
