"""Each arm against its reference: the paired statistics, one benchmark at a time.

Arms that were planned on the same items of a benchmark share the random sign assignments and the resamples. These are
drawn once, from a random stream that belongs to the benchmark, so adding an arm changes no number of another arm.
Verdicts look across benchmarks and arms; `reporting.analysis.verdicts` derives them from the rows made here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.cells import FAULTS, findings_of
from reporting.analysis.early import Stop, Stops, looked_at_fields, with_sequence
from reporting.analysis.fields import Json, interval, method, number
from reporting.analysis.looks import Histories, History, Seen, look_fields, see
from reporting.analysis.scored_arms import AA_SUFFIX, ScoredArm, ScoredArms
from reporting.notices import Notice
from stats.bootstrap import effect_size_draws, percentile_interval, resampled_totals
from stats.clusters import FEW_CLUSTERS, Labels, cluster_totals
from stats.flips import ItemFlips, Rate, flips, is_binary, mcnemar, odds_ratio, rate
from stats.grouped import LARGE
from stats.intervals import Floats, Interval, stretched
from stats.paired import PairedDifference, Pairing, difference_interval, pair_items, paired_difference
from stats.permutation import PermutationTest, sign_flip_tests
from stats.reasons import Reason

SEED = 0
"""Seed of sign assignments and resamples. Each benchmark has its own streams below this seed."""


@dataclass(frozen=True)
class Compared:
    """One arm against its reference on one benchmark: its row, and what the verdicts need beside the row."""

    row: Json
    arm: ScoredArm
    reference: ScoredArm
    pairing: Pairing | Reason
    found: PairedDifference
    stop: Stop | None
    """How the early stop ended; None if the benchmark cannot end early."""
    look: Seen | None = None
    """Which look it is; None if the history of looks is not known."""

    @property
    def proportion(self) -> bool:
        """True if the scores of both arms are proportions."""
        return self.arm.proportion and self.reference.proportion


@dataclass(frozen=True)
class Comparisons:
    """All comparisons, by benchmark and arm in the run's order, and notices for people."""

    rows: tuple[Compared, ...]
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class _Drawn:
    """What the random sign assignments and the resamples gave for one arm."""

    test: PermutationTest
    difference: Interval | Reason
    effect: Interval | Reason


def compare(run: Mapping[str, Any], scored: ScoredArms, stops: Stops, histories: Histories) -> Comparisons:
    """Compare every arm that has a reference, on every benchmark.

    Args:
        run: the run's description.
        scored: all arms of the run on all its benchmarks.
        stops: the arms and benchmarks that could end early. An arm that ended early is compared on the items up to its
            end.
        histories: the looks at each comparison before this one; empty if they are not known.

    Raises:
        ValueError: a reference is not an arm of the run.
    """
    rows, notices = [], []
    for benchmark in run["benchmarks"]:
        name = str(benchmark["name"])
        pairs = list(_pairs(run, scored, stops, name))
        looked_at = any((arm.name, name) in stops for arm, _, _ in pairs)
        drawn = {} if looked_at else _draw(pairs, name)
        for index, (arm, reference, pairing) in enumerate(pairs):
            aa_arm, stop = scored.get((f"{reference.name}{AA_SUFFIX}", name)), stops.get((arm.name, name))
            if aa_arm is not None and stop is not None:
                aa_arm = aa_arm.on(arm.items)
            with findings_of(arm.name, name):
                one = _compared(arm, reference, pairing, drawn.get(index), aa_arm, stop)
                one = _as_look(one, histories.get((arm.name, name)))
            rows.append(one)
            notices += _notices(one)
        if any(one.arm.one_number for one in rows if one.arm.benchmark["name"] == name):
            notices.append(Notice("one_number", benchmark=name))
    return Comparisons(tuple(rows), tuple(notices))


def _pairs(
    run: Mapping[str, Any], scored: ScoredArms, stops: Stops, benchmark: str
) -> Iterator[tuple[ScoredArm, ScoredArm, Pairing | Reason]]:
    """Yield each arm that has a reference, its reference, and how their items pair."""
    for name, reference_name in ((arm["name"], arm["reference"]) for arm in run["arms"]):
        if reference_name is None or (name, benchmark) not in scored:
            continue
        arm, reference = scored[name, benchmark], scored.get((reference_name, benchmark))
        if reference is None:
            raise ValueError(f"arm {name} has the reference {reference_name}, which is not an arm of the run")
        if (name, benchmark) in stops:
            reference = reference.on(arm.items)
        with findings_of(name, benchmark):
            pairing = pair_items(arm.items, reference.items)
        yield arm, reference, pairing


