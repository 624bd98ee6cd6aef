"""Estimates before a run whether the claim "no worse on average" is within reach. Pure.

It rests on the assumption of `actors.orchestrator.precision` and takes the formula of the result (`stats.pooled`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from scipy import special

from actors.orchestrator.plan import Plan, seeds_of
from actors.orchestrator.sources.inputs import PlannedBenchmark
from conf.schema.pipeline import PipelineConfig
from conf.tiers import TiersOfRun, question_set, resolve_tiers
from stats.intervals import Floats, Z
from stats.pooled import largest_correlations, pooled_variance
from stats.power import discordance_bounds, normal_sum

_CASES = ("best", "worst")
"""At best all disagreement between answers is sampling noise, and shared sources change independently. At worst none
of it is, and they change together."""


@dataclass(frozen=True)
class PooledPrecision:
    """What the mean over the pooled benchmarks can show. Each pair holds a value at best and one at worst."""

    benchmarks: tuple[str, ...]
    decides: bool
    """Whether the verdict of an arm needs the claim."""
    margin: float
    detectable: tuple[float, float]
    """The smallest mean loss that is found with 80% power, as a share."""
    chance: tuple[float, float]
    """Probability that an arm that loses nothing is called no worse on average."""
    limit: tuple[int | None, int | None]
    """Items per benchmark (at most those it has) with which that probability is 80%. None: all are not enough."""


def tiers_of(plan: Plan, config: PipelineConfig) -> TiersOfRun:
    """Return the tiers of the plan's benchmarks."""
    return resolve_tiers(config.statistics, [asdict(one.spec) for one in plan.benchmarks[plan.models[0].name]])


def pooled_precision_of(plan: Plan, config: PipelineConfig) -> PooledPrecision | None:
    """Return the precision of the claim on average; None if the plan makes none."""
    tiers = tiers_of(plan, config)
    pooled = [one for one in plan.benchmarks[plan.models[0].name] if one.name in tiers.pooled]
    if not pooled or any(not one.items for one in pooled):
        return None
    weights, margin = [tiers.pooled[one.name] for one in pooled], config.statistics.margins.pooled
    correlations = largest_correlations([_sources(one) for one in pooled])
    found = [_at(case, weights, pooled, config, correlations) for case in _CASES]
    best, worst = ((_Reach(one, margin)) for one in found)
    return PooledPrecision(
        tuple(one.name for one in pooled),
        bool(tiers.pooled_only),
        margin,
        (best.detectable, worst.detectable),
        (best.chance, worst.chance),
        (best.limit(), worst.limit()),
    )


def _sources(benchmark: PlannedBenchmark) -> list[str]:
    within = question_set(benchmark.name, benchmark.spec.questions, benchmark.data.source)
    return [f"{within} {item.cluster or item.item_id}" for item in benchmark.items]


@dataclass(frozen=True)
class _Pool:
    """The pooled benchmarks under one of the two assumptions."""

    weights: Sequence[float]
    variances: Sequence[float]
    n_items: Sequence[int]
    n_total: Sequence[int]
    correlations: Floats | None


def _at(
    case: str,
    weights: Sequence[float],
    pooled: Sequence[PlannedBenchmark],
    config: PipelineConfig,
    correlations: Floats,
) -> _Pool:
    bounds = [
        discordance_bounds(config.statistics.assumed_discordance, len(seeds_of(config, benchmark)))
        for benchmark in pooled
    ]
    return _Pool(
        weights,
        [best if case == "best" else worst for best, worst in bounds],
        [len(one.items) for one in pooled],
        [one.data.n_items_total for one in pooled],
        None if case == "best" else correlations,
    )


@dataclass(frozen=True)
class _Reach:
    pool: _Pool
    margin: float

    @property
    def detectable(self) -> float:
        return normal_sum() * self._error(self.pool.n_items)

    @property
    def chance(self) -> float:
        return float(special.ndtr(self.margin / self._error(self.pool.n_items) - Z))

    def limit(self) -> int | None:
        """Return the smallest limit that is enough."""
        low, high = 0, max(self.pool.n_total)
        if not self._enough(high):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._enough(middle) else (middle, high)
        return high

    def _enough(self, limit: int) -> bool:
        return normal_sum() * self._error([min(limit, total) for total in self.pool.n_total]) <= self.margin

    def _error(self, n_items: Sequence[int]) -> float:
        pool = self.pool
        return math.sqrt(pooled_variance(pool.weights, pool.variances, n_items, pool.correlations))


def describe_pooled_precision(found: PooledPrecision | None) -> list[str]:
    """Return lines to show before the run; none without a claim on average."""
    if found is None:
        return []
    detectable = _range(*(f"{100 * value:.1f}" for value in found.detectable)) + " pp"
    chance = _range(*(f"{100 * value:.0f}%" for value in sorted(found.chance)))
    needed = "; the verdict of an arm needs this claim" if found.decides else ""
    return [
        f"On average over {', '.join(found.benchmarks)}: {detectable} is the smallest mean loss that they find{needed}",
        f'  "no worse on average" within {100 * found.margin:.1f} pp: an arm that loses nothing reaches it with a'
        f" chance of {chance}",
        f"  {_describe_limit(found.limit)}",
    ]


def _describe_limit(limit: tuple[int | None, int | None]) -> str:
    """Say how many items an 80% chance takes."""
    best, worst = limit
    if best is None:
        return "an 80% chance is out of reach with the items that these benchmarks have"
    if worst is None:
        return f"an 80% chance takes at least {best:,} items of each (at worst more than they have)"
    return f"an 80% chance takes {_range(f'{best:,}', f'{worst:,}')} items of each, or all that it has"


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"
