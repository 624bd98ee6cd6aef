"""What would decide an undecided comparison: the fields `items_to_decide` and `runs_to_decide` (`stats.needed`)."""

from __future__ import annotations

import numpy as np

from conf.schema.verdicts import Margins
from reporting.analysis.comparisons import Compared
from reporting.analysis.evidence import Facts
from reporting.analysis.fields import Json, number
from stats.clusters import cluster_totals, clustered_ratio
from stats.intervals import Interval
from stats.needed import LEAST_UNITS, Range, Seen, items_to_decide, runs_to_decide
from stats.paired import Pairing
from stats.reasons import Reason
from stats.verdict import Ground, Judgement, Verdict

_STAYS_OPEN = {Ground.FLOOR: Reason.FLOOR, Ground.CEILING: Reason.CEILING}


def needed_fields(one: Compared, facts: Facts, judgement: Judgement, margins: Margins, n_tests: int) -> Json:
    """Return what would decide the comparison: the items for 80%, the range from even chances to 80%, the runs."""
    items = _items(one, facts, judgement, margins, n_tests)
    runs = items if isinstance(items, Reason) else _runs(one, facts, items, margins, n_tests)
    return {
        **number("items_to_decide", items.high if isinstance(items, Range) else items),
        "items_to_decide_range": [items.low, items.high] if isinstance(items, Range) else None,
        **number("runs_to_decide", runs),
    }


def _items(one: Compared, facts: Facts, judgement: Judgement, margins: Margins, n_tests: int) -> Range | Reason:
    if judgement.verdict is not Verdict.UNDECIDED:
        return Reason.DECIDED
    if Ground.NOT_JUDGED in judgement.grounds:
        return Reason.NO_JUDGE
    if facts.margin is None:
        return Reason.NO_MARGIN
    open_for = [reason for ground, reason in _STAYS_OPEN.items() if ground in judgement.grounds]
    if open_for:
        return open_for[0] if one.found.n_units >= LEAST_UNITS else Reason.TOO_FEW_ITEMS
    seen = _seen(one, facts, margins, n_tests)
    if isinstance(seen, Reason):
        return seen
    if Ground.UNSCORED in judgement.grounds and (facts.worst is None or seen.missing >= seen.margin):
        return Reason.UNSCORED
    found = items_to_decide(seen)
    # If unscored records alone can use up the margin, only "worse" is left to decide, and it may never be.
    return Reason.UNSCORED if found is Reason.ON_THE_MARGIN and seen.missing >= seen.margin else found


def _runs(one: Compared, facts: Facts, items: Range, margins: Margins, n_tests: int) -> int | Reason:
    if one.stop is not None:
        return Reason.EARLY_STOP
    if one.arm.benchmark["deterministic"]:
        return Reason.MORE_RUNS_DO_NOT_HELP
    within, seen = _within_variance(one), _seen(one, facts, margins, n_tests)
    if within is None:
        return Reason.ONE_RUN
    assert isinstance(seen, Seen)
    assert isinstance(one.pairing, Pairing)
    return runs_to_decide(seen, items, within, one.pairing.n_runs)


def _seen(one: Compared, facts: Facts, margins: Margins, n_tests: int) -> Seen | Reason:
    difference, interval = facts.difference, facts.interval
    if isinstance(difference, Reason) or not isinstance(interval, Interval) or interval.method == "score_range":
        return Reason.NO_INTERVAL
    assert isinstance(one.pairing, Pairing)
    assert facts.margin is not None
    differences, n_items = one.pairing.differences, one.found.n_items
    totals = cluster_totals(differences[:, None], one.pairing.paired_clusters)[:, 0]
    spread = clustered_ratio(differences, np.ones(n_items), one.pairing.paired_clusters)
    error = Reason.NO_INTERVAL if isinstance(spread, Reason) else spread.standard_error
    variance = 0.0 if isinstance(error, Reason) else error**2 * n_items
    margin = facts.margin
    if facts.kept is not None:
        margin = max(min(margin, margins.relative * facts.kept.signal), 1e-9)
    seen = Seen(
        difference,
        variance,
        n_items,
        one.found.n_units,
        float(np.count_nonzero(totals) / totals.size),
        margin,
        one.proportion,
        0.0 if facts.worst_difference is None else max(0.0, difference - facts.worst_difference),
        n_tests,
    )
    return seen if interval.method != "betting" else seen.with_half_width(difference - interval.low)


def _within_variance(one: Compared) -> float | None:
    """Return what sampling adds to the variance of an item's difference: σ²_arm/R + σ²_reference/R.

    Return None if no item of the arm or of the reference has two runs.
    """
    parts = []
    for arm in (one.arm, one.reference):
        repeated = arm.items.filter(arm.items["n_runs"] >= 2)
        if repeated.height == 0:
            return None
        parts.append(float((repeated["variance"] / repeated["n_runs"]).to_numpy().mean()))
    return sum(parts)