def _notices(one: Compared) -> list[Notice]:
    name, arm = one.arm.benchmark["name"], one.arm.name
    if one.pairing is Reason.PLANNED_SETS_DIFFER:
        return [Notice("planned_sets_differ", arm=arm, reference=one.reference.name, benchmark=name)]
    if isinstance(one.pairing, Pairing) and one.pairing.clusters is not None and one.found.n_units < FEW_CLUSTERS:
        n_sources = one.found.n_units
        return [Notice("few_sources", benchmark=name, arm=arm, n_sources=n_sources, n_reliable=FEW_CLUSTERS)]
    return []


# --- random sign assignments and resamples, once for all arms -------------------------------------


def _draw(pairs: Sequence[tuple[ScoredArm, ScoredArm, Pairing | Reason]], benchmark: str) -> dict[int, _Drawn]:
    """Return what was drawn, by index into `pairs`. Pairs without a single paired item are left out."""
    groups: list[dict[int, Pairing]] = []
    for index, (_, _, pairing) in enumerate(pairs):
        if isinstance(pairing, Pairing) and pairing.paired.any():
            same = (group for group in groups if next(iter(group.values())).item_ids.equals(pairing.item_ids))
            group = next(same, None)
            if group is None:
                groups.append(group := {})
            group[index] = pairing
    drawn: dict[int, _Drawn] = {}
    for pairings in groups:
        try:
            drawn |= dict(zip(pairings, _draw_group(list(pairings.values()), benchmark), strict=True))
        except FAULTS:
            for index, pairing in pairings.items():  # find the arm whose values do not fit
                with findings_of(pairs[index][0].name, benchmark):
                    _draw_group([pairing], benchmark)
            raise
    return drawn


def _draw_group(pairings: Sequence[Pairing], benchmark: str) -> list[_Drawn]:
    """Return the sign-flip test and the bootstrap of each arm; all arms were planned on the same items."""
    clusters = pairings[0].clusters
    known = np.column_stack([pairing.paired for pairing in pairings]).astype(np.float64)  # (items, arms)
    differences = np.nan_to_num(np.column_stack([pairing.arm_means - pairing.reference_means for pairing in pairings]))
    stream = zlib.crc32(benchmark.encode())
    tests = sign_flip_tests(cluster_totals(differences, clusters), np.random.default_rng([SEED, stream, 0]))
    # If only a few units among many differ, the resamples say too little about how rare a difference is.
    n_differing = [int(units) for units in np.count_nonzero(cluster_totals(differences, clusters), axis=0)]
    counts, sums, squares = resampled_differences(known, differences, clusters, stream)
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return [
        _Drawn(
            tests[arm],
            percentile_interval(means[:, arm], n_differing[arm]),
            percentile_interval(effect_size_draws(counts[:, arm], sums[:, arm], squares[:, arm]), n_differing[arm]),
        )
        for arm in range(len(pairings))
    ]


def resampled_differences(
    known: Floats, differences: Floats, clusters: Labels | None, stream: int
) -> tuple[Floats, ...]:
    """Return the resampled numbers of items, sums and sums of squares; each of shape (draws, arms).

    Arms share the resamples. With very many items each arm is drawn from its own distinct values, which is quick.
    """
    n_arms = known.shape[1]
    together = [list(range(n_arms))] if known.shape[0] <= LARGE else [[arm] for arm in range(n_arms)]
    parts = []
    for arms in together:
        columns = np.hstack([known[:, arms], differences[:, arms], differences[:, arms] ** 2])
        totals = resampled_totals(columns, np.random.default_rng([SEED, stream, 1]), clusters=clusters)
        parts.append(np.split(totals, 3, axis=1))
    return tuple(np.hstack(columns) for columns in zip(*parts, strict=True))


# --- one row --------------------------------------------------------------------------------------


