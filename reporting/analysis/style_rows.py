"""Length and style of the answers by arm and benchmark, and how they shift against the reference.

The unit is the item, as everywhere: the answers to one question are averaged first. A shift is a paired difference over
the items that both arms answered under the same prompt. Nothing here is adjusted for many comparisons, and no verdict
depends on it.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.draws import SEED, resampled_differences
from reporting.analysis.fields import Json, interval, method, number
from reporting.frames import STYLES
from stats.association import Association, rank_correlation, shift_against_length
from stats.bootstrap import effect_size_draws, percentile_interval
from stats.clusters import Labels, cluster_totals, clustered_mean_interval
from stats.intervals import Floats, Interval, mean_interval
from stats.paired import difference_interval, paired_difference, shared_sources
from stats.permutation import PermutationTest, sign_flip_tests
from stats.reasons import Reason

_STOPPED = Reason.EARLY_STOP
UNITS = ("tokens", "characters")
"""What a length is counted in. Tokens of different vocabularies do not compare; characters do."""


@dataclass(frozen=True)
class Shift:
    """The lengths of one arm's answers and of its reference's, on the items that both answered."""

    unit: str
    items: pl.DataFrame
    """`item_id` and `cluster` of the items."""
    before: Floats
    """Mean length of the reference's answers to each item, shape (items,)."""
    after: Floats
    """The same for the arm, shape (items,)."""
    gains: Floats
    """Score of the arm minus that of the reference, shape (items,); NaN where one is unscored."""

    @property
    def clusters(self) -> Labels | None:
        """Label of each item's source; None if no two items share one."""
        return shared_sources(self.items["cluster"])


@dataclass(frozen=True)
class _Drawn:
    """What the random sign assignments and the resamples gave for one shift."""

    test: PermutationTest
    effect: Interval | Reason


def style_rows(run: Mapping[str, Any], styles: pl.DataFrame, stopped: Collection[tuple[str, str]] = ()) -> list[Json]:
    """Return one row per arm and benchmark with generated answers, in the run's order.

    Args:
        run: the run's description.
        styles: the answers (`reporting.analysis.answer_style.answer_styles`).
        stopped: arms and benchmarks that could end early. They have no intervals, which assume a fixed number of items.
    """
    rows = []
    for benchmark in (str(one["name"]) for one in run["benchmarks"] if one["kind"] == "generate"):
        answers = styles.filter(pl.col("benchmark") == benchmark)
        items = items_by_arm(answers)
        arms = [arm for arm in run["arms"] if arm["name"] in items]
        pairs = [paired(items[arm["name"]], items.get(str(arm["reference"]))) for arm in arms]
        shifts = [list(shifts_of(both)) for both in pairs]
        drawn = iter(_drawn([one for own in shifts for one in own], benchmark))
        for arm, both, own_shifts in zip(arms, pairs, shifts, strict=True):
            own, fixed = items[arm["name"]], (arm["name"], benchmark) not in stopped
            rows.append(
                {
                    "arm": arm["name"],
                    "reference": arm["reference"],
                    "benchmark": benchmark,
                    "n_answers": int(own["n_answers"].sum()),
                    "n_items": own.height,
                    "lengths": list(_lengths(answers.filter(pl.col("arm") == arm["name"]), own, fixed)),
                    "shares": [_share(style, own, both, fixed) for style in STYLES],
                    "shifts": [_shift_row(one, next(drawn), fixed) for one in own_shifts],
                }
            )
    return rows


