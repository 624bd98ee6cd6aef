"""Which arm to choose: the smallest one that is no worse. Also: larger arms that do worse than smaller ones.

The arms of a reference are tested from the largest file to the smallest, each at full level, up to the first arm that
is not "no worse". The order is fixed before any result is seen, so the probability of choosing an arm that is truly
worse stays at the level of one test. No further Holm adjustment over the arms is needed.

Real results need not follow size. So every arm keeps its own verdict, and a larger arm that is measurably worse than a
smaller one is flagged.
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
    """An arm with its size and its overall verdict."""

    name: str
    size_bytes: int
    verdict: Verdict


@dataclass(frozen=True)
class Selection:
    """The course of the sequence of tests."""

    tested: tuple[str, ...]
    """Arms from the largest one to the one that ended the sequence."""
    smallest_no_worse: str | None
    stopped_at: str | None
    """The first arm that is not "no worse". None: all arms passed."""
    not_reached: tuple[str, ...]
    """Smaller arms that were not tested. Some of them may be "no worse" by their own verdict."""


@dataclass(frozen=True)
class OrderTest:
    """A larger arm against a smaller one: larger minus smaller, positive is better."""

    difference: float
    interval: Interval
    p_value: float
    """Two-sided, by Student's t. By the betting sequence if results were looked at while items came in."""


def fixed_sequence(arms: Sequence[Sized]) -> Selection:
    """Test arms from large to small, and stop at the first one that is not "no worse".

    Arms of equal size are ordered by name.
    """
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
    """Test whether a larger arm is measurably worse than a smaller one on a benchmark. Return None if it is not.

    The whole interval must lie below 0. Many pairs are tested, so the caller must adjust the p values.

    Args:
        differences: larger minus smaller, positive is better, over the items scored in both, shape (n,).
        proportion: True if scores lie in [0, 1].
        looked_at: True if the number of items depends on their results (`stats.sequential`).
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
