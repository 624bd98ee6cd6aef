"""How many items would decide an undecided comparison: a range, computed from what is known and how well it is known.

The measured difference is uncertain, and an undecided one is often a lucky or an unlucky draw. So it is not taken as
the truth. It is shrunk towards 0 by how uncertain it is, and what remains uncertain is kept:

    θ ~ N(m, s²), with m = B·d, s² = B·se², B = τ²/(τ² + se²), τ² = δ² + max(0, d² - 4·se²)

A priori, losses of the size of the margin δ are plausible, and larger ones if the data show them (by two standard
errors). The items so far count in a longer run, too. The probability that N items decide is therefore a normal
probability of the mean of n known and N - n new differences. The range goes from the N that decides with even chances
to the N that decides with 80%.

The interval at N items is the one that the verdict would use: Student's t, the interval of gains and losses, or (after
early stopping was switched on) the betting sequence. "Worse" must also survive Holm's adjustment over the arm's
benchmarks, and the sign flips must be able to show a loss: k differing items reach a one-sided p of 2^-k at best.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from scipy import special

from stats.intervals import TAIL, Z, t_quantile
from stats.paired import FEW_DIFFERENCES, wilson_of_shares
from stats.power import POWER, items_needed
from stats.reasons import Reason

TAIL_P = 1 - TAIL
"""One-sided level of both verdicts."""
LEAST_UNITS = 30
"""With fewer items (or sources), the spread is too uncertain to say how many would decide."""
EVEN = 0.5
_WHOLE = 1.05
"""Items without shared sources differ by 1 at most, up to what was added to their spread (`_spread`)."""
_MOST_ITEMS = 10**9
"""A larger number of items counts as "never"."""


@dataclass(frozen=True)
class Range:
    """Numbers of items in all, those so far included."""

    low: int
    """Decides with even chances."""
    high: int
    """Decides with 80%."""


@dataclass(frozen=True)
class Seen:
    """What is known of one comparison. Positive is better."""

    difference: float
    variance: float
    """Variance of one item's difference: n·SE². If items share sources, it includes what that costs."""
    n_items: int
    n_units: int
    """Independent units: sources, or items if each is its own source."""
    differing: float
    """Share of the units that differ."""
    margin: float
    """Largest loss that still is no worse, by the stricter of the margins."""
    proportion: bool
    """True if scores lie in [0, 1]."""
    missing: float = 0.0
    """How much unscored records could lower the difference at worst."""
    n_tests: int = 1
    """Benchmarks of the arm, for Holm's adjustment of "worse"."""
    stretch: float | None = None
    """Half-width of the interval in standard errors. None: Student's t or gains and losses, which depend on N."""

    def with_half_width(self, half: float) -> Seen:
        """Return the same, with an interval whose half-width shrinks like that of the betting sequence."""
        return replace(self, stretch=half / math.sqrt(_spread(self) / self.n_items))


def items_to_decide(seen: Seen) -> Range | Reason:
    """Return the items that would decide, those so far included, or why nothing sensible can be said."""
    if seen.n_units < LEAST_UNITS:
        return Reason.TOO_FEW_ITEMS
    high = _first(seen, POWER)
    if isinstance(high, Reason):
        return high
    low = _first(seen, EVEN)
    return Range(low if isinstance(low, int) else high, high)


def runs_to_decide(seen: Seen, items: Range, within_variance: float, n_runs: int) -> int | Reason:
    """Return the repeats of the same items that bring as much information as `items.high` items.

    Args:
        seen: what is known.
        items: as `items_to_decide` returns it.
        within_variance: part of `seen.variance` that comes from repeats, σ²_arm/R + σ²_reference/R.
        n_runs: repeats R so far.
    """
    allowed = seen.variance * seen.n_items / items.high
    left = allowed - max(0.0, seen.variance - within_variance)
    if left <= 0:
        return Reason.MORE_RUNS_DO_NOT_HELP
    return max(n_runs + 1, math.ceil(within_variance * n_runs / left))


