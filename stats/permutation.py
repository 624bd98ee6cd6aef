"""Sign-flip permutation test of paired differences.

Null hypothesis: arm and reference are exchangeable on every item, so each item's difference could as well
have had the other sign. The p value is the share of sign assignments whose sum is at least as far from zero
as the one seen; two-sided. With one run of right/wrong answers it is McNemar's exact test.

Scores made of few whole steps (right/wrong over R repeats) are tested exactly, by convolving the items'
two-point distributions on their common grid; continuous ones by random sign assignments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
"""Random sign assignments of the Monte Carlo form: p = .05 then has a standard error of .002."""
_LARGEST_DENOMINATOR = 720
"""Exact form up to this common denominator of the differences; runs up to 6, mixed counts included."""
_LARGEST_WORK = 50_000_000
"""Additions that the exact form may take (below a tenth of a second)."""
_CHUNK = 2_000_000
"""Random signs held in memory at once."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PermutationTest:
    """A two-sided p value and how it was found: `sign_flip_exact` or `sign_flip_monte_carlo`."""

    p_value: float
    test: str


def sign_flip_test(differences: Floats, rng: np.random.Generator) -> PermutationTest:
    """Test that the differences are as likely to have the other sign.

    Args:
        differences: one an item, shape (n,), n >= 1.
        rng: drawn from by the Monte Carlo form only.
    """
    moved = np.abs(differences[differences != 0.0])  # A zero has no sign to flip.
    if moved.size == 0:
        return PermutationTest(1.0, "sign_flip_exact")
    steps = _whole_steps(moved)
    if steps is not None and steps.size * int(steps.sum()) * 2 <= _LARGEST_WORK:
        observed = _signed_total(differences, moved, steps)
        return PermutationTest(_exact_p(steps, observed), "sign_flip_exact")
    return PermutationTest(_monte_carlo_p(moved, abs(float(differences.sum())), rng), "sign_flip_monte_carlo")


def _whole_steps(moved: Floats) -> NDArray[np.int64] | None:
    """The sizes as multiples of a common step 1/D, or None where no small D fits them all."""
    for denominator in range(1, _LARGEST_DENOMINATOR + 1):
        scaled = moved * denominator
        steps = np.rint(scaled)
        if np.all(np.abs(scaled - steps) < 1e-9 * denominator) and np.all(steps >= 1):
            return steps.astype(np.int64)
    return None


def _signed_total(differences: Floats, moved: Floats, steps: NDArray[np.int64]) -> int:
    signs = np.sign(differences[differences != 0.0]).astype(np.int64)
    assert signs.size == moved.size == steps.size
    return abs(int(np.sum(signs * steps)))


def _exact_p(steps: NDArray[np.int64], observed: int) -> float:
    """P(|Σ ±step| >= observed), every sign assignment being equally likely."""
    total = int(steps.sum())
    chances = np.zeros(2 * total + 1)  # Index: the sum, plus `total`.
    chances[total] = 1.0
    reach = 0
    for step in steps.tolist():
        low, high = total - reach, total + reach + 1
        before = chances[low:high] / 2
        chances[low:high] = 0.0
        chances[low - step : high - step] += before
        chances[low + step : high + step] += before
        reach += step
    tail = float(chances[total + observed :].sum())
    return min(1.0, 2 * tail) if observed else 1.0


def _monte_carlo_p(moved: Floats, observed: float, rng: np.random.Generator) -> float:
    """(1 + draws at least as extreme) / (1 + draws): never zero (Phipson and Smyth 2010)."""
    threshold = observed * (1 - 1e-12)  # Sums that are equal but for rounding count as equal.
    extreme, done = 0, 0
    rows = max(1, _CHUNK // moved.size)
    while done < DRAWS:
        count = min(rows, DRAWS - done)
        signs = rng.integers(0, 2, size=(count, moved.size), dtype=np.int8) * 2.0 - 1.0  # (draws, items)
        extreme += int(np.sum(np.abs(signs @ moved) >= threshold))
        done += count
    return (1 + extreme) / (1 + math.floor(done))
