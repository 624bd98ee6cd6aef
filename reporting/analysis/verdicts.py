"""Verdicts on the comparisons: for each arm and benchmark, for each arm, and which arm to take.

The rule for a verdict is in `stats.verdict`, the rule for the choice in `stats.selection`. This module chooses the
margin for each metric and writes the outcome under the names of `statistical_analysis.json`. It writes codes only: the
summary and the documents put them into words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from conf.schema import Margins
from reporting.analysis.comparisons import Compared, Comparisons
from reporting.analysis.fields import Json, number
from reporting.analysis.looks import claimed_before, margin_name
from reporting.analysis.scored_arms import AA_SUFFIX
from stats.intervals import Interval
from stats.multiplicity import benjamini_hochberg, holm
from stats.paired import Pairing
from stats.reasons import Reason
from stats.selection import OrderTest, Sized, fixed_sequence, larger_is_worse
from stats.sequential import items_to_decide
from stats.verdict import (
    ALPHA,
    Ground,
    Judgement,
    Needed,
    Verdict,
    detectable_drop,
    items_to_decide_flips,
    judge,
    judge_overall,
    needed_to_decide,
    standard_error_of,
)

ADJUSTMENT = "holm_over_benchmarks"


@dataclass(frozen=True)
class VerdictRows:
    """The parts of `statistical_analysis.json` that depend on verdicts; each field is one list of rows."""

    comparisons: list[Json]
    arms: list[Json]
    selections: list[Json]
    out_of_order: list[Json]


def verdict_rows(run: Mapping[str, Any], compared: Comparisons, margins: Margins) -> VerdictRows:
    """Judge every comparison, then every arm, then choose among the arms."""
    holm_of = _adjusted_by_arm(compared.rows)
    q_values = _q_values(compared.rows)
    comparisons, judged = [], {}
    for index, one in enumerate(compared.rows):
        margin = _margin_of(one, margins)
        p_adjusted = holm_of[index]
        judgement = _as_look(one, judge(*_oriented(one), p_adjusted, margin), p_adjusted, margin)
        judged[index] = judgement
        comparisons.append(
            {
                **one.row,
                **number("p_adjusted", p_adjusted),
                "adjustment": None if isinstance(p_adjusted, Reason) else ADJUSTMENT,
                **number("q_value", q_values[index]),
                "margin": margin,
                "verdict": judgement.verdict.value,
                "verdict_grounds": [ground.value for ground in judgement.grounds],
                **number("detectable_drop", _detectable(one)),
                **_needed_fields(one, judgement, margin),
            }
        )
    arms = _arm_rows(run, comparisons, list(judged.values()))
    return VerdictRows(comparisons, arms, _selections(run, arms), _out_of_order(run, compared.rows))


def _as_look(one: Compared, judgement: Judgement, p_adjusted: float | Reason, margin: float | None) -> Judgement:
    """Return the verdict as far as the look may claim it. `judgement`: the one by the usual interval."""
    seen, claims = one.look, (Verdict.NO_WORSE, Verdict.WORSE)
    if seen is None:
        return judgement
    if not seen.allowed_for:
        name = margin_name(one.row["metric"], one.proportion)
        new = judgement.verdict in claims and not claimed_before(seen, judgement.verdict.value, name)
        return Judgement(Verdict.UNDECIDED, (Ground.LOOKS_SPENT,)) if new else judgement
    difference, _ = _oriented(one)
    wider = judge(difference, _turned(one, seen.interval), p_adjusted, margin)
    if judgement.verdict in claims and wider.verdict is Verdict.UNDECIDED and seen.number == 1:
        return Judgement(Verdict.UNDECIDED, (Ground.KEPT_FOR_LATER_LOOKS,))
    return wider


def _margin_of(one: Compared, margins: Margins) -> float | None:
    """Return the margin on the scale of the comparison's difference; None if the configuration sets none."""
    if one.arm.benchmark["metric"] == "nll":
        return margins.ln_ppl
    return margins.accuracy if one.proportion else margins.judged


def _oriented(one: Compared) -> tuple[float | Reason, Interval | Reason]:
    """Return the difference and its interval, turned so that positive is better."""
    difference = one.found.difference
    if not one.arm.benchmark["higher_is_better"] and not isinstance(difference, Reason):
        difference = -difference
    return difference, _turned(one, one.found.interval)


def _turned(one: Compared, interval: Interval | Reason) -> Interval | Reason:
    """Return an interval of the difference, turned so that positive is better."""
    if one.arm.benchmark["higher_is_better"] or isinstance(interval, Reason):
        return interval
    return Interval(-interval.high, -interval.low, interval.method)


def _p_value(one: Compared) -> float | None:
    value: float | None = one.row["p_value"]
    return value


