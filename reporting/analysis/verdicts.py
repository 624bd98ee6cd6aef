"""Verdicts on the comparisons: for each arm and benchmark, for each arm, and which arm to take.

The rule for a verdict is in `stats.verdict`, the rule for the choice in `stats.selection`. What a verdict rests on is
in `reporting.analysis.evidence`. This module adjusts p values and writes the outcome under the names of
`statistical_analysis.json`. It writes codes only: the summary and the documents put them into words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from conf.schema import Statistics
from conf.tiers import TiersOfRun, resolve_tiers
from reporting.analysis.comparisons import Compared, Comparisons
from reporting.analysis.evidence import Facts, as_look, fact_fields, facts_of, oriented
from reporting.analysis.fields import Json, number
from reporting.analysis.looks import claimed_before
from reporting.analysis.needed import needed_fields
from reporting.analysis.pooled import Pooled, pooled_claims
from reporting.analysis.rules import margin_names
from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.analysis.unjudged import unjudged_benchmarks
from stats.multiplicity import benjamini_hochberg, holm
from stats.paired import Pairing
from stats.reasons import Reason
from stats.selection import OrderTest, Sized, fixed_sequence, larger_is_worse
from stats.verdict import (
    ALPHA,
    CARRIED,
    Evidence,
    Ground,
    Judgement,
    Verdict,
    detectable_drop,
    judge,
    judge_overall,
)

ADJUSTMENT = "holm_over_benchmarks"


@dataclass(frozen=True)
class VerdictRows:
    """The parts of `statistical_analysis.json` that depend on verdicts; each field is one list of rows."""

    comparisons: list[Json]
    pooled: list[Json]
    arms: list[Json]
    selections: list[Json]
    out_of_order: list[Json]
    tiers: Json
    """Which benchmarks the verdicts of `arms` depend on, and how."""


def verdict_rows(run: Mapping[str, Any], compared: Comparisons, settings: Statistics) -> VerdictRows:
    """Judge every comparison, the claims on average, then every arm, then choose among the arms."""
    rows, margins, unjudged = compared.rows, settings.margins, unjudged_benchmarks(compared.rows)
    tiers = _tiers(run, rows, settings, unjudged)
    usual = [facts_of(one, margins) for one in rows]
    facts = [as_look(one, own, margins) for one, own in zip(rows, usual, strict=True)]
    p_adjusted = _adjusted_by_arm(rows, [_p_value(one) for one in rows])
    p_usual, p_beyond = (_adjusted_by_arm(rows, [_known(one.p_beyond) for one in some]) for some in (usual, facts))
    q_values = _q_values(rows)
    comparisons, judged = [], []
    for index, (one, own) in enumerate(zip(rows, facts, strict=True)):
        by_usual = judge(_evidence(usual[index], p_adjusted[index], p_usual[index]))
        judgement = _may_claim(one, by_usual, judge(_evidence(own, p_adjusted[index], p_beyond[index])))
        if one.arm.benchmark["name"] in unjudged:
            judgement = Judgement(Verdict.UNDECIDED, (Ground.NOT_JUDGED,))
        judged.append(judgement)
        n_tests = sum(other.arm.name == one.arm.name for other in rows)
        comparisons.append(
            {
                **one.row,
                "informs_only": one.arm.benchmark["name"] in tiers.inform,
                **number("p_adjusted", p_adjusted[index]),
                "adjustment": None if isinstance(p_adjusted[index], Reason) else ADJUSTMENT,
                **number("q_value", q_values[index]),
                "margin": own.margin,
                **fact_fields(one, own, margins, p_beyond[index]),
                "verdict": judgement.verdict.value,
                "verdict_grounds": [ground.value for ground in judgement.grounds],
                **number("detectable_drop", _detectable(one)),
                **needed_fields(one, own, judgement, margins, n_tests),
            }
        )
    pooled = pooled_claims(run, rows, usual, margins, tiers)
    arms = _arm_rows(run, comparisons, judged, pooled, tiers)
    return VerdictRows(
        comparisons,
        [one.row for one in pooled.values()],
        arms,
        _selections(run, arms, pooled),
        _out_of_order(run, rows),
        {
            "each": list(tiers.each),
            "pooled": dict(tiers.pooled),
            "inform": list(tiers.inform),
            "not_judged": list(unjudged),
        },
    )


def _tiers(
    run: Mapping[str, Any], rows: Sequence[Compared], settings: Statistics, unjudged: Sequence[str]
) -> TiersOfRun:
    """Return the tiers of the run.

    Unless the configuration names them, two kinds of benchmarks only inform, because they would keep every arm
    undecided: a function that returned one number, whose uncertainty nobody knows, and one that no judge has scored.
    """
    tiers = resolve_tiers(settings, run["benchmarks"])
    if settings.tiers.each is not None:
        return tiers
    numbers = {str(one.arm.benchmark["name"]) for one in rows if one.arm.one_number}
    informing = numbers | set(unjudged)
    each = tuple(name for name in tiers.each if name not in informing)
    inform = tuple(name for name in tiers.each if name in informing)
    return replace(tiers, each=each, inform=(*tiers.inform, *inform))


def _evidence(facts: Facts, p_loss: float | Reason, p_beyond_adjusted: float | Reason) -> Evidence:
    return Evidence(
        facts.difference,
        facts.interval,
        facts.margin,
        p_loss,
        facts.p_beyond,
        p_beyond_adjusted,
        kept=facts.kept.interval if facts.kept else None,
        missing=facts.missing,
        worst=facts.worst,
        worst_kept=facts.worst_kept.interval if facts.worst_kept else None,
        level=facts.level,
    )


def _may_claim(one: Compared, by_usual: Judgement, by_look: Judgement) -> Judgement:
    """Return the verdict as far as the look may claim it.

    Args:
        one: the comparison.
        by_usual: its verdict by the usual interval.
        by_look: its verdict by the interval that allows for all looks.
    """
    seen, claims = one.look, by_usual.verdict is not Verdict.UNDECIDED
    if seen is None:
        return by_look
    if not claims:
        return by_look if seen.allowed_for else _without_new_loss(by_look)
    if not seen.allowed_for:
        names = margin_names(one.row["metric"], one.proportion)
        confirmed = claimed_before(seen, by_usual.verdict.value, names)
        return by_usual if confirmed else Judgement(Verdict.UNDECIDED, (Ground.LOOKS_SPENT,))
    if by_look.verdict is Verdict.UNDECIDED and seen.number == 1:
        return Judgement(Verdict.UNDECIDED, (Ground.KEPT_FOR_LATER_LOOKS,))
    return by_look


def _without_new_loss(judgement: Judgement) -> Judgement:
    """Return the verdict of a look that is not paid for: it shows no loss either."""
    return replace(judgement, grounds=tuple(one for one in judgement.grounds if one is not Ground.LOSS_SHOWN))


def _known(value: float | Reason) -> float | None:
    return None if isinstance(value, Reason) else value


def _p_value(one: Compared) -> float | None:
    value: float | None = one.row["p_value"]
    return value


def _adjusted_by_arm(rows: Sequence[Compared], p_values: Sequence[float | None]) -> list[float | Reason]:
    """Return the p values adjusted by Holm's method. The benchmarks of one arm form one family."""
    adjusted: list[float | Reason] = [Reason.NO_P_VALUE] * len(rows)
    for arm in dict.fromkeys(one.arm.name for one in rows):
        indices = [index for index, one in enumerate(rows) if one.arm.name == arm and p_values[index] is not None]
        found = holm(np.array([p_values[index] for index in indices], dtype=np.float64))
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


