"""The mean difference over several benchmarks: the claim "no worse on average".

Estimand: θ = Σ_b w_b·μ_b. μ_b is the mean difference (arm minus reference) over all questions of benchmark b's kind.
The weights w_b sum to 1 and are fixed before the run. A loss on one benchmark can be made up for by a gain on another,
so θ says nothing about a single benchmark. In return its interval is narrower than theirs: with B benchmarks of one
size by √B.

The interval is that of one benchmark (`stats.paired`), applied to the mean: Wilson's intervals of its gains Σ_b w_b·G_b
and its losses Σ_b w_b·L_b. Their effective numbers of items follow from their variances, as if the data held one more
difference with the largest weight. Losses that are rare on each benchmark are less rare in all, so this is narrower
than to combine the benchmarks' intervals, and covers no less (tests/stats/test_pooled.py). For one benchmark it is the
benchmark's own interval.

Other numbers (what is kept, the worst case) have an interval that combines those of the benchmarks by adding squares
(MOVER: Zou and Donner 2008, Statistics in Medicine 27:1693), each half for itself:

    low = θ̂ - √(Σ_b Σ_b' r_bb'·l_b·l_b'), l_b = w_b·(d_b - low_b), r_bb = 1

So does the mean where too few items differ to tell what repeats or shared sources are worth.

Benchmarks that ask about the same sources (an original and its translation, two forms of one question) are not
independent. r_bb' is the correlation of their means, Σ_c e_bc·e_b'c / √(Σ_c e_bc² · Σ_c e_b'c²), where e_bc is the sum
of benchmark b's residuals over the items of source c. The variance is then the sum over sources of their squared
weighted residuals. Where few items differ, a correlation cannot be estimated, and the largest possible one is taken.

All differences here are oriented: positive is better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stats.clusters import cluster_totals
from stats.intervals import Floats, Interval, Z, clamp, t_quantile
from stats.paired import FEW_DIFFERENCES, Share, difference_interval, gains_minus_losses
from stats.permutation import DRAWS, PermutationTest
from stats.reasons import Reason

METHOD = "square_and_add"
_MOST_SUMS = 1_000_000
"""Largest number of different sums for the exact form of the test. They take a tenth of a second."""
_EQUAL = 1e-9
"""Relative distance up to which sums count as equal."""

Sources = NDArray[Any]


@dataclass(frozen=True)
class Stratum:
    """One benchmark of the pool."""

    weight: float
    """w_b > 0. The weights of a pool sum to 1 (`shares`)."""
    differences: Floats
    """Arm minus reference of each paired item, in [-1, 1], shape (n,)."""
    sources: Sources
    """Label of each item's source, shape (n,). Equal labels are the same source, also in another benchmark."""

    @property
    def mean(self) -> float:
        """d_b."""
        return float(self.differences.mean())

    @property
    def whole(self) -> bool:
        """True if each item is its own source and is gained, lost or neither, as with one run of right and wrong
        answers."""
        alone = np.unique(self.sources).size == self.sources.size
        return alone and bool(np.isin(self.differences, (-1.0, 0.0, 1.0)).all())

    def interval(self) -> Interval | Reason:
        """Return the interval of μ_b, as in the comparison of this benchmark alone."""
        _, labels = np.unique(self.sources, return_inverse=True)
        alone = labels.max(initial=-1) + 1 == labels.size
        return difference_interval(self.differences, proportion=True, clusters=None if alone else labels)


@dataclass(frozen=True)
class PooledDifference:
    """θ̂ with its interval. An undefined number holds its reason instead."""

    difference: float | Reason
    interval: Interval | Reason
    n_items: int
    n_sources: int
    """Different sources over all benchmarks."""


def shares(weights: Sequence[float]) -> list[float]:
    """Return positive weights divided by their sum."""
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def pooled_difference(
    strata: Sequence[Stratum], intervals: Sequence[Interval | Reason] | None = None
) -> PooledDifference:
    """Return the weighted mean difference with its interval.

    A benchmark without paired items leaves it undefined: the mean of the others would be another claim.

    Args:
        strata: the benchmarks.
        intervals: their intervals, if they are known already. They may be wider than those for a single look.
    """
    n_items = sum(stratum.differences.size for stratum in strata)
    n_sources = np.unique(np.concatenate([stratum.sources for stratum in strata])).size if n_items else 0
    if not strata or any(stratum.differences.size == 0 for stratum in strata):
        return PooledDifference(Reason.NO_PAIRED_ITEMS, Reason.NO_PAIRED_ITEMS, n_items, n_sources)
    mean = math.fsum(stratum.weight * stratum.mean for stratum in strata)
    given = [stratum.interval() for stratum in strata] if intervals is None else intervals
    known = [one for one in given if isinstance(one, Interval)]
    if len(known) < len(given):
        return PooledDifference(mean, Reason.NO_INTERVAL, n_items, n_sources)
    found = _of_gains_and_losses(strata) or pooled_interval([stratum.mean for stratum in strata], known, strata)
    return PooledDifference(mean, found, n_items, n_sources)


