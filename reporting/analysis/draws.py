"""Random sign assignments and resamples, drawn once for all arms of a benchmark.

Arms that were planned on the same items of a benchmark share what is drawn. It comes from a random stream that belongs
to the benchmark, so adding an arm changes no number of another arm.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reporting.analysis.cells import FAULTS, findings_of
from reporting.analysis.scored_arms import ScoredArm
from stats.bootstrap import effect_size_draws, percentile_interval, resampled_totals
from stats.clusters import Labels, cluster_totals
from stats.grouped import LARGE
from stats.intervals import Floats, Interval
from stats.paired import Pairing
from stats.permutation import PermutationTest, sign_flip_tests
from stats.reasons import Reason

SEED = 0
"""Seed of sign assignments and resamples. Each benchmark has its own streams below this seed."""


@dataclass(frozen=True)
class Drawn:
    """What the random sign assignments and the resamples gave for one arm."""

    test: PermutationTest
    difference: Interval | Reason
    effect: Interval | Reason


def draw(pairs: Sequence[tuple[ScoredArm, ScoredArm, Pairing | Reason]], benchmark: str) -> dict[int, Drawn]:
    """Return what was drawn, by index into `pairs`. Pairs without a single paired item are left out."""
    groups: list[dict[int, Pairing]] = []
    for index, (_, _, pairing) in enumerate(pairs):
        if isinstance(pairing, Pairing) and pairing.paired.any():
            same = (group for group in groups if next(iter(group.values())).item_ids.equals(pairing.item_ids))
            group = next(same, None)
            if group is None:
                groups.append(group := {})
            group[index] = pairing
    drawn: dict[int, Drawn] = {}
    for pairings in groups:
        try:
            drawn |= dict(zip(pairings, _draw_group(list(pairings.values()), benchmark), strict=True))
        except FAULTS:
            for index, pairing in pairings.items():  # find the arm whose values do not fit
                with findings_of(pairs[index][0].name, benchmark):
                    _draw_group([pairing], benchmark)
            raise
    return drawn


def _draw_group(pairings: Sequence[Pairing], benchmark: str) -> list[Drawn]:
    """Return the sign-flip test and the bootstrap of each arm; all arms were planned on the same items."""
    clusters = pairings[0].clusters
    known = np.column_stack([pairing.paired for pairing in pairings]).astype(np.float64)  # (items, arms)
    differences = np.nan_to_num(np.column_stack([pairing.arm_means - pairing.reference_means for pairing in pairings]))
    stream = zlib.crc32(benchmark.encode())
    tests = sign_flip_tests(cluster_totals(differences, clusters), np.random.default_rng([SEED, stream, 0]))
    # If only a few units among many differ, the resamples say too little about how rare a difference is.
    n_differing = [int(units) for units in np.count_nonzero(cluster_totals(differences, clusters), axis=0)]
    counts, sums, squares = resampled_differences(known, differences, clusters, stream)
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return [
        Drawn(
            tests[arm],
            percentile_interval(means[:, arm], n_differing[arm]),
            percentile_interval(effect_size_draws(counts[:, arm], sums[:, arm], squares[:, arm]), n_differing[arm]),
        )
        for arm in range(len(pairings))
    ]


def resampled_differences(
    known: Floats, differences: Floats, clusters: Labels | None, stream: int
) -> tuple[Floats, ...]:
    """Return the resampled numbers of items, sums and sums of squares; each of shape (draws, arms).

    Arms share the resamples. With very many items each arm is drawn from its own distinct values, which is quick.
    """
    n_arms = known.shape[1]
    together = [list(range(n_arms))] if known.shape[0] <= LARGE else [[arm] for arm in range(n_arms)]
    parts = []
    for arms in together:
        columns = np.hstack([known[:, arms], differences[:, arms], differences[:, arms] ** 2])
        totals = resampled_totals(columns, np.random.default_rng([SEED, stream, 1]), clusters=clusters)
        parts.append(np.split(totals, 3, axis=1))
    return tuple(np.hstack(columns) for columns in zip(*parts, strict=True))
