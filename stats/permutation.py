"""Sign-flip permutation test of paired differences.

Null hypothesis: arm and reference are exchangeable on every item, so each item's difference could equally well have the
other sign. The two-sided p value is the share of sign assignments whose sum is at least as far from zero as the
observed sum. With one run of right/wrong answers this is McNemar's exact test.

Scores with few whole steps (right/wrong over R repeats) are tested exactly, by convolving the items' two-point
distributions on their common grid; if all steps are equal, by the binomial distribution. Continuous scores are tested
with random sign assignments. Items that share a source flip together, as the sum of their differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stats.grouped import LARGE, grouped_rows

DRAWS = 10_000
"""Random sign assignments of the Monte Carlo form. At p = .05 the p value then has a standard error of .002."""
_LARGEST_DENOMINATOR = 720
"""Largest common denominator of the differences for the exact form: up to 6 runs, also with mixed counts."""
_LARGEST_WORK = 50_000_000
"""Largest number of additions for the exact form. They take less than a tenth of a second."""
_CHUNK = 2_000_000
"""Largest number of random signs in memory at once."""
_WHOLE = 1e-9
"""How far rounding may move a difference from a whole number of steps, for a step size of 1."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PermutationTest:
    """A two-sided p value and the form of the test: `sign_flip_exact` or `sign_flip_monte_carlo`."""

    p_value: float
    test: str


def sign_flip_tests(columns: Floats, rng: np.random.Generator) -> list[PermutationTest]:
    """Test for each arm whether its differences are equally likely to have the other sign.

    All arms share the same random assignments.

    Args:
        columns: shape (n, arms), n >= 1: the differences of the items. If items share sources, their sums by cluster,
            because a cluster flips as a whole. 0 if an arm has no difference for an item.
        rng: used by the Monte Carlo form only.
    """
    found = [_exact_test(column) for column in columns.T]
    drawn = [place for place, test in enumerate(found) if test is None]
    p_values = dict(zip(drawn, _monte_carlo_p(columns[:, drawn], rng) if drawn else (), strict=True))
    return [test or PermutationTest(p_values[place], "sign_flip_monte_carlo") for place, test in enumerate(found)]


def _exact_test(differences: Floats) -> PermutationTest | None:
    """Return the exact test. None if there are too many possible sums."""
    sizes = np.abs(differences)
    # A zero has no sign to flip. Rounding may leave the sum of a source slightly off zero.
    differences = differences[sizes > _WHOLE * sizes.max(initial=0.0)]
    moved = np.abs(differences)
    if moved.size == 0:
        return PermutationTest(1.0, "sign_flip_exact")
    if float(np.ptp(moved)) <= _WHOLE * float(moved.max()):
        plus = int(np.count_nonzero(differences > 0))
        tail = float(special.bdtr(min(plus, moved.size - plus), moved.size, 0.5))
        return PermutationTest(min(1.0, 2 * tail), "sign_flip_exact")
    steps = _whole_steps(moved)
    if steps is None or steps.size * int(steps.sum()) * 2 > _LARGEST_WORK:
        return None
    observed = abs(int(np.sum(np.sign(differences).astype(np.int64) * steps)))
    return PermutationTest(_exact_p(steps, observed), "sign_flip_exact")


def _whole_steps(moved: Floats) -> NDArray[np.int64] | None:
    """Return the sizes as multiples of a common step 1/D. None if no small D fits all of them."""
    denominators = np.arange(1, _LARGEST_DENOMINATOR + 1)
    first = moved[0] * denominators
    for denominator in denominators[np.abs(first - np.rint(first)) < _WHOLE * denominators].tolist():
        scaled = moved * denominator
        steps = np.rint(scaled)
        if np.all(np.abs(scaled - steps) < _WHOLE * denominator) and np.all(steps >= 1):
            whole: NDArray[np.int64] = steps.astype(np.int64)
            return whole
    return None


def _exact_p(steps: NDArray[np.int64], observed: int) -> float:
    """Return P(|Σ ±step| >= observed) if every sign assignment is equally likely."""
    total = int(steps.sum())
    chances = np.zeros(2 * total + 1)  # The index is the sum plus `total`.
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


def _monte_carlo_p(columns: Floats, rng: np.random.Generator) -> list[float]:
    """Return (1 + draws at least as extreme) / (1 + draws), which is never zero (Phipson and Smyth 2010)."""
    # Sums that differ only by rounding count as equal.
    thresholds = np.abs(columns.sum(axis=0)) - 1e-12 * np.abs(columns).sum(axis=0)  # (arms,)
    extreme, done = np.zeros(columns.shape[1], dtype=np.int64), 0
    if columns.shape[0] > LARGE:
        return [_grouped_p(column, threshold, rng) for column, threshold in zip(columns.T, thresholds, strict=True)]
    rows = max(1, _CHUNK // columns.shape[0])
    while done < DRAWS:
        count = min(rows, DRAWS - done)
        signs = rng.integers(0, 2, size=(count, columns.shape[0]), dtype=np.int8) * 2.0 - 1.0  # (draws, items)
        extreme += np.count_nonzero(np.abs(signs @ columns) >= thresholds, axis=0)
        done += count
    return [float(p) for p in (1 + extreme) / (1 + DRAWS)]


def _grouped_p(differences: Floats, threshold: float, rng: np.random.Generator) -> float:
    """Return the same for one arm: of c equal sizes s, the signed sum is s·(2·Bin(c, ½) - c)."""
    squares, counts = grouped_rows(differences[:, None] ** 2)
    extreme, step = 0, max(1, _CHUNK // counts.size)
    for first in range(0, DRAWS, step):
        plus = rng.binomial(counts, 0.5, size=(min(step, DRAWS - first), counts.size))
        extreme += int(np.count_nonzero(np.abs((2 * plus - counts) @ np.sqrt(squares[:, 0])) >= threshold))
    return (1 + extreme) / (1 + DRAWS)
