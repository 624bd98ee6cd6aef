"""Distribute a byte budget among tensors: pick one option per tensor so that the total cost is lowest.

This is a multiple-choice knapsack problem: pure arithmetic on tables of bytes and costs. `protection` decides what the
options are and what they cost. This module has the best selection, a bound that says how far from the optimum it can
be, and a selection that ignores costs (for the control arm).

`select_cheapest` is dynamic programming over bytes, counted in whole units. The unit is the greatest common divisor of
all byte differences, and then the selection is optimal. If the table would get too large, the unit is a multiple of
that and every difference is rounded up, so the selection still fits into the budget. The unit does not depend on the
budget, so a larger budget never gives a worse selection.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MAX_CELLS = 2**26
"""Maximum number of cells in the dynamic-programming table. One cell takes one byte: 64 MiB."""


@dataclass(frozen=True)
class Option:
    """One way to store a tensor."""

    n_bytes: int
    cost: float


OptionTable = Sequence[Sequence[Option]]
"""One row of options per tensor. In each row, every option takes more bytes than the one before."""


@dataclass(frozen=True)
class Selection:
    """One option per tensor."""

    picked: tuple[int, ...]
    """One index per tensor into its options."""
    n_bytes: int
    cost: float
    bound: float
    """Lower bound on the cost of any selection within the budget (Lagrangian dual)."""


def smallest_bytes(table: OptionTable) -> int:
    """Return the bytes of the smallest possible selection."""
    return sum(options[0].n_bytes for options in table)


def select_cheapest(table: OptionTable, budget_bytes: int, *, max_cells: int = _MAX_CELLS) -> Selection:
    """Return the selection with the lowest cost within the budget.

    Raises:
        ValueError: even the smallest selection does not fit.
    """
    room = budget_bytes - smallest_bytes(table)
    if room < 0:
        raise ValueError(f"{budget_bytes} bytes are not enough for the smallest selection")
    extra = [[option.n_bytes - options[0].n_bytes for option in options] for options in table]
    unit = _unit(extra, max_cells)
    widest = sum(-(-steps[-1] // unit) for steps in extra)
    n_units = min(room // unit, widest)
    best = np.zeros(n_units + 1)  # lowest cost of the tensors so far, indexed by the units they may take
    picks: list[NDArray[np.uint8]] = []
    for options, steps in zip(table, extra, strict=True):
        fresh = np.full(n_units + 1, np.inf)
        pick = np.zeros(n_units + 1, np.uint8)
        for index, (option, step) in enumerate(zip(options, steps, strict=True)):
            taken = -(-step // unit)
            if taken > n_units:
                break
            candidate = best[: n_units + 1 - taken] + option.cost
            # Strictly better: if costs are equal, the smaller option stays.
            better = candidate < fresh[taken:]
            fresh[taken:][better] = candidate[better]
            pick[taken:][better] = index
        best = fresh
        picks.append(pick)
    return _selection(table, _backtrack(extra, picks, n_units, unit), _lower_bound(table, room))


def spread(table: OptionTable, start: Sequence[int], budget_bytes: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Return a selection that ignores costs: the tensors take one step up in turn, in random order, until no step fits.

    Args:
        start: option index at which each tensor starts. If these exceed the budget, tensors step down until they fit.
    """
    picked = list(start)
    room = budget_bytes - sum(options[index].n_bytes for options, index in zip(table, picked, strict=True))
    order = rng.permutation(len(table))
    while room < 0:
        movable = [tensor for tensor in order if picked[tensor] > 0]
        if not movable:
            raise ValueError(f"{budget_bytes} bytes are not enough for the smallest selection")
        for tensor in movable:
            if room < 0:
                room += _step(table[tensor], picked[tensor], -1)
                picked[tensor] -= 1
    moved = True
    while moved:
        moved = False
        for tensor in order:
            if picked[tensor] + 1 < len(table[tensor]) and (need := _step(table[tensor], picked[tensor], +1)) <= room:
                room -= need
                picked[tensor] += 1
                moved = True
    return tuple(picked)


def _step(options: Sequence[Option], index: int, direction: int) -> int:
    """Return the byte difference between an option and its neighbour, never negative."""
    return abs(options[index + direction].n_bytes - options[index].n_bytes)


def _unit(extra: Sequence[Sequence[int]], max_cells: int) -> int:
    divisor = math.gcd(*(step for steps in extra for step in steps)) or 1
    widest = sum(steps[-1] for steps in extra) // divisor + 1
    return divisor * max(1, -(-len(extra) * widest // max_cells))


def _backtrack(extra: Sequence[Sequence[int]], picks: Sequence[NDArray[np.uint8]], left: int, unit: int) -> list[int]:
    picked = []
    for steps, pick in zip(reversed(extra), reversed(picks), strict=True):
        index = int(pick[left])
        picked.append(index)
        left -= -(-steps[index] // unit)
    return picked[::-1]


def _selection(table: OptionTable, picked: Sequence[int], bound: float) -> Selection:
    taken = [options[index] for options, index in zip(table, picked, strict=True)]
    cost = math.fsum(option.cost for option in taken)
    return Selection(tuple(picked), sum(option.n_bytes for option in taken), cost, min(bound, cost))


def _lower_bound(table: OptionTable, room: int) -> float:
    """Return the largest Lagrangian bound: the cost if the last step could be taken in part.

    Along the lower convex hull of each tensor, the gain per byte falls. So taking the steps of all tensors in order of
    their gain solves the relaxed problem (Sinha and Zoltners 1979, "The multiple-choice knapsack problem").
    """
    steps = [step for options in table for step in _hull_steps(options)]
    steps.sort(key=lambda step: step[1] / step[0], reverse=True)
    gains = []
    for n_bytes, gain in steps:
        gains.append(gain if n_bytes <= room else gain * room / n_bytes)
        if n_bytes > room:
            break
        room -= n_bytes
    return math.fsum([*(options[0].cost for options in table), *(-gain for gain in gains)])


def _hull_steps(options: Sequence[Option]) -> list[tuple[int, float]]:
    """Return bytes and gain of each step along the lower convex hull, from the smallest option, while costs fall."""
    hull = [options[0]]
    for option in options[1:]:
        if option.cost >= hull[-1].cost:
            continue
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], option):
            hull.pop()
        hull.append(option)
    return [(later.n_bytes - one.n_bytes, one.cost - later.cost) for one, later in itertools.pairwise(hull)]


def _slope(one: Option, later: Option) -> float:
    """Return the gain per byte."""
    return (one.cost - later.cost) / (later.n_bytes - one.n_bytes)
