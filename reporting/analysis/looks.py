"""Looks at a comparison: which of several this one is, and what it may still claim.

A look is a finished evaluation of one arm and its reference on one set of items and seeds. The history of looks is data
here (`actors.orchestrator.looks` keeps it in the storage); the arithmetic is in `stats.looks`. A first look shows its
usual interval. If it covers only a part of the planned items, its verdict goes by a wider one, which leaves later looks
something to claim with. From the second look on, interval and p value themselves allow for the looks before.

If nothing is left to spend, interval and p value are the usual ones and `allowed_for` is false. Such a look can confirm
what a look that was paid for has claimed, but it can claim nothing new.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise

from scipy import special

from reporting.analysis.fields import Json, interval, number
from stats.intervals import Interval, stretched
from stats.looks import PlannedLook, critical_values, repeated_p_value
from stats.paired import PairedDifference, Pairing, difference_interval
from stats.reasons import Reason
from stats.verdict import Ground, Judgement, Verdict

LookedAt = tuple[str, tuple[int, ...], bool, str | None, str]


@dataclass(frozen=True)
class Look:
    """An evaluation that was begun, or a finished one, which is a look."""

    n_items: int
    items_hash: str
    """Hash of the ids of the items."""
    seeds: tuple[int, ...]
    planned_items: int
    """The planned maximum of items."""
    margins: Mapping[str, float | None]
    """The margins of the configuration, by name."""
    early_stop: bool
    """True if the results were looked at while they came in."""
    time: str
    """ISO 8601, in UTC."""
    pipeline_id: str
    finished: bool
    verdict: str | None = None
    """The verdict of a finished look."""
    score: str | None = None
    """The score that the verdict goes by; None: the benchmark's own metric."""
    tier: str = "each"
    """The tier of the benchmark (`conf.tiers`)."""
    pool: Mapping[str, float] = field(default_factory=dict)
    """The weights of the claim on average, if this benchmark is part of it; else empty."""
    benchmarks: tuple[str, ...] = ()
    """All benchmarks of the run; empty if nobody knows."""
    engine: str = ""
    """Hash of what changes the last bits of outputs: layout, block size and build."""

    @property
    def data(self) -> LookedAt:
        """What was looked at. Looks with the same data are one look.

        Another score of the same records is another look, and so are the records of another engine: where answers are
        close calls, it draws some of them anew.
        """
        return self.items_hash, self.seeds, self.early_stop, self.score, self.engine

    def continues(self, earlier: Look) -> bool:
        """Return whether this look adds items to an earlier one. With other seeds it draws everything anew."""
        return (self.seeds, self.engine) == (earlier.seeds, earlier.engine)


@dataclass(frozen=True)
class History:
    """The evaluation that is going on, and what was begun and looked at before, in the order of time."""

    now: Look
    known: tuple[Look, ...] = ()

    @property
    def earlier(self) -> tuple[Look, ...]:
        """The looks before this one. If the same data were looked at before, those before that look."""
        found: dict[LookedAt, Look] = {}
        for look in self.known:
            if look.finished:
                if look.data == self.now.data:
                    break
                found.setdefault(look.data, look)
        return tuple(found.values())

    @property
    def looks(self) -> tuple[Look, ...]:
        """All looks up to this one. If the same data were looked at before, this one has the plan of that look."""
        same = (look for look in self.known if look.finished and look.data == self.now.data)
        return (*self.earlier, replace(self.now, planned_items=next(same, self.now).planned_items))


Histories = Mapping[tuple[str, str], History]
"""Keys are (arm, benchmark)."""


@dataclass(frozen=True)
class Seen:
    """One comparison as the look that it is."""

    history: History
    looks: tuple[PlannedLook, ...]
    """All looks, this one included, as `stats.looks` takes them."""
    critical_value: float
    """Standard errors up to the ends of the interval; infinite if nothing is left to spend."""
    interval: Interval | Reason
    """The interval that the verdict goes by."""
    allowed_for: bool
    """True if the interval allows for all looks."""
    replaces: bool = field(default=False)
    """True if `interval` takes the place of the usual one."""

    @property
    def number(self) -> int:
        """Which look it is, from 1 on."""
        return len(self.history.earlier) + 1

    @property
    def planned_items(self) -> int:
        """The planned maximum. It cannot be lowered after a look."""
        return max(look.planned_items for look in self.history.looks)


