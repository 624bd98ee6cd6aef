"""Each arm against its reference: the paired statistics, one benchmark at a time.

All arms of a benchmark that were planned on the same items share the random sign assignments and the resamples: they
are drawn once, from a stream of the benchmark's own, so adding an arm changes no number of another one. Verdicts,
which look across benchmarks and arms, are made from the rows in `reporting.analysis.verdicts`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reporting.analysis.cells import AA_SUFFIX, Cell, Cells, interval, method, number
from reporting.analysis.early import Stop, Stops, looked_at_fields, with_sequence
from stats.bootstrap import effect_size_draws, percentile_interval, resampled_totals
from stats.clusters import FEW_CLUSTERS, cluster_totals
from stats.flips import ItemFlips, Rate, flips, is_binary, mcnemar, odds_ratio, rate
from stats.intervals import Floats, Interval
from stats.paired import PairedDifference, Pairing, difference_interval, pair_items, paired_difference
from stats.permutation import PermutationTest, sign_flip_tests
from stats.reasons import Reason

SEED = 0
"""Seed of sign assignments and resamples; each benchmark draws from streams of its own."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Compared:
    """One arm against its reference on one benchmark: the row, and what verdicts need beside it."""

    row: Json
    cell: Cell
    reference: Cell
    pairing: Pairing | Reason
    found: PairedDifference
    stop: Stop | None
    """None: nobody looked while items came in."""

    @property
    def proportion(self) -> bool:
        return self.cell.proportion and self.reference.proportion


