"""One arm on one benchmark, as the statistics take it: planned records, planned items, scores by seed.

Also how a number or an interval that may be undefined is written: null, with its reason beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from conf.custom_benchmarks import WHOLE
from reporting.frames import DIVERGENCE_COLUMNS
from stats.intervals import Floats, Interval
from stats.reasons import Reason
from stats.reduce import CELL, per_item

AA_SUFFIX = "~aa"
"""Ends the name of the arm that is its reference once more, in another batch layout: the noise floor."""
_SCORE_COLUMNS = ["arm", "item_id", "seed", "outcome", "reason", "value"]


@dataclass(frozen=True)
class Cell:
    """One arm on one benchmark."""

    arm: str
    benchmark: Mapping[str, Any]
    records: pl.DataFrame
    """Planned records, with `value`; of text also the sums over tokens."""
    items: pl.DataFrame
    """Planned items (`stats.reduce.per_item`), sorted by id."""

    @cached_property
    def scored_items(self) -> pl.DataFrame:
        return self.items.drop_nulls("mean")

    @property
    def one_number(self) -> bool:
        """True where a function of the user's gave a result and no items: nothing says how sure it is."""
        return self.benchmark["kind"] == "function" and self.items["item_id"].to_list() == [WHOLE]

    @cached_property
    def proportion(self) -> bool:
        """True where the scores are shares of right: their scale ends at 0 and 1.

        Judged scores (1 to 5, say) are told by their values: one above 1 is enough.
        """
        if self.one_number:
            return False
        values = self.records["value"].drop_nulls()
        return self.benchmark["kind"] != "measure" and bool(((values >= 0) & (values <= 1)).all())

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.records["seed"].unique().sort())

    def on(self, items: pl.DataFrame) -> Cell:
        """The same arm on the items of another; those of which it has no record are unscored."""
        own = items.select("item_id").join(self.items, on="item_id", how="left", maintain_order="left")
        alone = pl.coalesce("cluster", pl.format("item {}", "item_id")).alias("cluster")
        return replace(
            self,
            records=self.records.join(items, on="item_id", how="semi"),
            items=own.with_columns(alone, pl.col("n_runs").fill_null(0)).select(self.items.columns),
        )

    def scores(self, seeds: Sequence[int]) -> Floats:
        """Shape (items, seeds), items in the order of their ids, NaN where unscored."""
        unknown = np.full(self.items.height, np.nan)
        return (
            np.column_stack([self._by_seed.get(seed, unknown) for seed in seeds]) if seeds else unknown[:, None][:, :0]
        )

    @cached_property
    def _by_seed(self) -> Mapping[int, Floats]:
        """Values of all items, in the order of their ids; NaN where unscored."""
        found = self.records.pivot("seed", index="item_id", values="value")
        wide = self.items.select("item_id").join(found, on="item_id", how="left", maintain_order="left")
        return {seed: wide[str(seed)].cast(pl.Float64).fill_null(float("nan")).to_numpy() for seed in self.seeds}


Cells = Mapping[tuple[str, str], Cell]
"""By arm and benchmark."""


def make_cells(run: Mapping[str, Any], values: pl.DataFrame) -> dict[tuple[str, str], Cell]:
    """All cells of a run; one without any record is there, empty (a noise floor's is not: it was never planned).

    Args:
        run: its description (`reporting.analysis.results.build_results`).
        values: records with `value`.
    """
    items = per_item(values)
    items_of = items.partition_by(CELL, as_dict=True)
    cells = {}
    for benchmark in run["benchmarks"]:
        name = str(benchmark["name"])
        records = values.lazy().filter(pl.col("benchmark") == name).select(_columns(benchmark)).collect()
        records_of = records.partition_by("arm", as_dict=True)
        for arm in (str(arm["name"]) for arm in run["arms"]):
            if arm.endswith(AA_SUFFIX) and (arm,) not in records_of:
                continue  # sampled benchmarks have another noise floor
            key = (arm, name)
            cells[key] = Cell(arm, benchmark, records_of.get((arm,), records.clear()), items_of.get(key, items.clear()))
    return cells


def _columns(benchmark: Mapping[str, Any]) -> list[str]:
    """What is read of a cell's records: a run has millions of them, most without sums over tokens."""
    return [*_SCORE_COLUMNS, *(DIVERGENCE_COLUMNS if benchmark["metric"] == "nll" else [])]


# --- null and its reason --------------------------------------------------------------------------


def number(name: str, value: float | Reason) -> dict[str, Any]:
    """`value` under `name`, or null with `<name>_reason`."""
    if isinstance(value, Reason):
        return {name: None, f"{name}_reason": value.value}
    return {name: value, f"{name}_reason": None}


def interval(name: str, value: Interval | Reason) -> dict[str, Any]:
    """[low, high] under `name`, or null with `<name>_reason`."""
    if isinstance(value, Reason):
        return {name: None, f"{name}_reason": value.value}
    return {name: [value.low, value.high], f"{name}_reason": None}


def method(value: Interval | Reason) -> str | None:
    """How an interval was made."""
    return value.method if isinstance(value, Interval) else None