def items_without_loss(variance: float, margin: float, *, proportion: bool, power: float = POWER) -> int:
    """Return the items needed to call an arm that loses nothing "no worse", if its spread is known.

    It is the number that `items_to_decide` comes to if nothing about the arm is uncertain: n ≥ (t + z_power)²·v/δ².

    Args:
        variance: of one item's difference. For right/wrong answers it is the share of items that differ.
        margin: δ > 0.
        proportion: True if scores lie in [0, 1].
        power: probability of the verdict.
    """
    z_power = float(special.ndtri(power))

    def decides(n: int) -> bool:
        below, _ = _half_widths(0.0, variance, n, n - 1, variance if proportion else 1.0, proportion, None)
        return margin - below >= z_power * math.sqrt(variance / n)

    return _smallest(decides, max(LEAST_UNITS, items_needed(variance, margin, power=power)))


def chance_to_decide(seen: Seen, n_items: int) -> float:
    """Return the probability that `n_items` items in all decide the comparison.

    Args:
        seen: what is known.
        n_items: more than `seen.n_items`.
    """
    n, new, variance = seen.n_items, n_items - seen.n_items, _spread(seen)
    error = variance / n
    prior = seen.margin**2 + max(0.0, seen.difference**2 - 4 * error)
    kept = prior / (prior + error)
    mean = (n * seen.difference + new * kept * seen.difference) / n_items
    deviation = math.sqrt(new**2 * kept * error + new * variance) / n_items
    units = seen.n_units * n_items / n
    differing = _differing(seen)
    below, above = _half_widths(mean, variance, n_items, units - 1, differing, seen.proportion, seen.stretch)
    no_worse = float(special.ndtr((mean - below + seen.margin - seen.missing) / deviation))
    if differing * units < math.log2(seen.n_tests / TAIL_P):
        return no_worse
    ratio = float(special.ndtri(1 - TAIL_P / seen.n_tests)) / Z
    return no_worse + float(special.ndtr((-seen.margin - mean - ratio * above) / deviation))


def _spread(seen: Seen) -> float:
    """Return the variance to expect in further items: what was seen, and what it may be instead.

    If few answers flipped, more may flip later: half a flip is added. For other scores it is the mean of the variances
    that fit the data.
    """
    if seen.proportion:
        return (seen.n_units * seen.variance + 0.5) / (seen.n_units + 1)
    return seen.variance * (seen.n_units - 1) / (seen.n_units - 3)


def _differing(seen: Seen) -> float:
    return (seen.n_units * seen.differing + 0.5) / (seen.n_units + 1)


def _half_widths(
    difference: float,
    variance: float,
    n_items: int,
    df: float,
    differing: float,
    proportion: bool,
    stretch: float | None,
) -> tuple[float, float]:
    """Return the half-widths below and above the difference that the interval would have with `n_items` items."""
    half = (t_quantile(df) if stretch is None else stretch) * math.sqrt(variance / n_items)
    if stretch is not None or not proportion:
        return half, half
    # Items that differ by s change the mean by s each, and are worth 1/s items that differ as a whole. Shared sources
    # have s > 1, and no shares of items.
    size = math.sqrt((variance + difference**2) / differing) if differing * n_items >= FEW_DIFFERENCES else 1.0
    if size > _WHOLE:
        return half, half
    size = min(1.0, size)
    gain, loss = (max(0.0, (size * differing + sign * difference) / 2) for sign in (1, -1))
    found = wilson_of_shares(min(gain, 1.0), min(loss, 1.0), n_items / size)
    return gain - loss - found.low, found.high - (gain - loss)


def _first(seen: Seen, power: float) -> int | Reason:
    if chance_to_decide(seen, _MOST_ITEMS) < power:
        return Reason.ON_THE_MARGIN
    return _smallest(lambda n: chance_to_decide(seen, n) >= power, seen.n_items + 1)


def _smallest(decides: Callable[[int], bool], least: int) -> int:
    """Return the smallest number from `least` on that decides, or the one where doubling ends."""
    low, high = least - 1, least
    while high < _MOST_ITEMS and not decides(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high