@dataclass(frozen=True)
class Comparisons:
    """All of them, by benchmark and arm in the run's order, and what people should know."""

    rows: tuple[Compared, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class _Drawn:
    """What was found by chance assignments and resamples."""

    test: PermutationTest
    difference: Interval | Reason
    effect: Interval | Reason


def compare(run: Mapping[str, Any], cells: Cells, stops: Stops) -> Comparisons:
    """Compare every arm that has a reference, on every benchmark.

    Args:
        run: the run's description.
        cells: of all its arms and benchmarks.
        stops: of those that may have been ended early. What was ended is compared on the items up to that.

    Raises:
        ValueError: a reference is no arm of the run.
    """
    rows, notices = [], []
    for benchmark in run["benchmarks"]:
        name = str(benchmark["name"])
        pairs = list(_pairs(run, cells, stops, name))
        looked_at = any((cell.arm, name) in stops for cell, _, _ in pairs)
        drawn = {} if looked_at else _draw(pairs, name)
        for place, (cell, reference, pairing) in enumerate(pairs):
            aa_arm, stop = cells.get((f"{reference.arm}{AA_SUFFIX}", name)), stops.get((cell.arm, name))
            if aa_arm is not None and stop is not None:
                aa_arm = aa_arm.on(cell.items)
            one = _compared(cell, reference, pairing, drawn.get(place), aa_arm, stop)
            rows.append(one)
            notices += _notices(one)
    return Comparisons(tuple(rows), tuple(notices))


def _pairs(
    run: Mapping[str, Any], cells: Cells, stops: Stops, benchmark: str
) -> Iterator[tuple[Cell, Cell, Pairing | Reason]]:
    for arm in run["arms"]:
        if arm["reference"] is None or (arm["name"], benchmark) not in cells:
            continue
        cell, reference = cells[arm["name"], benchmark], cells.get((arm["reference"], benchmark))
        if reference is None:
            raise ValueError(f"arm {arm['name']} has the reference {arm['reference']}, which is no arm of the run")
        if (arm["name"], benchmark) in stops:
            reference = reference.on(cell.items)
        yield cell, reference, pair_items(cell.items, reference.items)


def _notices(one: Compared) -> list[str]:
    name, arm = one.cell.benchmark["name"], one.cell.arm
    if one.pairing is Reason.PLANNED_SETS_DIFFER:
        return [f"{arm} is not compared with {one.reference.arm} on {name}: they were planned on different items."]
    if isinstance(one.pairing, Pairing) and one.pairing.clusters is not None and one.found.n_units < FEW_CLUSTERS:
        return [
            f"{name}, {arm}: all items come from {one.found.n_units} sources; intervals and tests by source need"
            f" {FEW_CLUSTERS} to be relied on."
        ]
    return []


# --- chance assignments and resamples, once for all arms ------------------------------------------


def _draw(pairs: Sequence[tuple[Cell, Cell, Pairing | Reason]], benchmark: str) -> dict[int, _Drawn]:
    """By place among the pairs; those that do not pair at all are left out."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, (_, _, pairing) in enumerate(pairs):
        if isinstance(pairing, Pairing) and pairing.paired.any():
            groups.setdefault(pairing.item_ids, []).append(place)
    drawn: dict[int, _Drawn] = {}
    for places in groups.values():
        # `groups` holds places of pairings only.
        pairings = [pairing for place in places if isinstance(pairing := pairs[place][2], Pairing)]
        drawn |= dict(zip(places, _draw_group(pairings, benchmark), strict=True))
    return drawn


def _draw_group(pairings: Sequence[Pairing], benchmark: str) -> list[_Drawn]:
    """Sign flips and bootstrap of arms that were planned on the same items."""
    clusters = pairings[0].clusters
    known = np.column_stack([pairing.paired for pairing in pairings]).astype(np.float64)  # (items, arms)
    differences = np.nan_to_num(np.column_stack([pairing.arm_means - pairing.reference_means for pairing in pairings]))
    stream = zlib.crc32(benchmark.encode())
    tests = sign_flip_tests(cluster_totals(differences, clusters), np.random.default_rng([SEED, stream, 0]))
    # Resamples of a few differing units among many equal ones say too little about how rare they are.
    n_differing = [int(units) for units in np.count_nonzero(cluster_totals(differences, clusters), axis=0)]
    totals = resampled_totals(
        np.hstack([known, differences, differences**2]), np.random.default_rng([SEED, stream, 1]), clusters=clusters
    )
    counts, sums, squares = np.split(totals, 3, axis=1)  # (draws, arms) each
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return [
        _Drawn(
            tests[arm],
            percentile_interval(means[:, arm], n_differing[arm]),
            percentile_interval(effect_size_draws(counts[:, arm], sums[:, arm], squares[:, arm]), n_differing[arm]),
        )
        for arm in range(len(pairings))
    ]


# --- one row --------------------------------------------------------------------------------------


def _compared(
    cell: Cell,
    reference: Cell,
    pairing: Pairing | Reason,
    drawn: _Drawn | None,
    aa_arm: Cell | None,
    stop: Stop | None,
) -> Compared:
    found = _difference(cell, reference, pairing)
    if stop is not None:
        found = with_sequence(found, pairing)
    nothing = pairing if isinstance(pairing, Reason) else Reason.NO_PAIRED_ITEMS
    by_source = isinstance(pairing, Pairing) and pairing.clusters is not None
    planned = set(cell.items["item_id"]) | set(reference.items["item_id"])
    row = {
        "arm": cell.arm,
        "reference": reference.arm,
        "benchmark": cell.benchmark["name"],
        "metric": cell.benchmark["metric"],
        "higher_is_better": cell.benchmark["higher_is_better"],
        **number("difference", found.difference),
        **interval("ci95", found.interval),
        "ci_method": method(found.interval),
        **interval("ci95_bootstrap", drawn.difference if drawn else nothing),
        **number("p_value", drawn.test.p_value if drawn else nothing),
        "test": drawn.test.test if drawn else None,
        **number("cohens_d", found.cohens_d),
        **interval("cohens_d_ci95", _effect_interval(found, drawn) if drawn else nothing),
        "n_items": found.n_items,
        "n_clusters": found.n_units if by_source else None,
        "n_runs": pairing.n_runs if isinstance(pairing, Pairing) else 0,
        "n_unpaired": len(planned) - found.n_items,
        "n_unpaired_unscored": pairing.n_unscored if isinstance(pairing, Pairing) else 0,
        "n_unpaired_prompt": pairing.n_prompt_mismatch if isinstance(pairing, Pairing) else 0,
        "deterministic": cell.benchmark["deterministic"],
        **number("noise_floor_difference", _noise_floor(cell, reference, aa_arm)),
        **_flip_fields(cell, reference, pairing, aa_arm),
        "early_stop": None,
    }
    if stop is not None:
        row |= looked_at_fields(row, pairing, stop)
    return Compared(row, cell, reference, pairing, found, stop)


def _difference(cell: Cell, reference: Cell, pairing: Pairing | Reason) -> PairedDifference:
    if isinstance(pairing, Reason):
        return PairedDifference(pairing, pairing, pairing, 0, 0)
    proportion = cell.proportion and reference.proportion
    return paired_difference(pairing.differences, proportion=proportion, clusters=pairing.paired_clusters)


def _effect_interval(found: PairedDifference, drawn: _Drawn) -> Interval | Reason:
    """No interval without the effect itself."""
    return found.cohens_d if isinstance(found.cohens_d, Reason) else drawn.effect


def _noise_floor(cell: Cell, reference: Cell, aa_arm: Cell | None) -> float | Reason:
    """How far an item's value moves, on average and either way, when the reference is decoded in another layout."""
    if not cell.benchmark["deterministic"]:
        return Reason.SEE_FLIPS
    pairing = Reason.NO_AA_ARM if aa_arm is None else pair_items(aa_arm.items, reference.items)
    if isinstance(pairing, Reason) or not pairing.paired.any():
        return Reason.NO_AA_ARM
    return float(np.abs(pairing.differences).mean())


# --- flips ----------------------------------------------------------------------------------------


def _flip_fields(cell: Cell, reference: Cell, pairing: Pairing | Reason, aa_arm: Cell | None) -> Json:
    """`flips` with the noise floor beside them, and McNemar's test where there is one run."""
    if isinstance(pairing, Reason):
        return _no_flips(pairing)
    if cell.benchmark["kind"] == "measure":
        return _no_flips(Reason.NOT_BINARY)
    seeds = sorted({*cell.seeds, *reference.seeds})
    paired = pairing.paired
    scores, reference_scores = cell.scores(seeds)[paired], reference.scores(seeds)[paired]
    if not (is_binary(scores) and is_binary(reference_scores)):
        return _no_flips(Reason.NOT_BINARY)
    sampled = not cell.benchmark["deterministic"] and pairing.n_runs > 1
    found = flips(scores, reference_scores, different_seeds=sampled)
    known = ~np.isnan(found.lost)
    if not known.any():
        return _no_flips(Reason.NO_PAIRED_ITEMS)
    if sampled:
        floor: ItemFlips | Reason = flips(reference_scores, reference_scores, different_seeds=True)
    elif not cell.benchmark["deterministic"]:
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


def _aa_floor(aa_arm: Cell | None, reference: Cell, pairing: Pairing) -> ItemFlips | Reason:
    """Flips of the reference against itself in another batch layout."""
    if aa_arm is None or tuple(aa_arm.items["item_id"]) != pairing.item_ids:
        return Reason.NO_AA_ARM
    seeds = reference.seeds
    paired = pairing.paired
    return flips(aa_arm.scores(seeds)[paired], reference.scores(seeds)[paired], different_seeds=False)


def _floor_fields(found: ItemFlips, floor: ItemFlips | Reason) -> Json:
    """The floor's rate, and by how much the arm flips more; paired by item, for some questions are shakier."""
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