def _of_gains_and_losses(strata: Sequence[Stratum]) -> Interval | None:
    """Return the interval from the gains and losses of the mean; None if too few items differ to tell their spread."""
    if any(_n_differing(stratum) < FEW_DIFFERENCES and not stratum.whole for stratum in strata):
        return None
    names = [stratum.sources for stratum in strata]
    n_sources = [np.unique(one).size for one in names]
    shared = np.unique(np.concatenate(names)).size < sum(n_sources)
    if min(n_sources) < 2 or (shared and any(_n_differing(stratum) < FEW_DIFFERENCES for stratum in strata)):
        return None
    means, residuals, one_more = np.zeros(2), [], []
    for stratum, n in zip(strata, n_sources, strict=True):
        values = stratum.differences
        parts = np.column_stack([np.maximum(values, 0.0), np.maximum(-values, 0.0)]) * stratum.weight / values.size
        means += parts.sum(axis=0)
        wider = 1.0 if stratum.whole else t_quantile(n - 1) / Z * math.sqrt(n / (n - 1))
        residuals.append(wider * (parts - parts.mean(axis=0)))
        one_more.append(stratum.weight / n * (float(np.abs(values).max()) or 1.0))
    largest = sum(one_more) if shared else max(one_more)  # a shared source may differ on all of its benchmarks
    sums = cluster_totals(np.concatenate(residuals), np.concatenate(names))
    squares = sums.T @ sums
    gain, loss = (
        Share(mean, (mean + largest) / ((square / (1 - mean) if mean < 1 else 0.0) + largest**2))
        for mean, square in zip(means.tolist(), np.diag(squares).tolist(), strict=True)
    )
    spread = math.sqrt(float(squares[0, 0] * squares[1, 1]))
    found = gains_minus_losses(gain, loss, float(squares[0, 1]) / spread if spread > 0 else 0.0, Z)
    return replace(found, method=METHOD)


def pooled_interval(means: Sequence[float], intervals: Sequence[Interval], strata: Sequence[Stratum]) -> Interval:
    """Return the interval of the weighted mean of one number per benchmark.

    Args:
        means: the number itself: the mean difference, or another that follows it closely.
        intervals: its interval.
        strata: the weights, and the differences that tell how the benchmarks hang together.
    """
    weights = np.array([stratum.weight for stratum in strata])
    centre = np.array(means)
    below = weights * (centre - [interval.low for interval in intervals])
    above = weights * ([interval.high for interval in intervals] - centre)
    correlations = _correlations(strata)
    mean = float(weights @ centre)
    low, high = (mean - _combined(below, correlations), mean + _combined(above, correlations))
    return clamp(Interval(low, high, METHOD), -1.0, 1.0)


def _combined(halves: Floats, correlations: Floats) -> float:
    return math.sqrt(max(0.0, float(halves @ correlations @ halves)))


def _correlations(strata: Sequence[Stratum]) -> Floats:
    """Return the correlations of the benchmarks' means, shape (strata, strata)."""
    found = np.eye(len(strata))
    residuals = [_residuals(stratum) for stratum in strata]
    for place, (names, sums) in enumerate(residuals):
        for other, (other_names, other_sums) in enumerate(residuals[:place]):
            shared, mine, theirs = np.intersect1d(names, other_names, assume_unique=True, return_indices=True)
            if shared.size == 0:
                continue
            few = any(_n_differing(strata[index]) < FEW_DIFFERENCES for index in (place, other))
            spread = math.sqrt(float(sums @ sums) * float(other_sums @ other_sums))
            if few or spread == 0.0:
                found[place, other] = shared.size / math.sqrt(names.size * other_names.size)
            else:
                found[place, other] = float(sums[mine] @ other_sums[theirs]) / spread
            found[other, place] = found[place, other]
    return found


