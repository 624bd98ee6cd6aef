"""The rules of the verdicts: margins, tiers, looks, early stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from conf.schema.base import Count, Frozen, split_names


class Margins(Frozen):
    """The largest loss against the reference that still counts as "no worse". Set it before the run, never after."""

    accuracy: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    """Margin of right/wrong scores: 0.01 is one percentage point."""
    relative: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    """Share of what the reference gets right beyond guessing that may be lost, for right/wrong scores: 0.05 is one in
    twenty. "No worse" needs both this and `accuracy`. It is the stricter one if the reference gets less than
    `accuracy` / `relative` right beyond guessing (20 points by default)."""
    gold_probability: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.005
    """Margin of the probability of the right choice: 0.005 is half a percentage point. That is about what goes with a
    loss of one point of accuracy: 0.4 to 0.6 points, measured on SmolLM2-135M and ARC-Challenge by damaging the
    log-likelihoods step by step."""
    gold_loglik: Annotated[float, Field(gt=0.0)] = 0.05
    """Margin of the log-likelihood of the right choice, in nats per answer: 0.05 is 5% of its likelihood. The default
    is that of `ln_ppl` for an answer of five tokens, as those of ARC-Challenge have on average."""
    ln_ppl: Annotated[float, Field(gt=0.0)] = 0.01
    """Margin of perplexity, on its logarithm: 0.01 is one percent."""
    judged: Annotated[float, Field(gt=0.0)] | None = None
    """Margin of scores on a scale of their own, such as 1 to 5, in points of that scale. None: nobody has said
    which loss is small, so no verdict depends on a judged benchmark (elyza, mt_bench), and that of any other such
    benchmark is "undecided". A loss that is shown is named."""
    pooled: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    """Margin of the mean loss over the pooled benchmarks (see `tiers`): 0.01 is one percentage point on average."""


PoolWeight = Annotated[float, Field(gt=0.0, le=1e6)]
"""Weight of a benchmark in a mean. Only the ratios between weights matter."""


class Tiers(Frozen):
    """What the verdict of an arm asks of each benchmark (see `conf.tiers`). Set it before the run, never after.

    Benchmarks are named as in results: a custom one by its `name`.
    """

    each: tuple[str, ...] | None = None
    """Benchmarks that must each be no worse. None: all that are not in `inform`."""
    pooled: Mapping[str, PoolWeight] | None = None
    """Benchmarks that must be no worse on average: a list for equal weights, or a weight for each. None: all with
    right or wrong answers that are not in `inform`, with equal weights. Empty: no claim on average."""
    inform: tuple[str, ...] = ()
    """Benchmarks that are shown, and that no verdict depends on."""

    @field_validator("each", "inform", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_names(value) if isinstance(value, str) else value

    @field_validator("pooled", mode="before")
    @classmethod
    def _equal_weights(cls, value: Any) -> Any:
        names = split_names(value) if isinstance(value, str) else value
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            return dict.fromkeys(names, 1.0)
        return value


VerdictScore = Literal["accuracy", "gold_probability", "gold_loglik"]
"""A score of multiple choice: right or wrong; the probability of the right choice among the choices; its
log-likelihood."""


class Statistics(Frozen):
    """The margins and tiers of the verdicts, how many items are planned, early stopping, and assumptions for how
    small a loss a plan can show."""

    margins: Margins = Margins()
    tiers: Tiers = Tiers()
    planned_items: Count | None = None
    """Most items per benchmark that you will ever look at; None: all items of the benchmark. Looks at fewer items share
    the level of the verdict, so that you may raise `limit` up to here. Set it to your `limit` if that look is the only
    one. It must be set before the first look and cannot be lowered afterwards."""
    verdict_score: Mapping[str, VerdictScore] = {}
    """The score that the verdict goes by, by the name of a benchmark whose choices are compared by likelihood. Set it
    before the run. Default: accuracy, because it is what users of a model notice. The others show a loss with fewer
    items; all of them are always reported."""
    early_stop: bool = False
    """True: if scores are right or wrong, a benchmark ends for an arm as soon as the verdict is certain. Intervals then
    hold at any number of items, and are 1.55 to 1.8 times as wide as without early stopping."""
    assumed_discordance: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    """Share of questions that exactly one of arm and reference answers correctly, per single answer. 0.1 is typical of
    4-bit types on multiple choice. Only the plan's estimate depends on it."""
    assumed_sd_gold_probability: Annotated[float, Field(gt=0.0, le=1.0)] = 0.08
    """Standard deviation of an arm's loss in the probability of the right choice between items. 0.08 was measured for
    q4_k_m with SmolLM2-135M on ARC-Challenge (q8_0: 0.026). Only the plan's estimate depends on it."""
    assumed_sd_gold_loglik: Annotated[float, Field(gt=0.0)] = 0.9
    """The same for the log-likelihood of the right choice, in nats per answer (q8_0: 0.25)."""
    assumed_sd_ln_ppl: Annotated[float, Field(gt=0.0)] = 0.02
    """Standard deviation of an arm's loss in ln PPL between chunks, in nats per token. 0.02 was measured for q4_k_m on
    a small model; it also stands for gold solutions (0.009 to 0.041, see `benchmarks/solutions.py`). Only the plan's
    estimate depends on it."""

    def score_of(self, benchmark: str, metric: str) -> str:
        """Return the score that the verdict on a benchmark goes by. `metric`: the benchmark's own."""
        score = self.verdict_score.get(benchmark, "accuracy")
        return metric if score == "accuracy" else score
