"""The verdict: is an arm no worse than its reference, worse, or is it undecided?

The margin δ is the loss that is still acceptable. It is fixed before the run. Per benchmark:

- no worse: the lower end of the two-sided 95% interval of the difference lies above -δ (a one-sided test of
  non-inferiority at 2.5%);
- worse: the whole interval lies below -δ; or the difference is negative, its adjusted p value is below .05, and the arm
  is not "no worse";
- undecided: anything else. An interval that includes 0 does not prove equality.

Over all benchmarks, an arm is no worse if it is no worse on every one (an intersection-union test, so nothing is
adjusted). It is worse if it is worse on any of them and this survives Holm's adjustment over the benchmarks.

All differences here are oriented: positive is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from stats import power
from stats.intervals import Interval, Z, t_quantile
from stats.paired import wilson_of_shares
from stats.reasons import Reason

ALPHA = 0.05
_MOST_ITEMS = 10**9
"""A larger number of items counts as "never"."""


class Verdict(StrEnum):
    """What the data allow to say about an arm."""

    NO_WORSE = "no_worse"
    WORSE = "worse"
    UNDECIDED = "undecided"


class Ground(StrEnum):
    """Why a verdict is what it is. These are codes, so that documents can express them in any language."""

    ABOVE_MARGIN = "above_margin"
    """The whole interval lies above minus the margin."""
    BELOW_MARGIN = "below_margin"
    """The whole interval lies below minus the margin."""
    ADJUSTED_P = "adjusted_p"
    """The loss is real (adjusted p < .05), and a loss beyond the margin cannot be excluded."""
    MEASURABLY_WORSE = "measurably_worse"
    """No worse by the margin, but the interval lies below 0."""
    MEASURABLY_BETTER = "measurably_better"
    """The interval lies above 0."""
    SPANS_MARGIN = "spans_margin"
    """The interval contains losses smaller and larger than the margin."""
    NO_INTERVAL = "no_interval"
    """There is no interval to judge by."""
    NO_MARGIN = "no_margin"
    """No margin is set for the metric, so an arm cannot be "no worse"."""
    LOOKS_SPENT = "looks_spent"
    """Earlier looks have spent the level, so this one can claim nothing new."""
    KEPT_FOR_LATER_LOOKS = "kept_for_later_looks"
    """The 95% interval would claim something, but this look at a part of the planned items may spend only its part."""
    ALL_BENCHMARKS = "all_benchmarks"
    """Overall: no worse on every benchmark."""
    SOME_WORSE = "some_worse"
    """Overall: worse on at least one benchmark after adjustment."""
    SOME_UNDECIDED = "some_undecided"
    """Overall: undecided on at least one benchmark."""
    WORSE_BEFORE_ADJUSTMENT = "worse_before_adjustment"
    """Overall: worse on one benchmark, but this does not survive the adjustment for the number of benchmarks."""
    NOTHING_COMPARED = "nothing_compared"
    """Overall: there is no benchmark to judge by."""


@dataclass(frozen=True)
class Judgement:
    """A verdict with its grounds."""

    verdict: Verdict
    grounds: tuple[Ground, ...]


@dataclass(frozen=True)
class Needed:
    """What would decide an undecided benchmark with 80% power if the true difference equals the observed one."""

    n_items: int | Reason
    n_runs: int | Reason
    """Repeats of the same items."""


def judge(
    difference: float | Reason, interval: Interval | Reason, p_adjusted: float | Reason, margin: float | None
) -> Judgement:
    """Return the verdict on one benchmark.

    Args:
        difference: arm minus reference, positive is better.
        interval: its two-sided 95% interval, oriented the same way.
        p_adjusted: two-sided, adjusted over the arm's benchmarks.
        margin: δ > 0, on the scale of the difference. None: no margin is set.
    """
    significant = isinstance(p_adjusted, float) and p_adjusted < ALPHA
    lost = significant and isinstance(difference, float) and difference < 0
    if isinstance(interval, Interval) and margin is not None:
        if interval.low > -margin:
            return Judgement(Verdict.NO_WORSE, (Ground.ABOVE_MARGIN, *_zero_grounds(interval)))
        if interval.high < -margin:
            return Judgement(Verdict.WORSE, (Ground.BELOW_MARGIN, *((Ground.ADJUSTED_P,) if lost else ())))
    if lost:
        return Judgement(Verdict.WORSE, (Ground.ADJUSTED_P,))
    if margin is None:
        return Judgement(Verdict.UNDECIDED, (Ground.NO_MARGIN,))
    ground = Ground.SPANS_MARGIN if isinstance(interval, Interval) else Ground.NO_INTERVAL
    return Judgement(Verdict.UNDECIDED, (ground,))


def _zero_grounds(interval: Interval) -> tuple[Ground, ...]:
    if interval.high < 0:
        return (Ground.MEASURABLY_WORSE,)
    return (Ground.MEASURABLY_BETTER,) if interval.low > 0 else ()


def judge_overall(judgements: Sequence[Judgement]) -> Judgement:
    """Return the verdict over all benchmarks of an arm."""
    if not judgements:
        return Judgement(Verdict.UNDECIDED, (Ground.NOTHING_COMPARED,))
    verdicts = {one.verdict for one in judgements}
    # A single benchmark has nothing to adjust for.
    alone = len(judgements) == 1 and verdicts == {Verdict.WORSE}
    if alone or any(Ground.ADJUSTED_P in one.grounds for one in judgements if one.verdict is Verdict.WORSE):
        return Judgement(Verdict.WORSE, (Ground.SOME_WORSE,))
    if verdicts == {Verdict.NO_WORSE}:
        return Judgement(Verdict.NO_WORSE, (Ground.ALL_BENCHMARKS,))
    grounds = (Ground.WORSE_BEFORE_ADJUSTMENT,) if Verdict.WORSE in verdicts else ()
    undecided = (Ground.SOME_UNDECIDED,) if Verdict.UNDECIDED in verdicts else ()
    return Judgement(Verdict.UNDECIDED, (*grounds, *undecided))


def standard_error_of(difference: float, interval: Interval, n_units: int) -> float:
    """Return the standard error that corresponds to the lower half of an interval.

    Args:
        difference: the interval's centre, or the estimate if the interval is not symmetric.
        interval: a t interval or a score interval.
        n_units: number of items, or of clusters if there are any.
    """
    quantile = t_quantile(n_units - 1) if interval.method in ("t", "t_clustered") else Z
    return (difference - interval.low) / quantile


def detectable_drop(difference: float, interval: Interval, n_units: int) -> float:
    """Return the smallest true drop that a run like this one finds with 80% power, given the observed spread.

    Args: as in `standard_error_of`.
    """
    return power.normal_sum() * standard_error_of(difference, interval, n_units)


def needed_to_decide(
    difference: float,
    variance: float,
    n_items: int,
    margin: float,
    *,
    within_variance: float | None,
    n_runs: int,
) -> Needed:
    """Return the number of items, or of repeats of these items, that would decide the verdict.

    If the difference lies above minus the margin, the lower end of the interval must rise above -δ, so the distance to
    the margin counts. Otherwise the distance to zero counts, because a loss beyond the margin only needs to be shown to
    be real.

    Args:
        difference: the observed difference, oriented.
        variance: variance of one item's difference, with the current repeats.
        n_items: number of paired items.
        margin: δ > 0.
        within_variance: part of `variance` that comes from repeats, σ²_arm/R + σ²_reference/R. None: nothing is
            sampled.
        n_runs: repeats R.
    """
    distance = difference + margin if difference > -margin else difference
    needed = power.items_needed(variance, distance)
    if needed > _MOST_ITEMS:
        return Needed(Reason.ON_THE_MARGIN, Reason.ON_THE_MARGIN)
    items = max(n_items + 1, needed)
    if within_variance is None:
        return Needed(items, Reason.MORE_RUNS_DO_NOT_HELP)
    allowed = n_items * distance**2 / power.normal_sum() ** 2  # largest variance of an item's difference that decides
    left = allowed - max(0.0, variance - within_variance)
    if left <= 0:
        return Needed(items, Reason.MORE_RUNS_DO_NOT_HELP)
    return Needed(items, max(n_runs + 1, power.runs_needed(within_variance * n_runs, left)))


def items_to_decide_flips(gain: float, loss: float, n_items: int, margin: float) -> int | Reason:
    """Return the items at which the interval of few flips decides with 80% power, if flips go on at this rate.

    If almost no answer flipped, there is no spread to compute with. So the interval itself is used: its half towards
    the margin (or towards zero, for a loss beyond the margin) is stretched by (z_.975 + z_.80)/z_.975.

    Args:
        gain: share of items gained.
        loss: share of items lost.
        n_items: current number of items.
        margin: δ > 0.
    """
    difference, stretch = gain - loss, power.normal_sum() / Z

    def decides(n: int) -> bool:
        interval = wilson_of_shares(gain, loss, n)
        if difference > -margin:
            return difference - stretch * (difference - interval.low) > -margin
        return difference + stretch * (interval.high - difference) < 0

    low, high = n_items, n_items + 1
    while not decides(high):
        low, high = high, high * 2
        if high > _MOST_ITEMS:
            return Reason.ON_THE_MARGIN
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high
