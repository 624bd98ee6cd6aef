"""The claim "no worse on average": each arm against its reference, over the pooled benchmarks together.

The formula is in `stats.pooled`, the rule for the verdict in `stats.verdict`: it is that of a single benchmark, with
the margin of the mean. Everything that a single verdict rests on is combined, too: the worst case of unscored records
and the share to keep. If one of the benchmarks has no result, or measures nothing (floor, ceiling), no mean over the
others takes the place of the planned one: the claim is not made.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from conf.schema.verdicts import Margins
from conf.tiers import POOLED_METRIC, TiersOfRun
from reporting.analysis.comparisons import Compared
from reporting.analysis.draws import SEED
from reporting.analysis.evidence import Facts, Kept, chance_of
from reporting.analysis.fields import Json, interval, method, number
from reporting.analysis.looks import claimable
from reporting.analysis.pooled_sources import sources_of
from reporting.analysis.scored_arms import AA_SUFFIX
from stats.intervals import Interval, Z
from stats.paired import Pairing
from stats.permutation import PermutationTest
from stats.pooled import PooledDifference, Stratum, pooled_difference, pooled_interval, pooled_sign_flips
from stats.reasons import Reason
from stats.verdict import Evidence, Ground, Judgement, detectable_drop, judge, p_beyond, with_sign_flips


@dataclass(frozen=True)
class Pooled:
    """The claim on average about one arm: its row, and its verdict as one of the claims of the arm's verdict."""

    row: Json
    judgement: Judgement


@dataclass(frozen=True)
class _Part:
    """One benchmark of the pool for one arm."""

    one: Compared
    facts: Facts
    weight: float


@dataclass(frozen=True)
class _Found:
    """What the pooled benchmarks give together."""

    mean: PooledDifference
    test: PermutationTest | None = None
    p_beyond: float | Reason = Reason.NO_INTERVAL
    kept: Kept | None = None
    missing: bool = False
    worst: Interval | None = None
    worst_kept: Interval | None = None
    level: Ground | None = None


def pooled_claims(
    run: Mapping[str, Any], rows: Sequence[Compared], facts: Sequence[Facts], margins: Margins, tiers: TiersOfRun
) -> dict[str, Pooled]:
    """Return the claim on average about each arm that has a reference, by arm. Nothing without pooled benchmarks.

    A/A arms are left out: they only measure the noise floor.
    """
    claims: dict[str, Pooled] = {}
    for arm in run["arms"] if tiers.pooled else ():
        name, reference = str(arm["name"]), arm["reference"]
        if reference is None or name.endswith(AA_SUFFIX):
            continue
        own = {
            one.arm.benchmark["name"]: (one, fact)
            for one, fact in zip(rows, facts, strict=True)
            if one.arm.name == name
        }
        parts = [_Part(*own[benchmark], weight) for benchmark, weight in tiers.pooled.items() if benchmark in own]
        found = _found(parts, margins) if len(parts) == len(tiers.pooled) else _nothing(Reason.BENCHMARK_MISSING)
        n_tests = len(own) + 1 if tiers.pooled_only else 1
        judgement = _may_claim(parts, found, margins, n_tests)
        row = {
            "arm": name,
            "reference": reference,
            **_fields(parts, found, margins),
            **_verdict_fields(judgement, tiers),
        }
        claims[name] = Pooled(row, judgement)
    return claims


def _nothing(reason: Reason) -> _Found:
    return _Found(PooledDifference(reason, reason, 0, 0))