def see(
    history: History, found: PairedDifference, pairing: Pairing | Reason, *, span: float | None, sequential: bool
) -> Seen:
    """Return what a comparison may claim as the look that it is.

    Args:
        history: of this comparison.
        found: the difference with its usual interval, or with the betting sequence.
        pairing: the items that it comes from.
        span: the largest possible difference of two scores; None if they have no scale.
        sequential: True if the benchmark can end early. The betting sequence allows for all looks that use it.
    """
    earlier, every = history.earlier, history.looks
    planned = max(look.planned_items for look in every)
    if sequential:
        paid = all(look.early_stop for look in earlier)
        return Seen(history, (), math.inf, found.interval, paid)
    continues = [True, *(after.continues(before) for before, after in pairwise(every))]
    plans = accumulate((look.planned_items for look in every), max)
    looks = tuple(
        PlannedLook(look.n_items / planned, same, plan / planned)
        for look, same, plan in zip(every, continues, plans, strict=True)
    )
    # Results that were looked at while they came in have spent everything.
    value = math.inf if any(look.early_stop for look in earlier) else critical_values(looks)[-1]
    if math.isinf(value):
        return Seen(history, looks, value, found.interval, allowed_for=False)
    if len(looks) == 1 and looks[0].information >= 1:
        return Seen(history, looks, value, found.interval, allowed_for=True)
    wider: Interval | Reason = found.interval
    if isinstance(pairing, Pairing):
        tail, clusters = float(special.ndtr(value)), pairing.paired_clusters
        shares, scaled = pairing.differences / (span or 1.0), span is not None
        wider = difference_interval(shares, proportion=scaled, clusters=clusters, tail=tail)
        wider = stretched(wider, span or 1.0) if isinstance(wider, Interval) else wider
    return Seen(history, looks, value, wider, allowed_for=True, replaces=bool(earlier))


def look_fields(seen: Seen, row: Json) -> Json:
    """Return the field `look` of a row, and from the second look on the fields that it replaces."""
    now = seen.history.now
    look: Json = {
        "number": seen.number,
        "n_items": now.n_items,
        "planned_items": seen.planned_items,
        "critical_value": None if math.isinf(seen.critical_value) else seen.critical_value,
        "allowed_for": seen.allowed_for,
        **interval("ci95", seen.interval),
        "ci95_one_look": row["ci95"],
        "p_value_one_look": row["p_value"],
        "earlier": [_earlier_row(one) for one in seen.history.earlier],
    }
    if not seen.replaces:
        return {"look": look}
    p_value = row["p_value"]
    repeated = Reason.NO_P_VALUE if p_value is None else repeated_p_value(p_value, seen.looks)
    fields = {"look": look, **interval("ci95", seen.interval)}
    return fields if p_value is None else {**fields, **number("p_value", repeated)}


def _earlier_row(look: Look) -> Json:
    return {
        "n_items": look.n_items,
        "n_seeds": len(look.seeds),
        "early_stop": look.early_stop,
        "time": look.time,
        "pipeline_id": look.pipeline_id,
        "verdict": look.verdict,
    }


def claimable(looks: Sequence[Seen], by_usual: Judgement, by_look: Judgement, *, confirmed: bool) -> Judgement:
    """Return a verdict as far as the looks that it rests on may claim it.

    Args:
        looks: one look for a comparison, the looks at all its benchmarks for a claim on average. Not empty.
        by_usual: the verdict by the usual interval.
        by_look: the verdict by the interval that allows for all looks; equal to `by_usual` if none does.
        confirmed: True if an earlier look, which was paid for, has claimed the same as `by_usual`.
    """
    allowed_for = all(look.allowed_for for look in looks)
    if by_usual.verdict is Verdict.UNDECIDED:
        return by_look if allowed_for else _without_new_loss(by_look)
    if not allowed_for:
        return by_usual if confirmed else Judgement(Verdict.UNDECIDED, (Ground.LOOKS_SPENT,))
    if by_look.verdict is Verdict.UNDECIDED and all(look.number == 1 for look in looks):
        return Judgement(Verdict.UNDECIDED, (Ground.KEPT_FOR_LATER_LOOKS,))
    return by_look


def _without_new_loss(judgement: Judgement) -> Judgement:
    """Return the verdict of a look that is not paid for: it shows no loss either."""
    return replace(judgement, grounds=tuple(one for one in judgement.grounds if one is not Ground.LOSS_SHOWN))


def claimed_before(seen: Seen, verdict: str, margins: Iterable[str]) -> bool:
    """Return whether an earlier look, which was paid for, has claimed at least this by the same score.

    Args:
        seen: the look.
        verdict: what its usual interval would claim.
        margins: names of the margins that it goes by.
    """
    now = seen.history.now
    return any(
        look.verdict == verdict
        and look.score == now.score
        and all(_at_least(verdict, look.margins.get(name), now.margins.get(name)) for name in margins)
        for look in seen.history.earlier
    )


def _at_least(verdict: str, then: float | None, now: float | None) -> bool:
    """Return whether a claim by the margin of then is at least the same claim by the margin of now."""
    if then is None or now is None:
        return False
    return then <= now if verdict == "no_worse" else then >= now
