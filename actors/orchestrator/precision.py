"""What a plan can show, said before anything runs: the smallest drop that it would find, benchmark by benchmark.

Pure, and an estimate: it rests on the two assumptions of the configuration's `statistics` node, which every output
repeats. What the data then allow is said after the run, from the spread that was seen (`reporting.analysis.verdicts`).
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.orchestrator.plan import Plan, seeds_of
from actors.orchestrator.sources.inputs import PlannedBenchmark
from conf.schema import PipelineConfig, Statistics
from stats.power import detectable_difference, discordance_bounds, items_needed


@dataclass(frozen=True)
class Precision:
    """Of one benchmark, on the scale of its difference (accuracy as a share, or ln PPL)."""

    benchmark: str
    metric: str
    n_items: int
    n_items_total: int
    n_runs: int
    at_best: float
    """Smallest detectable drop if all disagreement between answers is sampling noise; `at_worst` without sampling."""
    at_worst: float
    """...if none of it is."""
    margin: float
    items_for_margin: tuple[int, int]
    """Items that show "no worse" of an arm that loses nothing, with 80% power: at best, at worst."""

    @property
    def reaches_margin(self) -> bool:
        """Whether "no worse" is within reach at all: at best, of an arm that loses nothing."""
        return self.n_items >= self.items_for_margin[0]


def precision_of(plan: Plan, config: PipelineConfig) -> list[Precision]:
    """One entry a benchmark of the plan whose scale is known beforehand; where models differ, the first stands."""
    found = [_precision(benchmark, config) for benchmark in plan.benchmarks[plan.models[0].name]]
    return [one for one in found if one is not None]


def _precision(benchmark: PlannedBenchmark, config: PipelineConfig) -> Precision | None:
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
    """Lines for people: what would be found, what not, and on which assumptions."""
    if not found:
        return []
    lines = ["Smallest loss that this plan finds (two-sided 95%, 80% power)"]
    for one in found:
        low, high = (_shown(one.metric, value) for value in (one.at_best, one.at_worst))
        drop = high if low == high else f"{low} to {high}"
        lines.append(f"  {one.benchmark:24} {drop:18} {_reach(one)}")
    return [
        *lines,
        f"  assumed: {100 * settings.assumed_discordance:g}% of single answers change (a range: all or none of that is"
        " sampling noise);",
        f"           ln PPL varies by {settings.assumed_sd_ln_ppl:g} between chunks",
    ]


def _reach(one: Precision) -> str:
    claim = f'"no worse" within {_shown(one.metric, one.margin)}'
    at_best, at_worst = one.items_for_margin
    if one.n_items >= at_worst:
        return f"enough items for {claim}"
    needs = f"{claim} takes {at_worst:,} items" if at_best == at_worst else f"{claim} takes {at_best:,} to {at_worst:,}"
    if at_best > one.n_items_total:
        return f"{needs}: more than there are"
    return needs if one.reaches_margin else f"{needs}: too few here"


def _shown(metric: str, value: float) -> str:
    return f"{value:.3g} ln PPL" if metric == "nll" else f"{100 * value:.1f} pp"
