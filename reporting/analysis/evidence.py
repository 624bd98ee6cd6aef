"""What the verdict on one comparison rests on: its interval, the worst case of unscored records, the share to keep.

The rules are in `stats.verdict` and `stats.guards`. This module takes the numbers from the arms' records, on the scale
of the comparison and turned so that positive is better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from conf.schema.verdicts import Margins
from reporting.analysis.comparisons import Compared
from reporting.analysis.fields import Json, interval, number
from reporting.analysis.scored_arms import ScoredArm
from reporting.frames import GOLD_COLUMNS
from stats.guards import kept_interval, kept_values, level_of, worst_case
from stats.intervals import TAIL, Floats, Interval, wilson
from stats.looks import repeated_p_value
from stats.paired import Pairing, difference_interval
from stats.reasons import Reason
from stats.reduce import NEVER_ASKED
from stats.sequential import confidence_sequence, mean_sequence, sequence_p_beyond
from stats.verdict import Ground, p_beyond, with_sign_flips


@dataclass(frozen=True)
class Kept:
    """What the arm keeps beyond the share to keep of what the reference gets right."""

    estimate: float
    interval: Interval
    signal: float
    """What the reference gets right beyond guessing."""


@dataclass(frozen=True)
class Facts:
    """The evidence of one comparison before any adjustment; positive is better."""

    margin: float | None
    difference: float | Reason
    interval: Interval | Reason
    p_beyond: float | Reason
    """One-sided: the loss is at most the margin, and at most the share that may be lost."""
    kept: Kept | None
    missing: bool
    worst_difference: float | None
    worst: Interval | None
    worst_kept: Kept | None
    level: Ground | None


@dataclass(frozen=True)
class _Scores:
    """Per-item scores of both arms, 1 is right; shape (items,)."""

    arm: Floats
    reference: Floats
    clusters: NDArray[np.int64] | None


def facts_of(one: Compared, margins: Margins) -> Facts:
    """Return the evidence of one comparison, as if nobody had looked at it before."""
    return _facts(one, margins, one.found.interval, TAIL)


def as_look(one: Compared, usual: Facts, margins: Margins) -> Facts:
    """Return the evidence that allows for all looks at the comparison; `usual` if it needs no wider intervals."""
    seen = one.look
    if seen is None or not seen.allowed_for or math.isinf(seen.critical_value):
        return usual
    facts = _facts(one, margins, seen.interval, float(special.ndtr(seen.critical_value)))
    p_value = usual.p_beyond
    if isinstance(p_value, float):
        p_value = repeated_p_value(min(1.0, 2 * p_value), seen.looks) / 2
    return replace(facts, p_beyond=p_value)


def _facts(one: Compared, margins: Margins, usual: Interval | Reason, tail: float) -> Facts:
    margin = margin_of(one, margins)
    difference, found = _turned(one, one.found.difference, usual)
    if not isinstance(one.pairing, Pairing) or not isinstance(found, Interval) or isinstance(difference, Reason):
        return Facts(margin, difference, found, Reason.NO_INTERVAL, None, False, None, None, None, None)
    missing, filled = _worst_scores(one, one.pairing)
    worst = None if filled is None else _interval(one, filled, tail)
    if margin is None or not one.proportion:
        p_value = Reason.NO_MARGIN if margin is None else _p_beyond(one, difference, found, margin, None)
        level = None if margin is None else _level_on_scale(one, one.pairing, margin)
        return Facts(margin, difference, found, p_value, None, missing, None, None, None, level)
    paired = one.pairing.paired
    scores = _good(one, one.pairing.arm_means[paired], one.pairing.reference_means[paired], one.pairing.paired_clusters)
    share, chance = margins.relative, chance_of(one)
    kept = _kept(one, scores, found, share, chance, tail)
    level = level_of(_level_interval(one, scores), margin, chance)
    return Facts(
        margin,
        difference,
        found,
        _p_beyond(one, difference, found, margin, None if level is Ground.FLOOR else kept),
        kept,
        missing,
        None if filled is None else float((filled.arm - filled.reference).mean()),
        worst,
        None if filled is None or worst is None else _kept(one, filled, worst, share, chance, tail),
        level,
    )


def margin_of(one: Compared, margins: Margins) -> float | None:
    """Return the margin on the scale of the comparison's difference; None if the configuration sets none."""
    if one.arm.benchmark["metric"] == "nll":
        return margins.ln_ppl
    if one.arm.benchmark["metric"] in GOLD_COLUMNS:
        return float(getattr(margins, one.arm.benchmark["metric"]))
    return margins.accuracy if one.proportion else margins.judged


def chance_of(one: Compared) -> float:
    """Return the share of right answers that guessing gives."""
    return float(one.arm.benchmark.get("chance") or 0.0)


def oriented(one: Compared) -> tuple[float | Reason, Interval | Reason]:
    """Return the difference and its interval, turned so that positive is better."""
    return _turned(one, one.found.difference, one.found.interval)


def _turned(
    one: Compared, difference: float | Reason, found: Interval | Reason
) -> tuple[float | Reason, Interval | Reason]:
    if one.arm.benchmark["higher_is_better"]:
        return difference, found
    return (
        difference if isinstance(difference, Reason) else -difference,
        found if isinstance(found, Reason) else Interval(-found.high, -found.low, found.method),
    )


