"""Estimates before a run how precise its results will be: the smallest drop that it can find, per benchmark. Pure.

The estimate rests on two assumptions in the `statistics` section of the configuration. Every output repeats them. After
the run, `reporting.analysis.verdicts` computes the same from the measured spread.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.orchestrator.plan import Plan, seeds_of
from actors.orchestrator.sources.inputs import PlannedBenchmark
from conf.schema import PipelineConfig, Statistics
from stats.power import detectable_difference, discordance_bounds, items_needed


@dataclass(frozen=True)
class Precision:
    """The precision of one benchmark, on the scale of its difference: accuracy as a share, or ln PPL."""

    benchmark: str
    metric: str
    n_items: int
    n_items_total: int
    n_runs: int
    at_best: float
    """The smallest drop that can be found if all disagreement between answers is sampling noise. Equal to `at_worst` if
    nothing is sampled."""
    at_worst: float
    """The smallest drop that can be found if none of the disagreement is sampling noise."""
    margin: float
    items_for_margin: tuple[int, int]
    """Items needed to call an arm that loses nothing "no worse", with 80% power: at best, at worst."""

    @property
    def reaches_margin(self) -> bool:
        """Whether an arm that loses nothing can be called "no worse" at best."""
        return self.n_items >= self.items_for_margin[0]


def precision_of(plan: Plan, config: PipelineConfig) -> list[Precision]:
    """Return the precision of each benchmark whose scale is known before the run.

    If the models have different items, those of the first model count.
    """
    found = [_precision(benchmark, config) for benchmark in plan.benchmarks[plan.models[0].name]]
    return [one for one in found if one is not None]


def _precision(benchmark: PlannedBenchmark, config: PipelineConfig) -> Precision | None:
    """Return the precision of one benchmark, or None if its scale is unknown or it has no items."""
    settings = config.statistics
    n_items, n_runs = len(benchmark.items), len(seeds_of(config, benchmark))
    if benchmark.spec.metric == "nll":
        variances, margin = (settings.assumed_sd_ln_ppl**2,) * 2, settings.margins.ln_ppl
    elif benchmark.spec.metric == "accuracy":
        variances, margin = discordance_bounds(settings.assumed_discordance, n_runs), settings.margins.accuracy
    else:
        return None
    if n_items == 0:
        return None
    at_best, at_worst = (detectable_difference(variance, n_items) for variance in variances)
    needed = items_needed(variances[0], margin), items_needed(variances[1], margin)
    return Precision(
        benchmark.name,
        benchmark.spec.metric,
        n_items,
        benchmark.data.n_items_total,
        n_runs,
        at_best,
        at_worst,
        margin,
        needed,
    )


def describe_precision(found: list[Precision], settings: Statistics) -> list[str]:
    """Return lines to show before the run: what will be found, what will not, and under which assumptions."""
    if not found:
        return []
    lines = ["Smallest drop that this plan can find (two-sided 95%, 80% power)"]
    for one in found:
        low, high = (_shown(one.metric, value) for value in (one.at_best, one.at_worst))
        drop = high if low == high else f"{low} to {high}"
        lines.append(f"  {one.benchmark:24} {drop:18} {_describe_margin(one)}")
    return [
        *lines,
        f"  assumed: {100 * settings.assumed_discordance:g}% of single answers change (ranges: all of that is sampling"
        " noise, or none of it);",
        f"           differences in ln PPL have a standard deviation of {settings.assumed_sd_ln_ppl:g} over chunks",
    ]


def _describe_margin(one: Precision) -> str:
    """Say whether the items are enough to call an arm "no worse" within the margin."""
    claim = f'"no worse" within {_shown(one.metric, one.margin)}'
    at_best, at_worst = one.items_for_margin
    if one.n_items >= at_worst:
        return f"enough items for {claim}"
    needs = f"{claim} takes {at_worst:,} items" if at_best == at_worst else f"{claim} takes {at_best:,} to {at_worst:,}"
    if at_best > one.n_items_total:
        return f"{needs}; the benchmark has only {one.n_items_total:,}"
    return needs if one.reaches_margin else f"{needs}; this plan has only {one.n_items:,}"


def _shown(metric: str, value: float) -> str:
    return f"{value:.3g} ln PPL" if metric == "nll" else f"{100 * value:.1f} pp"
