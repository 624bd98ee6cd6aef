"""Verdicts on the comparisons of arms with their references, and all lists of results that depend on them.

The rule for a verdict is in `stats.verdict`. What a verdict rests on is in `reporting.analysis.evidence`. This module
adjusts p values and writes the outcome under the names of `statistical_analysis.json`. It writes codes only: the
summary and the documents put them into words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conf.schema.verdicts import Statistics
from conf.tiers import TiersOfRun, resolve_tiers
from reporting.analysis.arm_verdicts import arm_rows, selections
from reporting.analysis.comparisons import Compared, Comparisons
from reporting.analysis.evidence import Facts, as_look, fact_fields, facts_of, oriented
from reporting.analysis.fields import Json, number
from reporting.analysis.looks import claimable, claimed_before
from reporting.analysis.needed import needed_fields
from reporting.analysis.out_of_order import out_of_order
from reporting.analysis.pooled import pooled_claims
from reporting.analysis.rules import margin_names
from reporting.analysis.unjudged import unjudged_benchmarks
from stats.multiplicity import benjamini_hochberg, holm
from stats.reasons import Reason
from stats.verdict import Evidence, Ground, Judgement, Verdict, detectable_drop, judge

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
    arms = arm_rows(run, comparisons, judged, pooled, tiers)
    return VerdictRows(
        comparisons,
        [one.row for one in pooled.values()],
        arms,
        selections(run, arms, pooled),
        out_of_order(run, rows),
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
    """Return the verdict on one comparison as far as the look at it may claim it."""
    if one.look is None:
        return by_look
    names = margin_names(one.row["metric"], one.proportion)
    confirmed = claimed_before(one.look, by_usual.verdict.value, names)
    return claimable([one.look], by_usual, by_look, confirmed=confirmed)


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