def _detectable(one: Compared) -> float | Reason:
    difference, interval = oriented(one)
    if isinstance(difference, Reason):
        return difference
    if one.stop is not None:
        return Reason.EARLY_STOP
    if isinstance(interval, Reason) or interval.method == "score_range":
        return Reason.NO_INTERVAL
    return detectable_drop(difference, interval, one.found.n_units)


# --- arms -----------------------------------------------------------------------------------------


def _arm_rows(
    run: Mapping[str, Any],
    comparisons: Sequence[Json],
    judged: Sequence[Judgement],
    pooled: Mapping[str, Pooled],
    tiers: TiersOfRun,
) -> list[Json]:
    rows = []
    for arm in run["arms"]:
        if arm["reference"] is None:
            continue
        of_arm = [(row, one) for row, one in zip(comparisons, judged, strict=True) if row["arm"] == arm["name"]]
        own = [(row, one) for row, one in of_arm if row["benchmark"] in tiers.each]
        counted = [(row, one) for row, one in of_arm if not row["informs_only"]]
        on_average = pooled.get(arm["name"])
        needed = [on_average.judgement] if on_average is not None and tiers.pooled_only else []
        overall = judge_overall([*(one for _, one in own), *needed])
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
                    if one.verdict is Verdict.WORSE
                    or not {Ground.MEASURABLY_WORSE, Ground.LOSS_SHOWN}.isdisjoint(one.grounds)
                ],
                **{f"{ground.value}_on": _named(own, ground) for ground in CARRIED},
                "on_average": None if on_average is None else on_average.judgement.verdict.value,
                "n_records": sum(row["n_records"] for row, _ in counted),
                "n_unscored": sum(row["n_unscored"] for row, _ in counted),
                "n_unscored_reference": sum(row["n_unscored_reference"] for row, _ in counted),
            }
        )
    return rows