def items_by_arm(answers: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the answers to one benchmark by arm, one row per item with the means over its answers."""
    return {str(arm): own for (arm,), own in _by_item(answers).partition_by("arm", as_dict=True).items()}


def _by_item(answers: pl.DataFrame) -> pl.DataFrame:
    return (
        answers.group_by("arm", "item_id")
        .agg(
            pl.len().alias("n_answers"),
            pl.col("prompt_hash").drop_nulls().unique().sort().str.join("+"),
            pl.col("cluster").first(),
            pl.col("score", *UNITS, *STYLES).cast(pl.Float64).mean(),
        )
        .with_columns(pl.coalesce("cluster", pl.format("item {}", "item_id")).alias("cluster"))
        .sort("item_id")
    )


def paired(own: pl.DataFrame, reference: pl.DataFrame | None) -> pl.DataFrame | None:
    """Return the items that both arms answered under the same prompt; None without a reference."""
    if reference is None:
        return None
    return own.join(reference, on=["item_id", "prompt_hash"], suffix="_before", maintain_order="left")


def _lengths(answers: pl.DataFrame, items: pl.DataFrame, fixed: bool) -> Iterator[Json]:
    for unit in UNITS:
        known = items.drop_nulls(unit)
        if known.is_empty():
            continue
        means = known[unit].to_numpy()
        found = _mean_interval(means, shared_sources(known["cluster"]), proportion=False) if fixed else _STOPPED
        yield {
            "unit": unit,
            "mean": float(means.mean()),
            **interval("ci95", found),
            "median": float(answers[unit].median()),  # type: ignore[arg-type]
        }


def _mean_interval(means: Floats, clusters: Labels | None, *, proportion: bool) -> Interval | Reason:
    if clusters is None:
        return mean_interval(means, proportion=proportion)
    return clustered_mean_interval(means, clusters, proportion=proportion)


def _share(style: str, own: pl.DataFrame, both: pl.DataFrame | None, fixed: bool) -> Json:
    """Return the share of an arm's answers that have a style, and its difference from the reference's share."""
    if own[style].null_count():
        share: float | Reason = Reason.NO_LANGUAGE
        found: Interval | Reason = Reason.NO_LANGUAGE
        count = 0
    else:
        shares = own[style].to_numpy()
        share, count = float(shares.mean()), round(float(shares @ own["n_answers"].to_numpy()))
        found = _mean_interval(shares, shared_sources(own["cluster"]), proportion=True) if fixed else _STOPPED
    return {
        "style": style,
        "n_answers": count,
        **number("share", share),
        **interval("ci95", found),
        "ci_method": method(found),
        **_difference(style, both, fixed),
    }


def _difference(style: str, both: pl.DataFrame | None, fixed: bool) -> Json:
    if both is None or both.is_empty() or both[f"{style}_before"].null_count():
        missing = Reason.NO_PAIRED_ITEMS
        return {**number("difference", missing), **interval("difference_ci95", missing)}
    differences = (both[style] - both[f"{style}_before"]).to_numpy()
    clusters = shared_sources(both["cluster"])
    found = difference_interval(differences, proportion=True, clusters=clusters) if fixed else _STOPPED
    return {**number("difference", float(differences.mean())), **interval("difference_ci95", found)}


def shifts_of(both: pl.DataFrame | None) -> Iterator[Shift]:
    """Yield the lengths before and after in each unit that is known; none without a common item."""
    if both is None:
        return
    for unit in UNITS:
        known = both.drop_nulls([unit, f"{unit}_before"])
        if not known.is_empty():
            gains = (known["score"] - known["score_before"]).fill_null(float("nan")).to_numpy()
            lengths = known[f"{unit}_before"].to_numpy(), known[unit].to_numpy()
            yield Shift(unit, known.select("item_id", "cluster"), *lengths, gains)


def _shift_row(shift: Shift, drawn: _Drawn, fixed: bool) -> Json:
    moved = shift.after - shift.before
    found = paired_difference(moved, proportion=False, clusters=shift.clusters)
    effect = found.cohens_d if isinstance(found.cohens_d, Reason) else drawn.effect
    before, scored = float(shift.before.mean()), ~np.isnan(shift.gains)
    return {
        "unit": shift.unit,
        "n_items": moved.size,
        "n_clusters": None if shift.clusters is None else found.n_units,
        "reference_mean": before,
        **number("difference", found.difference),
        **interval("ci95", found.interval if fixed else _STOPPED),
        **number("relative", float(moved.mean()) / before if before > 0 else Reason.ZERO_VARIANCE),
        **number("p_value", drawn.test.p_value if fixed else _STOPPED),
        "test": drawn.test.test if fixed else None,
        **number("cohens_d", found.cohens_d),
        **interval("cohens_d_ci95", effect if fixed else _STOPPED),
        **number("score_difference", float(shift.gains[scored].mean()) if scored.any() else Reason.NO_SCORED_ITEMS),
        "against_length": association(shift_against_length(shift.before, shift.after), fixed),
        "against_score": association(rank_correlation(moved[scored], shift.gains[scored]), fixed),
    }


def _drawn(shifts: Sequence[Shift], benchmark: str) -> list[_Drawn]:
    """Return the test and the interval of the effect size of each shift. All share what is drawn."""
    if not shifts:
        return []
    sources = pl.concat(one.items for one in shifts).unique("item_id").sort("item_id")
    clusters, stream = shared_sources(sources["cluster"]), zlib.crc32(f"length {benchmark}".encode())
    known, moved = np.zeros((2, sources.height, len(shifts)))
    for column, one in enumerate(shifts):
        places = sources["item_id"].search_sorted(one.items["item_id"]).to_numpy()
        known[places, column], moved[places, column] = 1.0, one.after - one.before
    units = cluster_totals(moved, clusters)
    tests = sign_flip_tests(units, np.random.default_rng([SEED, stream, 0]))
    counts, sums, squares = resampled_differences(known, moved, clusters, stream)
    n_moved = np.count_nonzero(units, axis=0)
    return [
        _Drawn(
            tests[at],
            percentile_interval(effect_size_draws(counts[:, at], sums[:, at], squares[:, at]), int(n_moved[at])),
        )
        for at in range(len(shifts))
    ]


def association(found: Association | Reason, fixed: bool = True) -> Json:
    """Return the fields of a rank correlation; without an interval if the number of items was not fixed."""
    if isinstance(found, Reason):
        return {**number("rho", found), **interval("ci95", found)}
    return {**number("rho", found.rho), **interval("ci95", found.interval if fixed else _STOPPED)}
