"""Early stop in the result files: what was looked at while it came in, what was decided, what was saved.

On a benchmark that may end early, every comparison reports the betting sequence (`stats.sequential`), whether it ended
early or not. An interval or a p value for a fixed number of items is not valid once somebody looked at the results and
might have stopped. Benchmarks that always run to their end keep the usual intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reporting.analysis.fields import Json, interval
from reporting.notices import Notice
from stats.intervals import Interval
from stats.paired import PairedDifference, Pairing
from stats.reasons import Reason
from stats.sequential import confidence_sequence, sequence_p_value
from stats.verdict import Verdict

TEST = "betting"


@dataclass(frozen=True)
class Stop:
    """How far one arm was run on one benchmark that may end early."""

    arm: str
    benchmark: str
    verdict: Verdict | None
    """The sequence's verdict; `undecided` if the arm ran to its end. None for a reference, which has no verdict: it
    ends when no arm needs it any more."""
    n_tests: int | None
    """Number of benchmarks that the arm is compared on; None for a reference."""
    n_items_planned: int
    n_items_begun: int
    """Items with at least one block that was run or tried."""
    n_items_looked_at: int
    """Items up to the deciding one, in their fixed order; all items if nothing was decided."""
    n_records_planned: int
    n_records_saved: int
    """Records of the blocks that were never begun."""

    @property
    def decided(self) -> bool:
        """True if the sequence reached a verdict, so that the benchmark ended for this arm."""
        return self.verdict in (Verdict.NO_WORSE, Verdict.WORSE)


Stops = Mapping[tuple[str, str], Stop]
"""Keys are (arm, benchmark). Empty without early stop."""


def by_arm_and_benchmark(stops: Sequence[Stop]) -> Stops:
    """Return the stops by arm and benchmark."""
    return {(one.arm, one.benchmark): one for one in stops}


def with_sequence(found: PairedDifference, pairing: Pairing | Reason, *, bounded: bool) -> PairedDifference:
    """Return the difference, its interval replaced by that of the betting sequence, which only bounded scores have."""
    if isinstance(pairing, Reason) or not isinstance(found.interval, Interval):
        return found
    if not bounded:
        return replace(found, interval=Reason.EARLY_STOP)
    return replace(found, interval=confidence_sequence(pairing.differences))


def looked_at_fields(row: Json, pairing: Pairing | Reason, stop: Stop, *, bounded: bool) -> Json:
    """Return the fields that replace those of `row` that assume a fixed number of items."""
    fields: Json = {"early_stop": _stop_row(stop), **interval("ci95_bootstrap", Reason.EARLY_STOP)}
    fields |= interval("cohens_d_ci95", Reason.EARLY_STOP)
    if not bounded:
        fields |= {"p_value": None, "p_value_reason": Reason.EARLY_STOP.value, "test": None}
    elif isinstance(pairing, Pairing) and pairing.paired.any():
        fields |= {"p_value": sequence_p_value(pairing.differences), "p_value_reason": None, "test": TEST}
    if row["mcnemar"] is not None:
        fields |= {"mcnemar": None, "mcnemar_reason": Reason.EARLY_STOP.value}
    if row["flips"] is not None:
        fields["flips"] = _without_intervals(row["flips"])
    return fields


def _without_intervals(flips: Json) -> Json:
    """Return `flips` with its intervals set to null: they assume a fixed number of items."""
    names = [name for name in flips if name.endswith("_ci95") and flips[name] is not None]
    return {**flips, **{key: value for name in names for key, value in interval(name, Reason.EARLY_STOP).items()}}


def _stop_row(stop: Stop) -> Json:
    after = stop.n_items_begun - stop.n_items_looked_at if stop.decided else 0
    return {
        "decided": stop.decided,
        "n_items_looked_at": stop.n_items_looked_at,
        "n_items_after": after,
        "n_items_saved": stop.n_items_planned - stop.n_items_begun,
        "n_items_planned": stop.n_items_planned,
        "n_records_saved": stop.n_records_saved,
        "n_records_planned": stop.n_records_planned,
    }


def uneven_notices(stops: Stops, n_items: Mapping[tuple[str, str], int]) -> list[Notice]:
    """Return one notice per benchmark whose arms ended after different items, so that their means are not comparable.

    Args:
        stops: the stops.
        n_items: number of items of each arm on each benchmark that its mean is taken over, by the same keys.
    """
    notices = []
    for benchmark in dict.fromkeys(benchmark for _, benchmark in stops):
        ended = [key for key in stops if key[1] == benchmark and key in n_items]
        counts = {arm: n_items[arm, benchmark] for arm, _ in ended}
        if len(set(counts.values())) > 1:
            listed = [f"{arm} {count}" for arm, count in counts.items()]
            notices.append(Notice("uneven_means", benchmark=benchmark, counts=listed))
    return notices


def savings(stops: Stops) -> Json | None:
    """Return what early stop saved over all arms, and what each reference saved; None without early stop."""
    if not stops:
        return None
    planned = sum(one.n_records_planned for one in stops.values())
    saved = sum(one.n_records_saved for one in stops.values())
    references = [
        {
            "arm": one.arm,
            "benchmark": one.benchmark,
            "n_items_saved": one.n_items_planned - one.n_items_begun,
            "n_items_planned": one.n_items_planned,
            "n_records_saved": one.n_records_saved,
            "n_records_planned": one.n_records_planned,
        }
        for one in stops.values()
        if one.verdict is None
    ]
    return {
        "benchmarks": list(dict.fromkeys(one.benchmark for one in stops.values())),
        "references": references,
        "n_records_planned": planned,
        "n_records_saved": saved,
        "share_saved": saved / planned if planned else 0.0,
    }
