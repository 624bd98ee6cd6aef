"""Larger arms that are measurably worse than smaller ones.

The test of one pair is in `stats.selection`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from reporting.analysis.comparisons import Compared
from reporting.analysis.fields import Json
from reporting.analysis.scored_arms import AA_SUFFIX
from stats.multiplicity import benjamini_hochberg
from stats.paired import Pairing
from stats.selection import OrderTest, larger_is_worse
from stats.verdict import ALPHA


def out_of_order(run: Mapping[str, Any], rows: Sequence[Compared]) -> list[Json]:
    """Return the pairs of arms with the same reference in which the larger arm is measurably worse.

    The false discovery rate is 5% over all pairs that were looked at.
    """
    sizes = {arm["name"]: arm["size_bytes"] for arm in run["arms"]}
    found: list[tuple[str, str, str, OrderTest]] = []
    n_tests = 0
    groups: dict[tuple[str, str], list[Compared]] = {}
    for one in rows:
        if isinstance(one.pairing, Pairing) and sizes[one.arm.name] and not one.arm.name.endswith(AA_SUFFIX):
            groups.setdefault((one.arm.benchmark["name"], one.reference.name), []).append(one)
    for (benchmark, _), group in groups.items():
        by_size = sorted(group, key=lambda one: (-sizes[one.arm.name], one.arm.name))
        for larger, smaller in combinations(by_size, 2):
            if sizes[larger.arm.name] == sizes[smaller.arm.name]:
                continue
            n_tests += 1
            proportion, looked_at = larger.proportion and smaller.proportion, larger.stop is not None
            test = larger_is_worse(_between(larger, smaller), proportion=proportion, looked_at=looked_at)
            if test is not None:
                found.append((larger.arm.name, smaller.arm.name, benchmark, test))
    # The other pairs were also looked at, so they count, with p = 1.
    p_values = np.array([test.p_value for *_, test in found] + [1.0] * (n_tests - len(found)), dtype=np.float64)
    flagged = []
    for (larger_arm, smaller_arm, benchmark, test), q_value in zip(found, benjamini_hochberg(p_values), strict=False):
        if q_value < ALPHA:
            flagged.append(
                {
                    "larger": larger_arm,
                    "smaller": smaller_arm,
                    "benchmark": benchmark,
                    "difference": test.difference,
                    "ci95": [test.interval.low, test.interval.high],
                    "p_value": test.p_value,
                    "q_value": float(q_value),
                }
            )
    return flagged


def _between(larger: Compared, smaller: Compared) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return larger minus smaller over the items that both have, turned so that positive is better."""
    assert isinstance(larger.pairing, Pairing)
    assert isinstance(smaller.pairing, Pairing)
    ours, theirs = larger.pairing, smaller.pairing
    if ours.item_ids.equals(theirs.item_ids):
        difference = ours.arm_means - theirs.arm_means
    else:
        _, mine, others = np.intersect1d(ours.item_ids, theirs.item_ids, return_indices=True)
        difference = ours.arm_means[mine] - theirs.arm_means[others]
    sign = 1.0 if larger.arm.benchmark["higher_is_better"] else -1.0
    return sign * difference[~np.isnan(difference)]