def _found(parts: Sequence[_Part], margins: Margins) -> _Found:
    for part in parts:
        if not isinstance(part.one.pairing, Pairing) or not part.one.pairing.paired.any():
            return _nothing(Reason.BENCHMARK_MISSING)
        if not part.one.proportion or part.one.arm.benchmark["metric"] != POOLED_METRIC:
            return _nothing(Reason.SCALES_DIFFER)
        if part.one.stop is not None:
            return _nothing(Reason.EARLY_STOP)
    strata = _strata(parts)
    mean = pooled_difference(strata, [part.facts.interval for part in parts])
    if isinstance(mean.difference, Reason) or isinstance(mean.interval, Reason):
        return _Found(mean)
    seed = [SEED, zlib.crc32(" ".join(str(part.one.arm.benchmark["name"]) for part in parts).encode()), 2]
    test = pooled_sign_flips(strata, np.random.default_rng(seed))
    levels = [part.facts.level for part in parts]
    level = next((level for level in (Ground.FLOOR, Ground.CEILING) if level in levels), None)
    kept = _kept(parts, strata, [part.facts.kept for part in parts])
    missing = any(part.facts.missing for part in parts)
    beyond = [p_beyond(mean.difference, mean.interval, -margins.pooled, mean.n_sources)]
    if kept is not None and level is not Ground.FLOOR:
        beyond.append(p_beyond(kept.estimate, kept.interval, 0.0, mean.n_sources))
    return _Found(
        mean,
        test,
        with_sign_flips(min(beyond), test.p_value, mean.difference),
        kept,
        missing,
        _worst(parts, strata) if missing else None,
        _worst_kept(parts, strata) if missing else None,
        level,
    )


def _kept(parts: Sequence[_Part], strata: Sequence[Stratum], kept: Sequence[Kept | None]) -> Kept | None:
    known = [one for one in kept if one is not None]
    if len(known) < len(parts):
        return None
    weights = [stratum.weight for stratum in strata]
    return Kept(
        float(np.dot(weights, [one.estimate for one in known])),
        pooled_interval([one.estimate for one in known], [one.interval for one in known], strata),
        float(np.dot(weights, [one.signal for one in known])),
    )


def _worst(parts: Sequence[_Part], strata: Sequence[Stratum]) -> Interval | None:
    """Return the interval if every unscored record counts against the arm."""
    means, intervals = [], []
    for part, stratum in zip(parts, strata, strict=True):
        facts = part.facts
        found = facts.worst if facts.missing else facts.interval
        if not isinstance(found, Interval):
            return None
        means.append(stratum.mean if facts.worst_difference is None else facts.worst_difference)
        intervals.append(found)
    return pooled_interval(means, intervals, strata)


def _worst_kept(parts: Sequence[_Part], strata: Sequence[Stratum]) -> Interval | None:
    found = _kept(parts, strata, [part.facts.worst_kept if part.facts.missing else part.facts.kept for part in parts])
    return None if found is None else found.interval


def _may_claim(parts: Sequence[_Part], found: _Found, margins: Margins, n_tests: int) -> Judgement:
    """Return the verdict as far as the looks at the benchmarks may claim it.

    The mean takes the largest critical value of its benchmarks (`stats.looks`), which is on the safe side. The history
    of looks keeps no claims on average, so no earlier look confirms one.
    """
    by_usual = judge(_evidence(found, margins, n_tests))
    looks = [part.one.look for part in parts if part.one.look is not None]
    if not looks:
        return by_usual
    if not all(look.allowed_for for look in looks):
        return claimable(looks, by_usual, by_usual, confirmed=False)
    ratio = max(1.0, *(look.critical_value / Z for look in looks))
    by_look = judge(_evidence(_widened(found, ratio), margins, n_tests))
    return claimable(looks, by_usual, by_look, confirmed=False)


def _widened(found: _Found, ratio: float) -> _Found:
    """Return the same with intervals that are wider by this ratio, and the p values that belong to them."""
    mean, kept, test, beyond = found.mean, found.kept, found.test, found.p_beyond
    if isinstance(mean.interval, Interval):
        mean = replace(mean, interval=_wider(mean.interval, ratio))
    return replace(
        found,
        mean=mean,
        test=test and replace(test, p_value=2 * _raised(test.p_value / 2, ratio)),
        p_beyond=beyond if isinstance(beyond, Reason) else _raised(beyond, ratio),
        kept=kept and replace(kept, interval=_wider(kept.interval, ratio)),
        worst=found.worst and _wider(found.worst, ratio),
        worst_kept=found.worst_kept and _wider(found.worst_kept, ratio),
    )


