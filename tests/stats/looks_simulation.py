"""Simulate looks at one comparison of right and wrong answers: how often is something false claimed at any of them?

Each path is a run whose items come in a fixed order. A truth says which share of items is gained and lost. A path is
only its counts of gained and lost items at each look, so many paths are simulated at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stats.intervals import TAIL, Floats
from stats.looks import PlannedLook, critical_values
from stats.needed import Range, Seen, items_to_decide

Counts = NDArray[np.int64]
MARGIN = 0.01
ALL = 1319
MOST = 14_000


@dataclass(frozen=True)
class Schedule:
    """When somebody looks."""

    name: str
    planned: int
    """The planned maximum."""
    items: tuple[int, ...] = ()
    """The looks, the same for all paths. Empty: each path follows the advice of the tool, from 64 items on."""


def _growing(first: int, factor: float, last: int) -> tuple[int, ...]:
    found = [first]
    while found[-1] < last:
        found.append(min(last, math.ceil(found[-1] * factor)))
    return tuple(found)


SCHEDULES = (
    Schedule("one look at 1,319", ALL, (ALL,)),
    Schedule("440, then 1,319", ALL, (440, ALL)),
    Schedule("64, doubled up to 1,319", ALL, (64, 128, 256, 512, 1024, ALL)),
    Schedule("every 100 up to 1,319", ALL, (*range(100, ALL, 100), ALL)),
    Schedule("steps of 1.25 from 40 to 14,000", MOST, _growing(40, 1.25, MOST)),
    Schedule("as advised, five times from 64", MOST),
)


def bounds(gained: Counts, lost: Counts, n: Counts, tails: Floats) -> tuple[Floats, Floats]:
    """Return both ends of `stats.paired.difference_interval` for many paths; all arguments have shape (paths,)."""
    gain, loss, z = gained / n, lost / n, special.ndtri(tails)

    def wilson(share: Floats) -> tuple[Floats, Floats]:
        centre = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return share - np.minimum(centre - half, share), np.maximum(centre + half, share) - share

    (gain_below, gain_above), (loss_below, loss_above) = wilson(gain), wilson(loss)
    correlation = -np.sqrt(gain * loss / ((1 - gain) * (1 - loss)))
    below = np.sqrt(gain_below**2 + loss_above**2 - 2 * correlation * gain_below * loss_above)
    above = np.sqrt(gain_above**2 + loss_below**2 - 2 * correlation * gain_above * loss_below)
    return gain - loss - below, gain - loss + above


@cache
def _tail(items: tuple[int, ...], planned: int) -> float:
    """Return the quantile of the interval's ends at the last of these looks."""
    value = critical_values([PlannedLook(n / planned) for n in items])[-1]
    return float(special.ndtr(value))


Tails = Callable[[tuple[int, ...], int], float]


def plain(items: tuple[int, ...], planned: int) -> float:
    """Return the quantile of an interval that ignores earlier looks."""
    return TAIL


@dataclass(frozen=True)
class Rates:
    """Shares of the paths in which something was claimed at one of the looks."""

    no_worse: float
    beyond: float
    """The whole interval lies below minus the margin: "worse"."""
    lost: float
    """The interval lies below 0: a loss is shown. A first look counts with its 95% interval, as its p value does."""
    items: float
    """Mean items at which the first claim was made, or the last look."""


def simulate(
    schedule: Schedule, flips: float, loss: float, paths: int, rng: np.random.Generator, tails: Tails = _tail
) -> Rates:
    """Return how often each claim is made.

    Args:
        schedule: when somebody looks.
        flips: share of items whose answer changes.
        loss: the true loss.
        paths: number of runs.
        rng: source of the runs.
        tails: the rule for the interval: `plain`, or by default the one under test.
    """
    gained, lost, n = (np.zeros(paths, dtype=np.int64) for _ in range(3))
    claimed = {name: np.zeros(paths, dtype=bool) for name in ("no_worse", "beyond", "lost")}
    histories: list[tuple[int, ...]] = [()] * paths
    ended_at = np.zeros(paths, dtype=np.int64)
    open_ = np.ones(paths, dtype=bool)
    for number in range(len(schedule.items) or 5):
        now = np.full(paths, schedule.items[number]) if schedule.items else _advised(number, schedule, gained, lost, n)
        more = now > n
        gained, lost = _drawn(gained, lost, now - n, flips, loss, rng)
        n = now
        if schedule.items:
            histories = [schedule.items[: number + 1]] * paths
            level = np.full(paths, tails(histories[0], schedule.planned))
        else:
            histories = [
                (*before, int(at)) if new else before for before, at, new in zip(histories, now, more, strict=True)
            ]
            level = np.array([tails(history, schedule.planned) for history in histories])
        low, high = bounds(gained, lost, n, level)
        shown = bounds(gained, lost, n, np.full(paths, TAIL))[1] if number == 0 else high
        claims = {"no_worse": low > -MARGIN, "beyond": high < -MARGIN, "lost": shown < 0}
        for name, made in claims.items():
            claimed[name] |= made & more
        ends = more & open_ & (claims["no_worse"] | claims["beyond"])
        ended_at[ends] = n[ends]
        open_ &= ~ends
    ended_at[open_] = n[open_]
    return Rates(*(float(claimed[name].mean()) for name in claimed), float(ended_at.mean()))


def _drawn(
    gained: Counts, lost: Counts, items: Counts, flips: float, loss: float, rng: np.random.Generator
) -> tuple[Counts, Counts]:
    gain_share, loss_share = (flips - loss) / 2, (flips + loss) / 2
    more = rng.binomial(items, gain_share)
    return gained + more, lost + rng.binomial(items - more, loss_share / (1 - gain_share))


def _advised(number: int, schedule: Schedule, gained: Counts, lost: Counts, n: Counts) -> Counts:
    """Return the items of the next look, as advised: what would decide with 80%.

    Numbers are rounded up to two digits, as somebody would type them.
    """
    if number == 0:
        return np.full(gained.size, 64)
    found = [_needed(*counts) for counts in zip(gained.tolist(), lost.tolist(), n.tolist(), strict=True)]
    return np.maximum(np.minimum(found, schedule.planned), n)


@cache
def _needed(gained: int, lost: int, n: int) -> int:
    difference, flipped = (gained - lost) / n, (gained + lost) / n
    variance = (flipped - difference**2) * n / (n - 1)
    advice = items_to_decide(Seen(difference, variance, n, n, flipped, MARGIN, proportion=True))
    needed = advice.high if isinstance(advice, Range) else MOST
    needed = min(max(needed, n + 1), MOST)
    unit = 10 ** max(0, len(str(math.ceil(needed))) - 2)
    return math.ceil(needed / unit) * unit


def table(paths: int, rng: np.random.Generator, schedules: Sequence[Schedule] = SCHEDULES) -> str:
    """Return the false rates of all schedules, with the widened intervals and with plain ones, for the methodology."""
    lines = ["schedule | flips | no worse | (plain) | worse | a loss is shown | (plain)"]
    for schedule in schedules:
        for flips in (0.05, 0.10, 0.17):
            at_margin, nothing = (simulate(schedule, flips, loss, paths, rng) for loss in (MARGIN, 0.0))
            as_plain = [simulate(schedule, flips, loss, paths, rng, plain) for loss in (MARGIN, 0.0)]
            shown = (at_margin.no_worse, as_plain[0].no_worse, nothing.beyond, nothing.lost, as_plain[1].lost)
            lines.append(" | ".join([schedule.name, f"{flips:.0%}", *(f"{100 * one:.2f}%" for one in shown)]))
    return "\n".join(lines)
