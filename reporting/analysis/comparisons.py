"""Each arm against its reference: the paired statistics, one benchmark at a time.

What is drawn at random is in `reporting.analysis.draws`, the flips of right and wrong answers in
`reporting.analysis.flips`. Verdicts look across benchmarks and arms; `reporting.analysis.verdicts` derives them from
the rows made here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.cells import findings_of
from reporting.analysis.draws import Drawn, draw
from reporting.analysis.early import Stop, Stops, looked_at_fields, with_sequence
from reporting.analysis.fields import Json, interval, method, number
from reporting.analysis.flips import flip_fields
from reporting.analysis.looks import Histories, History, Seen, look_fields, see
from reporting.analysis.scored_arms import AA_SUFFIX, ScoredArm, ScoredArms
from reporting.notices import Notice
from stats.clusters import FEW_CLUSTERS
from stats.intervals import Interval, stretched
from stats.paired import PairedDifference, Pairing, pair_items, paired_difference
from stats.permutation import PermutationTest
from stats.reasons import Reason


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
        drawn = {} if looked_at else draw(pairs, name)
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


# --- one row --------------------------------------------------------------------------------------


def _compared(
    arm: ScoredArm,
    reference: ScoredArm,
    pairing: Pairing | Reason,
    drawn: Drawn | None,
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
        **flip_fields(arm, reference, pairing, aa_arm),
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


def _effect_interval(found: PairedDifference, drawn: Drawn) -> Interval | Reason:
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