def _adjusted_by_arm(rows: Sequence[Compared]) -> list[float | Reason]:
    """Return the p values adjusted by Holm's method. The benchmarks of one arm form one family."""
    adjusted: list[float | Reason] = [Reason.NO_P_VALUE] * len(rows)
    for arm in dict.fromkeys(one.arm.name for one in rows):
        indices = [index for index, one in enumerate(rows) if one.arm.name == arm and _p_value(one) is not None]
        found = holm(np.array([_p_value(rows[index]) for index in indices], dtype=np.float64))
        for index, value in zip(indices, found.tolist(), strict=True):
            adjusted[index] = value
    return adjusted


def _q_values(rows: Sequence[Compared]) -> list[float | Reason]:
    """Return the q values by Benjamini and Hochberg, over all comparisons of the pipeline."""
    adjusted: list[float | Reason] = [Reason.NO_P_VALUE] * len(rows)
    indices = [index for index, one in enumerate(rows) if _p_value(one) is not None]
    found = benjamini_hochberg(np.array([_p_value(rows[index]) for index in indices], dtype=np.float64))
    for index, value in zip(indices, found.tolist(), strict=True):
        adjusted[index] = value
    return adjusted


# --- what a decision would need -------------------------------------------------------------------


def _detectable(one: Compared) -> float | Reason:
    difference, interval = _oriented(one)
    if isinstance(difference, Reason):
        return difference
    if one.stop is not None:
        return Reason.EARLY_STOP
    if isinstance(interval, Reason) or interval.method == "score_range":
        return Reason.NO_INTERVAL
    return detectable_drop(difference, interval, one.found.n_units)


def _needed_fields(one: Compared, judgement: Judgement, margin: float | None) -> Json:
    needed = _needed(one, judgement, margin)
    return {**number("items_to_decide", needed.n_items), **number("runs_to_decide", needed.n_runs)}


def _needed(one: Compared, judgement: Judgement, margin: float | None) -> Needed:
    difference, interval = _oriented(one)
    if judgement.verdict is not Verdict.UNDECIDED:
        return Needed(Reason.DECIDED, Reason.DECIDED)
    if margin is None:
        return Needed(Reason.NO_MARGIN, Reason.NO_MARGIN)
    if isinstance(difference, Reason) or isinstance(interval, Reason) or interval.method == "score_range":
        return Needed(Reason.NO_INTERVAL, Reason.NO_INTERVAL)
    assert isinstance(one.pairing, Pairing)
    differences = one.pairing.differences
    if one.stop is not None:
        oriented = differences if one.arm.benchmark["higher_is_better"] else -differences
        return Needed(
            items_to_decide(oriented, margin=margin, n_tests=one.stop.n_tests or 1) or Reason.ON_THE_MARGIN,
            Reason.EARLY_STOP,
        )
    if interval.method == "wilson_gains_losses":
        gain, loss = (float(np.maximum(sign * differences, 0.0).mean()) for sign in (1.0, -1.0))
        if not one.arm.benchmark["higher_is_better"]:
            gain, loss = loss, gain
        items = items_to_decide_flips(gain, loss, one.found.n_items, margin)
        return Needed(items, Reason.MORE_RUNS_DO_NOT_HELP)
    n_items = one.found.n_items
    variance = standard_error_of(difference, interval, one.found.n_units) ** 2 * n_items
    within = _within_variance(one)
    found = needed_to_decide(difference, variance, n_items, margin, within_variance=within, n_runs=one.pairing.n_runs)
    one_run_only = within is None and not one.arm.benchmark["deterministic"]
    return Needed(found.n_items, Reason.ONE_RUN) if one_run_only else found


def _within_variance(one: Compared) -> float | None:
    """Return what sampling adds to the variance of an item's difference: σ²_arm/R + σ²_reference/R.

    Return None if nothing is sampled, or if no item of the arm or of the reference has two runs.
    """
    if one.arm.benchmark["deterministic"]:
        return None
    parts = []
    for arm in (one.arm, one.reference):
        repeated = arm.items.filter(arm.items["n_runs"] >= 2)
        if repeated.height == 0:
            return None
        parts.append(float((repeated["variance"] / repeated["n_runs"]).to_numpy().mean()))
    return sum(parts)


# --- arms -----------------------------------------------------------------------------------------