def fact_fields(one: Compared, facts: Facts, margins: Margins, p_adjusted: float | Reason) -> Json:
    """Return the fields of `statistical_analysis.json` that show the evidence."""
    kept = facts.kept
    return {
        **number("p_beyond_margin", facts.p_beyond),
        **number("p_beyond_margin_adjusted", p_adjusted),
        "n_records": one.arm.records.height,
        "n_unscored": one.arm.records["value"].null_count(),
        "n_records_reference": one.reference.records.height,
        "n_unscored_reference": one.reference.records["value"].null_count(),
        **interval("ci95_worst_case", facts.worst or _no_worst_case(facts)),
        "kept": kept
        and {
            "share_to_keep": 1 - margins.relative,
            "chance": chance_of(one),
            "beyond": kept.estimate,
            "ci95": [kept.interval.low, kept.interval.high],
        },
    }


def _no_worst_case(facts: Facts) -> Reason:
    return Reason.NO_WORST_SCORE if facts.missing else Reason.NOTHING_UNSCORED


def _good(one: Compared, arm: Floats, reference: Floats, clusters: NDArray[np.int64] | None) -> _Scores:
    if one.arm.benchmark["higher_is_better"]:
        return _Scores(arm, reference, clusters)
    return _Scores(1 - arm, 1 - reference, clusters)


def _interval(one: Compared, scores: _Scores, tail: float) -> Interval | None:
    differences = scores.arm - scores.reference
    if one.stop is not None:
        return confidence_sequence(differences)
    found = difference_interval(differences, proportion=True, clusters=scores.clusters, tail=tail)
    return found if isinstance(found, Interval) else None


def _kept(one: Compared, scores: _Scores, difference: Interval, share: float, chance: float, tail: float) -> Kept:
    values = kept_values(scores.arm, scores.reference, share, chance)
    if one.stop is not None:
        found = confidence_sequence(values)
    else:
        found = kept_interval(difference, scores.arm, scores.reference, share, chance, scores.clusters, tail)
    return Kept(float(values.mean()), found, float(scores.reference.mean()) - chance)


def _level_interval(one: Compared, scores: _Scores) -> Interval:
    """Return the interval by which floor and ceiling are told: Wilson's, which holds near 0 and 1."""
    if one.stop is not None:
        return mean_sequence(scores.reference)
    return wilson(float(scores.reference.mean()), one.found.n_units)


def _level_on_scale(one: Compared, pairing: Pairing, margin: float) -> Ground | None:
    """Return floor or ceiling of scores on a declared scale that is no share, such as 1 to 5."""
    scale = one.reference.scale
    if scale is None:
        return None
    span = scale[1] - scale[0]
    share = (float(pairing.reference_means[pairing.paired].mean()) - scale[0]) / span
    share = share if one.arm.benchmark["higher_is_better"] else 1 - share
    return level_of(wilson(min(1.0, max(0.0, share)), one.found.n_units), margin / span, 0.0)


def _p_beyond(one: Compared, difference: float, found: Interval, margin: float, kept: Kept | None) -> float:
    """Return the smaller p value of both margins: they are nearly one test where both bind."""
    if one.stop is not None:
        assert isinstance(one.pairing, Pairing)
        sign = 1.0 if one.arm.benchmark["higher_is_better"] else -1.0
        # Only the margin is bet against while items come in.
        return sequence_p_beyond(sign * one.pairing.differences, margin)
    values = [p_beyond(difference, found, -margin, one.found.n_units)]
    if kept is not None:
        values.append(p_beyond(kept.estimate, kept.interval, 0.0, one.found.n_units))
    p_two_sided = one.row["p_value"]
    return with_sign_flips(min(values), Reason.NO_P_VALUE if p_two_sided is None else p_two_sided, difference)


# --- unscored records -----------------------------------------------------------------------------


def _worst_scores(one: Compared, pairing: Pairing) -> tuple[bool, _Scores | None]:
    """Return whether records are missing, and the scores in the worst case; None if nothing is missing or the scale has
    no worst score."""
    arm, reference = _counts(one.arm), _counts(one.reference)
    asked = (arm.n_asked > 0) | (reference.n_asked > 0)
    paired = pairing.paired
    complete = (arm.n_scored == arm.n_planned) & (reference.n_scored == reference.n_planned)
    if bool(np.all(~asked | (complete & paired))):
        return False, None
    if not one.proportion:
        return True, None
    higher = bool(one.arm.benchmark["higher_is_better"])
    filled = [
        worst_case(
            np.where(paired, _totals(scored), 0.0),
            np.where(paired, counts.n_scored, 0),
            np.maximum(counts.n_planned, 1),
            fill,
        )[asked]
        for scored, counts, fill in (
            (one.arm, arm, 0.0 if higher else 1.0),
            (one.reference, reference, 1.0 if higher else 0.0),
        )
    ]
    return True, _good(one, filled[0], filled[1], None if pairing.clusters is None else pairing.clusters[asked])


@dataclass(frozen=True)
class _Counts:
    """Numbers of records of each planned item, in the order of item ids; shape (items,)."""

    n_planned: NDArray[np.int64]
    n_scored: NDArray[np.int64]
    n_asked: NDArray[np.int64]


def _counts(arm: ScoredArm) -> _Counts:
    known = arm.records["value"].is_not_null()
    asked = known | ~arm.records["reason"].is_in(NEVER_ASKED).fill_null(False)
    kinds = (slice(None), known.to_numpy(), asked.to_numpy())
    return _Counts(*(np.bincount(arm.places[kind], minlength=arm.items.height) for kind in kinds))


def _totals(arm: ScoredArm) -> Floats:
    """Return the sum of the scores of each planned item, in the order of item ids; shape (items,)."""
    values = arm.records.select("value", place=arm.places)
    sums = values.group_by("place").agg(pl.col("value").sum())
    totals = np.zeros(arm.items.height)
    totals[sums["place"]] = sums["value"]
    return totals
