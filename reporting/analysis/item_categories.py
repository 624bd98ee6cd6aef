"""Means by the items' own categories, as those of MT-Bench: one row per benchmark, category and arm.

They are shown, and no verdict depends on them: a category has few items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.comparisons import Compared, Comparisons, difference_of
from reporting.analysis.fields import Json, interval, number
from reporting.analysis.scored_arms import AA_SUFFIX, ScoredArm, ScoredArms
from stats.intervals import mean_interval, scaled_mean_interval
from stats.paired import PairedDifference, Pairing
from stats.reasons import Reason


def item_category_rows(
    run: Mapping[str, Any], records: pl.DataFrame, scored: ScoredArms, compared: Comparisons
) -> list[Json]:
    """Return the rows, in the run's order of benchmarks, by the name of the category, in the run's order of arms.

    A benchmark without scores has none.

    Args:
        run: the run's description.
        records: one row per planned record, with `item_category`.
        scored: all arms of the run.
        compared: the arms against their references.
    """
    by_cell = {(one.arm.name, one.arm.benchmark["name"]): one for one in compared.rows}
    named = pl.col("benchmark").cast(pl.String), "item_id", pl.col("item_category").cast(pl.String)
    known = records.lazy().drop_nulls("item_category").select(named).unique().collect()
    arms = [str(arm["name"]) for arm in run["arms"] if not str(arm["name"]).endswith(AA_SUFFIX)]
    rows = []
    for benchmark in (str(one["name"]) for one in run["benchmarks"]):
        own = known.filter(pl.col("benchmark") == benchmark)
        cells = [scored[arm, benchmark] for arm in arms if (arm, benchmark) in scored]
        if not any(cell.scored_items.height for cell in cells):
            continue
        for category in own["item_category"].unique().sort():
            items = own.filter(pl.col("item_category") == category)["item_id"]
            rows += [_row(cell, str(category), items, by_cell.get((cell.name, benchmark))) for cell in cells]
    return rows


def _row(arm: ScoredArm, category: str, items: pl.Series, compared: Compared | None) -> Json:
    means = arm.scored_items.filter(pl.col("item_id").is_in(items.implode()))["mean"].to_numpy()
    found = mean_interval(means, proportion=False) if arm.scale is None else scaled_mean_interval(means, arm.scale)
    difference = None if compared is None else _difference(compared, items)
    return {
        "benchmark": arm.benchmark["name"],
        "item_category": category,
        "arm": arm.name,
        "metric": arm.benchmark["metric"],
        "higher_is_better": arm.benchmark["higher_is_better"],
        "n_items": int(means.size),
        "n_items_planned": items.len(),
        **number("mean", float(np.mean(means)) if means.size else Reason.NO_SCORED_ITEMS),
        **interval("ci95", found),
        "reference": None if compared is None else compared.reference.name,
        "difference": None if difference is None else number("x", difference.difference)["x"],
        "difference_ci95": None if difference is None else interval("x", difference.interval)["x"],
    }


def _difference(one: Compared, items: pl.Series) -> PairedDifference | None:
    """Return the paired difference over the items of one category; None if the arms do not pair."""
    pairing = one.pairing
    if not isinstance(pairing, Pairing):
        return None
    within = pairing.item_ids.is_in(items.implode()).to_numpy()
    of_category = replace(
        pairing,
        item_ids=pairing.item_ids.filter(pl.Series(within)),
        arm_means=pairing.arm_means[within],
        reference_means=pairing.reference_means[within],
        clusters=None if pairing.clusters is None else pairing.clusters[within],
    )
    return difference_of(one.arm, one.reference, of_category)
