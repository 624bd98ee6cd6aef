"""One arm on one benchmark, in the form that the statistics take: planned records, planned items, scores by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conf.custom_benchmarks import UNIT_SCALE, WHOLE
from reporting.analysis.cells import FindingsFailed
from reporting.frames import DIVERGENCE_COLUMNS
from stats.intervals import Floats
from stats.reduce import per_item

AA_SUFFIX = "~aa"
"""End of the name of an A/A arm: the reference run a second time in another batch layout. It gives the noise floor."""
OUTSIDE_SCALE = "score_outside_scale"
"""Reason of a record whose score lies outside the scale that its benchmark declares."""
_SCORE_COLUMNS = ["item_id", "seed", "outcome", "reason", "value"]


@dataclass(frozen=True)
class ScoredArm:
    """One arm on one benchmark."""

    name: str
    benchmark: Mapping[str, Any]
    records: pl.DataFrame
    """Planned records, with `value`. Records of text also have the sums over tokens."""
    items: pl.DataFrame
    """Planned items (`stats.reduce.per_item`), sorted by id."""

    @cached_property
    def scored_items(self) -> pl.DataFrame:
        """The items that have a mean."""
        return self.items.drop_nulls("mean")

    @property
    def one_number(self) -> bool:
        """True if a custom function returned one number and no items, so that its uncertainty is unknown."""
        return self.benchmark["kind"] == "function" and self.items.height == 1 and self.items["item_id"][0] == WHOLE

    @property
    def scale(self) -> tuple[float, float] | None:
        """The lowest and the highest score that the benchmark declares for an item. None: no bounds are known."""
        declared = self.benchmark["scale"]
        return None if declared is None or self.one_number else (float(declared[0]), float(declared[1]))

    @property
    def proportion(self) -> bool:
        """True if scores lie between 0 and 1, so that their mean is a proportion."""
        return self.scale == UNIT_SCALE

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the records, sorted."""
        return tuple(self.records["seed"].unique().sort())

    def on(self, items: pl.DataFrame) -> ScoredArm:
        """Return this arm limited to the given items. Items that it has no record of count as unscored."""
        own = items.select("item_id").join(self.items, on="item_id", how="left", maintain_order="left")
        alone = pl.coalesce("cluster", pl.format("item {}", "item_id")).alias("cluster")
        return replace(
            self,
            records=self.records.join(items, on="item_id", how="semi"),
            items=own.with_columns(alone, pl.col("n_runs").fill_null(0)).select(self.items.columns),
        )

    def scores(self, seeds: Sequence[int]) -> Floats:
        """Return an array of shape (items, seeds), with items in the order of their ids and NaN for unscored ones."""
        found = np.full((self.items.height, len(seeds)), np.nan)
        values, own_seeds = self.records["value"].fill_null(float("nan")).to_numpy(), self.records["seed"].to_numpy()
        for column, seed in enumerate(seeds):
            asked = own_seeds == seed
            found[self.places[asked], column] = values[asked]
        return found

    @cached_property
    def places(self) -> NDArray[np.uint32]:
        """The place of each record's item in `items`, shape (records,)."""
        places: NDArray[np.uint32] = self.items["item_id"].search_sorted(self.records["item_id"]).to_numpy()
        return places


def in_text_order(chunks: pl.DataFrame) -> pl.DataFrame:
    """Return rows of the chunks of a text in text order: their ids are numbers, from 100,000 on with a digit more."""
    return chunks.sort(pl.col("item_id").str.len_chars(), "item_id")


ScoredArms = Mapping[tuple[str, str], ScoredArm]
"""Keys are (arm name, benchmark name)."""


def within_scales(run: Mapping[str, Any], values: pl.DataFrame) -> pl.DataFrame:
    """Return the records; one whose value lies outside the scale of its benchmark counts as unscored.

    Intervals and bets rely on the scale, so one damaged record must not stop the others from being used.
    """
    outside = pl.lit(False)
    for benchmark in run["benchmarks"]:
        if benchmark["scale"] is not None:
            own = pl.col("benchmark") == benchmark["name"]
            outside |= own & ~pl.col("value").is_between(*benchmark["scale"])
    return values.with_columns(
        pl.when(outside).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in (("value", None), ("outcome", "unscored"), ("reason", OUTSIDE_SCALE))
    )


def scored_arms(run: Mapping[str, Any], values: pl.DataFrame) -> dict[tuple[str, str], ScoredArm]:
    """Return every arm of a run on every benchmark.

    An arm without records on a benchmark gets an empty entry. An A/A arm without records gets none: it was not planned
    there.

    Args:
        run: the run's description (see `reporting.analysis.results.build_results`).
        values: the records, with `value`.

    Raises:
        FindingsFailed: an item has two records under one seed.
    """
    scored = {}
    for benchmark in run["benchmarks"]:
        name, columns = str(benchmark["name"]), _columns(benchmark)
        of_benchmark = values.lazy().filter(pl.col("benchmark") == name)
        records = of_benchmark.select("arm", "prompt_hash", "cluster", *columns).collect()
        for arm in (str(arm["name"]) for arm in run["arms"]):
            own = records.filter(pl.col("arm") == arm)
            if arm.endswith(AA_SUFFIX) and own.height == 0:
                continue  # sampled benchmarks have another noise floor
            scored[arm, name] = ScoredArm(arm, benchmark, own.select(columns), per_item(own))
            _check_seeds(scored[arm, name])
    return scored


def _check_seeds(arm: ScoredArm) -> None:
    """Raise `FindingsFailed` if an item has two records under one seed."""
    if arm.records.height == arm.items.height:
        return
    records = arm.records.select("item_id", "seed").sort("item_id", "seed")
    before = records.select(pl.all().shift())
    twice = records.filter((records["item_id"] == before["item_id"]) & (records["seed"] == before["seed"]))
    if twice.height:
        item, seed = twice.row(0)
        raise FindingsFailed(arm.name, arm.benchmark["name"], f"two records of item {item} under seed {seed}")


def _columns(benchmark: Mapping[str, Any]) -> list[str]:
    """Return the record columns to read. A run has millions of records, most of them without sums over tokens."""
    return [*_SCORE_COLUMNS, *(DIVERGENCE_COLUMNS if benchmark["metric"] == "nll" else [])]