def _arm_rows(run: Mapping[str, Any], comparisons: Sequence[Json], judged: Sequence[Judgement]) -> list[Json]:
    rows = []
    for arm in run["arms"]:
        if arm["reference"] is None:
            continue
        own = [(row, one) for row, one in zip(comparisons, judged, strict=True) if row["arm"] == arm["name"]]
        overall = judge_overall([one for _, one in own])
        rows.append(
            {
                "arm": arm["name"],
                "reference": arm["reference"],
                "verdict": overall.verdict.value,
                "grounds": [ground.value for ground in overall.grounds],
                "worse_on": [row["benchmark"] for row, one in own if one.verdict is Verdict.WORSE],
                "undecided_on": [row["benchmark"] for row, one in own if one.verdict is Verdict.UNDECIDED],
                "no_worse_on": [row["benchmark"] for row, one in own if one.verdict is Verdict.NO_WORSE],
                "measurably_worse_on": [
                    row["benchmark"]
                    for row, one in own
                    if one.verdict is Verdict.WORSE or Ground.MEASURABLY_WORSE in one.grounds
                ],
            }
        )
    return rows


def _selections(run: Mapping[str, Any], arm_rows: Sequence[Json]) -> list[Json]:
    """Return one row per reference: the arms that the fixed sequence tested, and the one that it chose.

    Arms that were not made, arms without a size, controls and A/A arms are left out.
    """
    of_arm = {row["arm"]: row for row in arm_rows}
    sequences: dict[str, list[Sized]] = {}
    left_out: dict[str, list[str]] = {}
    for arm in run["arms"]:
        if arm["name"] not in of_arm:
            continue
        reference = arm["reference"]
        sequence, rest = sequences.setdefault(reference, []), left_out.setdefault(reference, [])
        is_control = (arm.get("budget") or {}).get("control") or arm["name"].endswith(AA_SUFFIX)
        if arm["failed"] or arm["size_bytes"] is None or is_control:
            rest.append(arm["name"])
        else:
            sequence.append(Sized(arm["name"], arm["size_bytes"], Verdict(of_arm[arm["name"]]["verdict"])))
    rows = []
    for reference, sequence in sequences.items():
        found = fixed_sequence(sequence)
        rows.append(
            {
                "reference": reference,
                "tested": list(found.tested),
                "smallest_no_worse": found.smallest_no_worse,
                "stopped_at": found.stopped_at,
                "not_reached": list(found.not_reached),
                "left_out": left_out[reference],
            }
        )
    return rows


# --- larger arms that are worse than smaller ones -------------------------------------------------


def _out_of_order(run: Mapping[str, Any], rows: Sequence[Compared]) -> list[Json]:
    """Return the pairs of arms with the same reference in which the larger arm is measurably worse.

    The false discovery rate is 5% over all pairs that were looked at.
    """
    sizes = {arm["name"]: arm["size_bytes"] for arm in run["arms"]}
    found: list[tuple[str, str, str, OrderTest]] = []
    n_tests = 0
    groups: dict[tuple[str, str], list[Compared]] = {}
    for one in rows:
        if isinstance(one.pairing, Pairing) and sizes[one.arm.name] and not one.arm.name.endswith(AA_SUFFIX):
            groups.setdefault((one.arm.benchmark["name"], one.reference.name), []).append(one)
    for (benchmark, _), group in groups.items():
        by_size = sorted(group, key=lambda one: (-sizes[one.arm.name], one.arm.name))
        for larger, smaller in combinations(by_size, 2):
            if sizes[larger.arm.name] == sizes[smaller.arm.name]:
                continue
            n_tests += 1
            proportion, looked_at = larger.proportion and smaller.proportion, larger.stop is not None
            test = larger_is_worse(_between(larger, smaller), proportion=proportion, looked_at=looked_at)
            if test is not None:
                found.append((larger.arm.name, smaller.arm.name, benchmark, test))
    # The other pairs were also looked at, so they count, with p = 1.
    p_values = np.array([test.p_value for *_, test in found] + [1.0] * (n_tests - len(found)), dtype=np.float64)
    flagged = []
    for (larger_arm, smaller_arm, benchmark, test), q_value in zip(found, benjamini_hochberg(p_values), strict=False):
        if q_value < ALPHA:
            flagged.append(
                {
                    "larger": larger_arm,
                    "smaller": smaller_arm,
                    "benchmark": benchmark,
                    "difference": test.difference,
                    "ci95": [test.interval.low, test.interval.high],
                    "p_value": test.p_value,
                    "q_value": float(q_value),
                }
            )
    return flagged


def _between(larger: Compared, smaller: Compared) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return larger minus smaller over the items that both have, turned so that positive is better."""
    assert isinstance(larger.pairing, Pairing)
    assert isinstance(smaller.pairing, Pairing)
    ours, theirs = larger.pairing, smaller.pairing
    if ours.item_ids == theirs.item_ids:
        difference = ours.arm_means - theirs.arm_means
    else:
        _, mine, others = np.intersect1d(ours.item_ids, theirs.item_ids, return_indices=True)
        difference = ours.arm_means[mine] - theirs.arm_means[others]
    sign = 1.0 if larger.arm.benchmark["higher_is_better"] else -1.0
    return sign * difference[~np.isnan(difference)]