def _wider(usual: Interval, ratio: float) -> Interval:
    more = (ratio - 1) * (usual.high - usual.low) / 2
    return Interval(usual.low - more, usual.high + more, usual.method)


def _raised(p_value: float, ratio: float) -> float:
    """Return the one-sided p value if the statistic must reach `ratio` times its usual critical value."""
    return float(special.ndtr(special.ndtri(p_value) / ratio))


def _evidence(found: _Found, margins: Margins, n_tests: int) -> Evidence:
    beyond = found.p_beyond
    return Evidence(
        found.mean.difference,
        found.mean.interval,
        margins.pooled,
        found.test.p_value if found.test else Reason.NO_P_VALUE,
        beyond,
        beyond if isinstance(beyond, Reason) else min(1.0, n_tests * beyond),
        kept=found.kept.interval if found.kept else None,
        missing=found.missing,
        worst=found.worst,
        worst_kept=found.worst_kept,
        level=found.level,
    )


def _strata(parts: Sequence[_Part]) -> list[Stratum]:
    strata = []
    for part, sources in zip(parts, sources_of([part.one for part in parts]), strict=True):
        pairing = part.one.pairing
        assert isinstance(pairing, Pairing)
        strata.append(Stratum(part.weight, pairing.differences, sources[pairing.paired]))
    return strata


# --- the row --------------------------------------------------------------------------------------


def _fields(parts: Sequence[_Part], found: _Found, margins: Margins) -> Json:
    mean, kept, test = found.mean, found.kept, found.test
    return {
        "benchmarks": [_part_row(part) for part in parts],
        **number("difference", mean.difference),
        **interval("ci95", mean.interval),
        "ci_method": method(mean.interval),
        **number("p_value", test.p_value if test else Reason.NO_P_VALUE),
        "test": test.test if test else None,
        **number("p_beyond_margin", found.p_beyond),
        "margin": margins.pooled,
        "n_items": mean.n_items,
        "n_sources": mean.n_sources,
        "n_records": sum(part.one.arm.records.height for part in parts),
        "n_unscored": sum(part.one.arm.records["value"].null_count() for part in parts),
        "n_unscored_reference": sum(part.one.reference.records["value"].null_count() for part in parts),
        **interval("ci95_worst_case", found.worst or _no_worst_case(found)),
        "kept": kept
        and {
            "share_to_keep": 1 - margins.relative,
            "chance": sum(part.weight * chance_of(part.one) for part in parts),
            "beyond": kept.estimate,
            "ci95": [kept.interval.low, kept.interval.high],
        },
        **number("detectable_drop", _detectable(mean)),
    }


def _no_worst_case(found: _Found) -> Reason:
    if isinstance(found.mean.difference, Reason):
        return found.mean.difference
    return Reason.NO_WORST_SCORE if found.missing else Reason.NOTHING_UNSCORED


def _part_row(part: _Part) -> Json:
    row = part.one.row
    return {
        "benchmark": row["benchmark"],
        "weight": part.weight,
        "difference": row["difference"],
        "n_items": row["n_items"],
        "n_clusters": row["n_clusters"],
    }


def _detectable(mean: PooledDifference) -> float | Reason:
    if isinstance(mean.difference, Reason):
        return mean.difference
    if isinstance(mean.interval, Reason):
        return Reason.NO_INTERVAL
    return detectable_drop(mean.difference, mean.interval, mean.n_sources)


def _verdict_fields(judgement: Judgement, tiers: TiersOfRun) -> Json:
    return {
        "verdict": judgement.verdict.value,
        "verdict_grounds": [ground.value for ground in judgement.grounds],
        "decides": bool(tiers.pooled_only),
    }
