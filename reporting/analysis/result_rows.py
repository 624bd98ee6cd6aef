"""The rows of one arm on one benchmark: its score, how far it varies, and what is derived from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.divergence import divergence_rows
from reporting.analysis.early import Stop, Stops
from reporting.analysis.fields import Json, interval, method, number
from reporting.analysis.scored_arms import ScoredArm, in_text_order
from stats.clusters import clustered_mean_interval
from stats.intervals import Interval, fixed_benchmark_interval, mean_interval, scaled_mean_interval
from stats.paired import shared_sources
from stats.reasons import Reason
from stats.runs import RunSpread, run_spread, sigma_items
from stats.sequential import mean_sequence
from stats.series import series_ratio
from stats.variance import VarianceShares, variance_shares


def result_rows(arm: ScoredArm, reference: ScoredArm | None, stops: Stops) -> list[Json]:
    """Return the row of the benchmark's own metric first, and for text those of perplexity and divergence.

    Raises:
        ValueError: a number of them is infinite.
    """
    row = checked(primary_row(arm, stops.get((arm.name, arm.benchmark["name"]))))
    if arm.benchmark["metric"] != "nll":
        return [row]
    if arm.benchmark["kind"] != "measure":
        return [row, _perplexity_row(row)]
    return [row, _perplexity_row(row), *divergence_rows(row, arm, reference)]


def checked(row: Json) -> Json:
    """Return the row. Raise `ValueError` if one of its numbers is infinite."""
    infinite = [name for name, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
    if infinite:
        raise ValueError(f"its scores are too large for {', '.join(infinite)}")
    return row


def primary_row(arm: ScoredArm, stop: Stop | None) -> Json:
    """Return the row of one arm by its benchmark's metric. `stop`: how the early stop ended; None: it has none."""
    items, records = arm.scored_items, arm.records
    means = items["mean"].to_numpy()
    spread = _spread(arm)
    # If the benchmark could have ended early because of its results, only the sequence's interval is valid.
    found = _mean_interval(arm)
    if stop is not None and means.size:
        found = mean_sequence(means) if arm.proportion else Reason.EARLY_STOP
    outcomes = records["outcome"]
    return {
        "arm": arm.name,
        "benchmark": arm.benchmark["name"],
        "metric": arm.benchmark["metric"],
        "primary": True,
        "higher_is_better": arm.benchmark["higher_is_better"],
        **number("mean", float(np.mean(means)) if means.size else Reason.NO_SCORED_ITEMS),
        **number("sigma_items", sigma_items(means)),
        **number("sigma_runs", spread.sigma_runs if isinstance(spread, RunSpread) else spread),
        **number("error_bar_runs", spread.error_bar_runs if isinstance(spread, RunSpread) else spread),
        **interval("ci95", found),
        "ci_method": method(found),
        **interval("ci95_fixed_benchmark", _fixed_benchmark(arm) if stop is None else Reason.EARLY_STOP),
        **_variance_shares(arm),
        "n_clusters": _n_clusters(arm),
        "deterministic": arm.benchmark["deterministic"],
        "n_items": items.height,
        "n_items_planned": arm.items.height if stop is None else stop.n_items_planned,
        "n_runs": records.drop_nulls("value")["seed"].n_unique(),
        "n_records": records.height,
        "n_correct": int((outcomes == "correct").sum()),
        "n_wrong": int((outcomes == "wrong").sum()),
        "n_unscored": records["value"].null_count(),
        "unscored_reasons": _reason_counts(records.filter(pl.col("value").is_null())),
        "wrong_reasons": _reason_counts(records.filter(pl.col("outcome") == "wrong")),
    }


def _mean_interval(arm: ScoredArm) -> Interval | Reason:
    is_text = arm.benchmark["kind"] == "measure"
    items = in_text_order(arm.scored_items) if is_text else arm.scored_items
    means, clusters = items["mean"].to_numpy(), shared_sources(items["cluster"])
    if is_text and clusters is None:
        found = series_ratio(means, np.ones(means.size))
        return found if isinstance(found, Reason) else found.interval
    if clusters is None:
        return mean_interval(means, proportion=False) if arm.scale is None else scaled_mean_interval(means, arm.scale)
    return clustered_mean_interval(means, clusters, proportion=arm.proportion)


def _n_clusters(arm: ScoredArm) -> int | None:
    clusters = arm.scored_items["cluster"]
    return None if shared_sources(clusters) is None else clusters.n_unique()


def _variance_shares(arm: ScoredArm) -> Json:
    """Return the fields that say where the uncertainty of the mean comes from."""
    found = Reason.NO_SAMPLING if arm.benchmark["deterministic"] else variance_shares(arm.scores(arm.seeds))
    if isinstance(found, VarianceShares):
        shares = {"items": found.share_items, "sampling": found.share_sampling, "judge": found.share_judge}
        return {"variance_shares": shares, "variance_shares_reason": None}
    return {"variance_shares": None, "variance_shares_reason": found.value}


def _spread(arm: ScoredArm) -> RunSpread | Reason:
    if arm.benchmark["deterministic"]:
        return Reason.NO_SAMPLING
    return run_spread(arm.scores(arm.seeds))


def _fixed_benchmark(arm: ScoredArm) -> Interval | Reason:
    if arm.benchmark["deterministic"]:
        return Reason.NO_SAMPLING
    items = arm.scored_items
    variances = items["variance"].fill_null(float("nan")).to_numpy()
    return fixed_benchmark_interval(
        items["mean"].to_numpy(), variances, items["n_runs"].to_numpy(), proportion=arm.proportion
    )


def _perplexity_row(nll: Mapping[str, Any]) -> Json:
    """Return the row of the perplexity: the exponential of the mean loss (nats per token) and of its interval."""
    derived: Json = {"metric": "perplexity", "primary": False, "higher_is_better": False}
    derived["mean"] = None if nll["mean"] is None else math.exp(nll["mean"])
    for name in ("ci95", "ci95_fixed_benchmark"):
        derived[name] = None if nll[name] is None else [math.exp(end) for end in nll[name]]
    for name in ("sigma_items", "sigma_runs", "error_bar_runs"):
        derived[name] = None
        derived[f"{name}_reason"] = nll[f"{name}_reason"] or Reason.DERIVED.value
    derived["ci_method"] = None if nll["ci_method"] is None else f"exp_{nll['ci_method']}"
    return {**nll, **derived}


def _reason_counts(records: pl.DataFrame) -> dict[str, int]:
    """Count the records by reason. A wrong answer without a reason counts as `other_answer`."""
    counts = records["reason"].fill_null("other_answer").value_counts().sort("reason")
    return dict(zip(counts["reason"].to_list(), counts["count"].to_list(), strict=True))