def _compared(
    arm: ScoredArm,
    reference: ScoredArm,
    pairing: Pairing | Reason,
    drawn: _Drawn | None,
    aa_arm: ScoredArm | None,
    stop: Stop | None,
) -> Compared:
    found = difference_of(arm, reference, pairing)
    bounded = arm.proportion and reference.proportion
    if stop is not None:
        found = with_sequence(found, pairing, bounded=bounded)
    nothing = pairing if isinstance(pairing, Reason) else Reason.NO_PAIRED_ITEMS
    # One number has no items whose signs could flip.
    test = Reason.ONE_ITEM if arm.one_number else drawn.test if drawn else nothing
    by_source = isinstance(pairing, Pairing) and pairing.clusters is not None
    n_planned = pairing.item_ids.len() if isinstance(pairing, Pairing) else _n_planned(arm, reference)
    row = {
        "arm": arm.name,
        "reference": reference.name,
        "benchmark": arm.benchmark["name"],
        "metric": arm.benchmark["metric"],
        "higher_is_better": arm.benchmark["higher_is_better"],
        **number("difference", found.difference),
        **interval("ci95", found.interval),
        "ci_method": method(found.interval),
        **interval("ci95_bootstrap", drawn.difference if drawn else nothing),
        **number("p_value", test.p_value if isinstance(test, PermutationTest) else test),
        "test": test.test if isinstance(test, PermutationTest) else None,
        **number("cohens_d", found.cohens_d),
        **interval("cohens_d_ci95", _effect_interval(found, drawn) if drawn else nothing),
        "n_items": found.n_items,
        "n_clusters": found.n_units if by_source else None,
        "n_runs": pairing.n_runs if isinstance(pairing, Pairing) else 0,
        "n_unpaired": n_planned - found.n_items,
        "n_unpaired_unscored": pairing.n_unscored if isinstance(pairing, Pairing) else 0,
        "n_unpaired_prompt": pairing.n_prompt_mismatch if isinstance(pairing, Pairing) else 0,
        "deterministic": arm.benchmark["deterministic"],
        **number("noise_floor_difference", _noise_floor(arm, reference, aa_arm)),
        **_flip_fields(arm, reference, pairing, aa_arm),
        "early_stop": None,
    }
    if stop is not None:
        row |= looked_at_fields(row, pairing, stop, bounded=bounded)
    return Compared(row, arm, reference, pairing, found, stop)


def _n_planned(arm: ScoredArm, reference: ScoredArm) -> int:
    return pl.concat([arm.items["item_id"], reference.items["item_id"]]).n_unique()


def _as_look(one: Compared, history: History | None) -> Compared:
    """Return the comparison with what it may claim as the look that it is."""
    if history is None:
        return replace(one, row={**one.row, "look": None})
    sequential = one.stop is not None
    seen = see(history, one.found, one.pairing, span=_span(one.arm, one.reference), sequential=sequential)
    return replace(one, row={**one.row, **look_fields(seen, one.row)}, look=seen)


def difference_of(arm: ScoredArm, reference: ScoredArm, pairing: Pairing | Reason) -> PairedDifference:
    """Return the difference over the items of a pairing, on the scale of the scores."""
    if isinstance(pairing, Reason):
        return PairedDifference(pairing, pairing, pairing, 0, 0)
    span = _span(arm, reference)
    if span is None:
        return paired_difference(pairing.differences, proportion=False, clusters=pairing.paired_clusters)
    shares = paired_difference(pairing.differences / span, proportion=True, clusters=pairing.paired_clusters)
    return replace(
        shares,
        difference=shares.difference if isinstance(shares.difference, Reason) else span * shares.difference,
        interval=stretched(shares.interval, span) if isinstance(shares.interval, Interval) else shares.interval,
    )


def _span(arm: ScoredArm, reference: ScoredArm) -> float | None:
    """Return the largest possible difference of two scores; None if they have no scale."""
    return None if arm.scale is None or reference.scale is None else arm.scale[1] - arm.scale[0]


def _effect_interval(found: PairedDifference, drawn: _Drawn) -> Interval | Reason:
    """Return the interval of the effect size. If the effect size is undefined, its interval is too."""
    return found.cohens_d if isinstance(found.cohens_d, Reason) else drawn.effect


def _noise_floor(arm: ScoredArm, reference: ScoredArm, aa_arm: ScoredArm | None) -> float | Reason:
    """Return the mean absolute change of an item's value if the reference is decoded in another batch layout."""
    if not arm.benchmark["deterministic"]:
        return Reason.SEE_FLIPS
    pairing = Reason.NO_AA_ARM if aa_arm is None else pair_items(aa_arm.items, reference.items)
    if isinstance(pairing, Reason) or not pairing.paired.any():
        return Reason.NO_AA_ARM
    return float(np.abs(pairing.differences).mean())


# --- flips ----------------------------------------------------------------------------------------