def _named(own: Sequence[tuple[Json, Judgement]], ground: Ground) -> list[str]:
    """Return the benchmarks whose verdict has this ground."""
    return [row["benchmark"] for row, one in own if ground in one.grounds]


def _selections(run: Mapping[str, Any], arm_rows: Sequence[Json], pooled: Mapping[str, Pooled]) -> list[Json]:
    """Return one row per reference: the arms that the fixed sequence tested, and the one that it chose.

    Beside it stands the same sequence for the claim on average.

    Arms that were not made, arms without a size, controls and A/A arms are left out.
    """
    of_arm = {row["arm"]: row for row in arm_rows}
    dequantized = {arm["name"]: arm["dequantized_from"] for arm in run["arms"]}
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
        chosen = of_arm.get(found.smallest_no_worse or "", {})
        rows.append(
            {
                "reference": reference,
                "reference_dequantized_from": dequantized[reference],
                "tested": list(found.tested),
                "smallest_no_worse": found.smallest_no_worse,
                "n_records": chosen.get("n_records"),
                "n_unscored": chosen.get("n_unscored"),
                "stopped_at": found.stopped_at,
                "not_reached": list(found.not_reached),
                "left_out": left_out[reference],
                "on_average": _on_average(sequence, pooled),
            }
        )
    return rows


def _on_average(arms: Sequence[Sized], pooled: Mapping[str, Pooled]) -> Json | None:
    """Return the course of the fixed sequence for the claim on average; None if nothing is pooled."""
    if not pooled:
        return None
    found = fixed_sequence([replace(arm, verdict=pooled[arm.name].judgement.verdict) for arm in arms])
    return {
        "tested": list(found.tested),
        "smallest_no_worse": found.smallest_no_worse,
        "stopped_at": found.stopped_at,
        "not_reached": list(found.not_reached),
    }


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
    if ours.item_ids.equals(theirs.item_ids):
        difference = ours.arm_means - theirs.arm_means
    else:
        _, mine, others = np.intersect1d(ours.item_ids, theirs.item_ids, return_indices=True)
        difference = ours.arm_means[mine] - theirs.arm_means[others]
    sign = 1.0 if larger.arm.benchmark["higher_is_better"] else -1.0
    return sign * difference[~np.isnan(difference)]
