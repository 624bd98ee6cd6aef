"""Estimates before a run how precise its results will be: the smallest loss that it can find, per benchmark. Pure.

The estimate rests on two assumptions in the `statistics` section of the configuration. Every output repeats them. After
the run, `reporting.analysis.needed` computes the same with the measured spread, and with what is uncertain about it.

A benchmark on which no arm can be called "no worse" is named before the run, where that can be known: guessing leaves
no room for a loss of the margin, or the records of an earlier run show the reference at the floor or at the ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.json_lines import read_jsonl
from actors.orchestrator.plan import Plan, seeds_of
from actors.orchestrator.sources.inputs import PlannedBenchmark
from conf.files import exists
from conf.schema.pipeline import PipelineConfig
from conf.schema.verdicts import Statistics
from stats.guards import level_of
from stats.intervals import wilson
from stats.needed import LEAST_UNITS, items_without_loss
from stats.power import detectable_difference, discordance_bounds
from stats.reduce import SCORED
from stats.verdict import Ground


@dataclass(frozen=True)
class Precision:
    """The precision of one benchmark, on the scale of its difference: a share, nats, or ln PPL."""

    benchmark: str
    metric: str
    n_items: int
    n_items_total: int
    n_runs: int
    at_best: float
    """The smallest loss that can be found if all disagreement between answers is sampling noise. Equal to `at_worst` if
    nothing is sampled."""
    at_worst: float
    """The smallest loss that can be found if none of the disagreement is sampling noise."""
    margin: float
    items_for_margin: tuple[int, int]
    """Items needed to call an arm that loses nothing "no worse", with 80% power: at best, at worst."""
    refused: str | None = None
    """Why no arm can be called "no worse" here; None if it can, as far as is known."""

    @property
    def reaches_margin(self) -> bool:
        """Whether an arm that loses nothing can be called "no worse" at best."""
        return self.n_items >= self.items_for_margin[0]


def precision_of(plan: Plan, config: PipelineConfig) -> list[Precision]:
    """Return the precision of each benchmark whose scale is known before the run.

    If the models have different items, those of the first model count.
    """
    found = [_precision(plan, benchmark, config) for benchmark in plan.benchmarks[plan.models[0].name]]
    return [one for one in found if one is not None]


def _precision(plan: Plan, benchmark: PlannedBenchmark, config: PipelineConfig) -> Precision | None:
    """Return the precision of one benchmark, or None if its scale is unknown or it has no items."""
    settings = config.statistics
    metric = settings.score_of(benchmark.name, benchmark.spec.metric)
    n_items, n_runs = len(benchmark.items), len(seeds_of(config, benchmark))
    if metric == "nll":
        variances, margin = (settings.assumed_sd_ln_ppl**2,) * 2, settings.margins.ln_ppl
    elif metric == "gold_probability":
        variances, margin = (settings.assumed_sd_gold_probability**2,) * 2, settings.margins.gold_probability
    elif metric == "gold_loglik":
        variances, margin = (settings.assumed_sd_gold_loglik**2,) * 2, settings.margins.gold_loglik
    elif metric == "accuracy":
        variances, margin = discordance_bounds(settings.assumed_discordance, n_runs), settings.margins.accuracy
    else:
        return None
    if n_items == 0:
        return None
    at_best, at_worst = (detectable_difference(variance, n_items) for variance in variances)
    proportion = metric == "accuracy"
    best, worst = (items_without_loss(variance, margin, proportion=proportion) for variance in variances)
    return Precision(
        benchmark.name,
        metric,
        n_items,
        benchmark.data.n_items_total,
        n_runs,
        at_best,
        at_worst,
        margin,
        (best, worst),
        _refused(plan, benchmark, config) if proportion else None,
    )


def _refused(plan: Plan, benchmark: PlannedBenchmark, config: PipelineConfig) -> str | None:
    """Return why a loss of the margin could not show on a benchmark with right and wrong answers."""
    margin, chance = config.statistics.margins.accuracy, benchmark.chance
    if chance + margin >= 1:
        return f"guessing gets {100 * chance:.0f}% right, so no arm can lose the margin"
    scores = _known_scores(plan, benchmark, config)
    if len(scores) < LEAST_UNITS:
        return None
    mean = sum(scores) / len(scores)
    right = mean if benchmark.spec.higher_is_better else 1 - mean
    level = level_of(wilson(right, len(scores)), margin, chance)
    if level is None:
        return None
    known = f"the reference got {100 * right:.1f}% of {len(scores):,} items right in an earlier run"
    why = "too little for a loss of the margin to show" if level is Ground.FLOOR else "the items are too easy"
    return f"{known}: {why}"


def _known_scores(plan: Plan, benchmark: PlannedBenchmark, config: PipelineConfig) -> list[float]:
    """Return the reference's mean score of each item that has records already. The first reference counts."""
    reference = next((arm.reference for arm in plan.arms if arm.reference is not None), None)
    seeds, scores = set(seeds_of(config, benchmark)), dict[str, list[float]]()
    for block in plan.blocks:
        if (block.arm, block.benchmark) == (reference, benchmark.name) and exists(block.records_path):
            for record in read_jsonl(block.records_path):
                if record["seed"] in seeds and record["outcome"] in SCORED:
                    scores.setdefault(record["item_id"], []).append(record["score"])
    return [sum(values) / len(values) for values in scores.values()]


def describe_precision(found: list[Precision], settings: Statistics) -> list[str]:
    """Return lines to show before the run: what will be found, what will not, and under which assumptions."""
    if not found:
        return []
    scores = {f"{one.metric} on {one.benchmark}" for one in found if one.metric.startswith("gold_")}
    assumed = (
        f"assumed: {100 * settings.assumed_discordance:g}% of single answers change (ranges: all of that is sampling"
        " noise, or none of it); differences in ln PPL have a standard deviation of"
        f" {settings.assumed_sd_ln_ppl:g} over chunks. The result takes the measured spread instead"
    )
    by_score = f"verdicts go by {', '.join(sorted(scores))}; elsewhere by the benchmark's own metric"
    return [
        "What these items can show (two-sided 95%, 80% power)",
        *(
            f"  {one.benchmark}: {_range(one)} is the smallest loss that these {one.n_items:,} items find;"
            f" {_describe_margin(one)}"
            for one in found
        ),
        f"  {assumed}",
        *([f"  {by_score}"] if scores else []),
    ]


def _range(one: Precision) -> str:
    low, high = (_shown(one.metric, value) for value in (one.at_best, one.at_worst))
    unit = high.partition(" ")[1] + high.partition(" ")[2]
    return high if low == high else f"{low.removesuffix(unit)} to {high}"


def _describe_margin(one: Precision) -> str:
    """Say whether the items are enough to call an arm "no worse" within the margin."""
    claim = f'"no worse" within {_shown(one.metric, one.margin)}'
    at_best, at_worst = one.items_for_margin
    if one.refused is not None:
        return f"{claim} is refused: {one.refused}"
    if one.n_items >= at_worst:
        return f"enough items for {claim}"
    numbers = f"{at_worst:,}" if at_best == at_worst else f"{at_best:,} to {at_worst:,}"
    needs = f"{numbers} items would decide {claim} for an arm that loses nothing"
    if at_best > one.n_items_total:
        return f"{needs}, and the benchmark has only {one.n_items_total:,}"
    return needs if one.reaches_margin else f"{needs}, too many for this plan"


def _shown(metric: str, value: float) -> str:
    unit = {"nll": "ln PPL", "gold_loglik": "nats"}.get(metric)
    return f"{100 * value:.1f} pp" if unit is None else f"{value:.4f} {unit}"
