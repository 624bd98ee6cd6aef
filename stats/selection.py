"""Which arm to take: the smallest one that is no worse, and arms that are out of order.

The arms of a reference are tested from the largest file to the smallest, each at full level, until the first that is
not no worse: the order is fixed before anything is seen, so the chance that anything chosen is in truth worse stays
at the level of one test, and Holm's adjustment is not applied again over the arms.

Real results need not follow size. So every arm keeps its own verdict, and a larger arm that is measurably worse than
a smaller one is flagged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import special

from stats.intervals import Floats, Interval
from stats.paired import difference_interval
from stats.reasons import Reason
from stats.sequential import confidence_sequence, sequence_p_value
from stats.verdict import Verdict


@dataclass(frozen=True)
class Sized:
    """An arm with its size and overall verdict."""

    name: str
    size_bytes: int
    verdict: Verdict


@dataclass(frozen=True)
class Selection:
    """How the sequence of tests went."""

    tested: tuple[str, ...]
    """Arms from the largest on, up to the one that ended the sequence."""
    smallest_no_worse: str | None
    stopped_at: str | None
    """The first arm that is not no worse; None: all passed."""
    not_reached: tuple[str, ...]
    """Smaller arms; some of them may be no worse by their own verdict."""


@dataclass(frozen=True)
class OrderTest:
    """A larger arm against a smaller one: larger minus smaller, positive is better."""

    difference: float
    interval: Interval
    p_value: float
    """Two-sided, by Student's t; by the betting sequence where items were looked at."""


def fixed_sequence(arms: Sequence[Sized]) -> Selection:
    """Test arms from large to small, stopping at the first that is not no worse; equal sizes go by name."""
    order = sorted(arms, key=lambda arm: (-arm.size_bytes, arm.name))
    passed = 0
    while passed < len(order) and order[passed].verdict is Verdict.NO_WORSE:
        passed += 1
    names = tuple(arm.name for arm in order)
    return Selection(
        tested=names[: passed + 1],
        smallest_no_worse=names[passed - 1] if passed else None,
        stopped_at=names[passed] if passed < len(names) else None,
        not_reached=names[passed + 1 :],
    )


def larger_is_worse(differences: Floats, *, proportion: bool, looked_at: bool = False) -> OrderTest | None:
    """Whether a larger arm does measurably worse than a smaller one on a benchmark; None where it does not.

    The interval must lie below 0; many pairs are looked at, so the caller adjusts the p values and flags what is left.

    Args:
        differences: larger minus smaller, positive is better, over the items scored in both, shape (n,).
        proportion: True where scores lie in [0, 1].
        looked_at: True where the number of items depends on what they showed (`stats.sequential`).
    """
    interval: Interval | Reason = difference_interval(differences, proportion=proportion)
    if looked_at:
        interval = confidence_sequence(differences)
    if not isinstance(interval, Interval) or interval.high >= 0:
        return None
    if looked_at:
        return OrderTest(float(differences.mean()), interval, sequence_p_value(differences))
    mean, spread = float(differences.mean()), float(differences.std(ddof=1)) if differences.size > 1 else 0.0
    n = differences.size
    p_value = 2 * float(special.stdtr(n - 1, -abs(mean) / (spread / n**0.5))) if spread > 0 else 0.0
    return OrderTest(mean, interval, p_value)