def _n_differing(stratum: Stratum) -> int:
    return int(np.count_nonzero(stratum.differences))


def _residuals(stratum: Stratum) -> tuple[Sources, Floats]:
    """Return the sources of a benchmark, sorted, and the sum of the residuals of each."""
    names, places = np.unique(stratum.sources, return_inverse=True)
    sums = np.bincount(places, stratum.differences - stratum.mean, minlength=names.size).astype(np.float64)
    return names, sums


# --- the sign-flip test ---------------------------------------------------------------------------


def pooled_sign_flips(strata: Sequence[Stratum], rng: np.random.Generator) -> PermutationTest:
    """Test whether arm and reference are exchangeable on every source, by the weighted mean difference.

    As in `stats.permutation`, each source flips as a whole, here over all benchmarks. Sources that contribute equally
    much are counted together: how many of them have a plus follows a binomial distribution. So the exact form only has
    to go through these numbers, and the Monte Carlo form draws them.

    Args:
        strata: the benchmarks, each with at least one item.
        rng: used by the Monte Carlo form only.
    """
    names = np.concatenate([stratum.sources for stratum in strata])
    parts = np.concatenate([stratum.weight * stratum.differences / stratum.differences.size for stratum in strata])
    _, places = np.unique(names, return_inverse=True)
    totals = np.bincount(places, parts) if parts.size else parts
    largest = float(np.abs(parts).max(initial=0.0))
    moved = totals[np.abs(totals) > _EQUAL * largest]
    sizes, counts = _grouped(np.abs(moved), largest)
    least = abs(float(moved.sum())) - _EQUAL * largest
    if math.prod(int(count) + 1 for count in counts) <= _MOST_SUMS:
        return PermutationTest(_exact_p(sizes, counts, least), "sign_flip_exact")
    drawn = (2 * rng.binomial(counts, 0.5, size=(DRAWS, counts.size)) - counts) @ sizes
    return PermutationTest(float(1 + np.count_nonzero(np.abs(drawn) >= least)) / (1 + DRAWS), "sign_flip_monte_carlo")


def _grouped(sizes: Floats, largest: float) -> tuple[Floats, NDArray[np.int64]]:
    """Return the different sizes, and how often each occurs. Rounding makes no size a different one."""
    ordered = np.sort(sizes)
    starts = np.flatnonzero(np.diff(ordered, prepend=-1.0) > _EQUAL * largest)
    counts = np.diff(np.append(starts, ordered.size))
    return ordered[starts], counts


def _exact_p(sizes: Floats, counts: NDArray[np.int64], least: float) -> float:
    """Return P(|Σ ±size| >= least) if all sign assignments are equally likely."""
    sums, chances = np.zeros(1), np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        plus = np.arange(count + 1)
        sums = (sums[:, None] + size * (2 * plus - count)).ravel()
        chances = (chances[:, None] * _binomial(count)).ravel()
    return min(1.0, float(chances[np.abs(sums) >= least].sum()))


def _binomial(count: int) -> Floats:
    """Return the probabilities of 0 to `count` heads of fair coins."""
    places = np.arange(count + 1)
    logs = [math.lgamma(count + 1) - math.lgamma(place + 1) - math.lgamma(count - place + 1) for place in places]
    chances: Floats = np.exp(np.array(logs) - count * math.log(2))
    return chances


# --- before a run ---------------------------------------------------------------------------------


def pooled_variance(
    weights: Sequence[float], variances: Sequence[float], n_items: Sequence[int], correlations: Floats | None = None
) -> float:
    """Return the variance of the weighted mean difference.

    Args:
        weights: w_b, with a sum of 1.
        variances: variance of one item's difference in each benchmark.
        n_items: items of each benchmark.
        correlations: of the benchmarks' means. None: no two benchmarks share a source.
    """
    errors = np.array(weights) * np.sqrt(np.array(variances) / np.array(n_items))
    return float(errors @ (np.eye(errors.size) if correlations is None else correlations) @ errors)


def largest_correlations(sources: Sequence[Sequence[str]]) -> Floats:
    """Return the largest correlations that the benchmarks' means can have, by the sources that they share."""
    sets = [set(names) for names in sources]
    return np.array(
        [[len(one & other) / math.sqrt(len(one) * len(other)) if one else 0.0 for other in sets] for one in sets]
    )