def _flip_fields(arm: ScoredArm, reference: ScoredArm, pairing: Pairing | Reason, aa_arm: ScoredArm | None) -> Json:
    """Return the fields `flips` (with their noise floor) and `mcnemar` (only if there is one run)."""
    if isinstance(pairing, Reason):
        return _no_flips(pairing)
    if arm.benchmark["metric"] == "nll":
        return _no_flips(Reason.NOT_BINARY)
    seeds = sorted({*arm.seeds, *reference.seeds})
    paired = pairing.paired
    scores, reference_scores = arm.scores(seeds)[paired], reference.scores(seeds)[paired]
    if not (is_binary(scores) and is_binary(reference_scores)):
        return _no_flips(Reason.NOT_BINARY)
    sampled = not arm.benchmark["deterministic"] and pairing.n_runs > 1
    found = flips(scores, reference_scores, different_seeds=sampled)
    known = ~np.isnan(found.lost)
    if not known.any():
        return _no_flips(Reason.NO_PAIRED_ITEMS)
    if sampled:
        floor: ItemFlips | Reason = flips(reference_scores, reference_scores, different_seeds=True)
    elif not arm.benchmark["deterministic"]:
        floor = Reason.ONE_RUN
    else:
        floor = _aa_floor(aa_arm, reference, pairing)
    row = {
        "pairs": "different_seeds" if sampled else "same_seed",
        "n_items": int(known.sum()),
        **_rate_fields("lost", rate(found.lost[known])),
        **_rate_fields("gained", rate(found.gained[known])),
        **_rate_fields("flipped", rate(found.both[known])),
        **_rate_fields("odds_ratio", odds_ratio(found.lost[known], found.gained[known])),
        "noise_floor_source": None if isinstance(floor, Reason) else "reference_seeds" if sampled else "aa_arm",
        **_floor_fields(found, floor),
    }
    one_run = int(known.sum()) if pairing.n_runs == 1 and scores.shape[1] == 1 else 0
    return {"flips": row, "flips_reason": None, **_mcnemar_fields(found, known, one_run)}


def _no_flips(reason: Reason) -> Json:
    return {"flips": None, "flips_reason": reason.value, "mcnemar": None, "mcnemar_reason": reason.value}


def _rate_fields(name: str, found: Rate | Reason) -> Json:
    value, bounds = (found.value, found.interval) if isinstance(found, Rate) else (found, found)
    return {**number(name, value), **interval(f"{name}_ci95", bounds)}


def _aa_floor(aa_arm: ScoredArm | None, reference: ScoredArm, pairing: Pairing) -> ItemFlips | Reason:
    """Return the flips between the reference and its A/A arm, the same model in another batch layout."""
    if aa_arm is None or not aa_arm.items["item_id"].equals(pairing.item_ids):
        return Reason.NO_AA_ARM
    seeds = reference.seeds
    paired = pairing.paired
    return flips(aa_arm.scores(seeds)[paired], reference.scores(seeds)[paired], different_seeds=False)


def _floor_fields(found: ItemFlips, floor: ItemFlips | Reason) -> Json:
    """Return the noise floor's rate and the arm's excess over it.

    The excess is paired by item because some questions flip more easily than others.
    """
    if isinstance(floor, Reason):
        return {**_rate_fields("noise_floor", floor), **_rate_fields("above_floor", floor)}
    known = ~np.isnan(floor.lost)
    both = known & ~np.isnan(found.lost)
    of_floor = rate(floor.both[known]) if known.any() else Reason.NO_PAIRED_ITEMS
    return {**_rate_fields("noise_floor", of_floor), **_rate_fields("above_floor", _excess(found, floor, both))}


def _excess(found: ItemFlips, floor: ItemFlips, both: np.ndarray[Any, np.dtype[np.bool_]]) -> Rate | Reason:
    if not both.any():
        return Reason.NO_PAIRED_ITEMS
    excess: Floats = found.both[both] - floor.both[both]
    return Rate(float(excess.mean()), difference_interval(excess, proportion=True))


def _mcnemar_fields(found: ItemFlips, known: np.ndarray[Any, np.dtype[np.bool_]], n: int) -> Json:
    if n == 0:
        return {"mcnemar": None, "mcnemar_reason": Reason.SEVERAL_RUNS.value}
    test = mcnemar(int(found.lost[known].sum()), int(found.gained[known].sum()), n)
    row = {
        "lost": test.lost,
        "gained": test.gained,
        "p_value": test.p_value,
        "p_value_worse": test.p_value_worse,
        "p_value_mid": test.p_value_mid,
        "ci95": [test.interval.low, test.interval.high],
    }
    return {"mcnemar": row, "mcnemar_reason": None}
