"""The verdict: is an arm no worse than its reference, worse, or is it undecided?

The margin δ is the loss that is still acceptable. It is fixed before the run. Scores between 0 and 1 have a second one:
at most a share of what the reference gets right beyond guessing may be lost (`stats.guards`). Per benchmark:

- no worse: the lower end of the two-sided 95% interval of the difference lies above -δ (a one-sided test of
  non-inferiority at 2.5%), also if every unscored record counts against the arm; the share of what the reference gets
  right is kept with the same confidence; and the reference lies neither at the floor nor at the ceiling of the
  benchmark, where no loss could show;
- worse: the loss exceeds a margin. The whole interval lies below -δ (or below the share to keep), and the sign flips
  agree that there is a loss: the one-sided p value of "the loss is at most the margin" is below 2.5%;
- undecided: anything else. An interval that includes 0 does not prove equality. A loss that is shown (two-sided p below
  .05, adjusted over the arm's benchmarks) but may be smaller than the margin is named, and decides nothing.

Over all benchmarks, an arm is no worse if it is no worse on every one (an intersection-union test, so nothing is
adjusted). It is worse if its p value on any of them is below 2.5% after Holm's adjustment over the benchmarks.

All differences here are oriented: positive is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from scipy import special

from stats import power
from stats.intervals import TAIL, Interval, Z, t_quantile
from stats.reasons import Reason

ALPHA = 0.05
ONE_SIDED = 1 - TAIL
"""Level of each of the two claims: 2.5%."""


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
    BELOW_SHARE = "below_share"
    """More is lost than the share that may be lost of what the reference gets right."""
    ADJUSTED_P = "adjusted_p"
    """A loss beyond the margin is also shown after adjustment for the number of benchmarks."""
    MEASURABLY_WORSE = "measurably_worse"
    """No worse by the margin, but the interval lies below 0."""
    MEASURABLY_BETTER = "measurably_better"
    """The interval lies above 0."""
    LOSS_SHOWN = "loss_shown"
    """A loss is shown (adjusted p < .05). Whether it exceeds the margin is open."""
    UNSCORED = "unscored"
    """No worse by the scored records, but not if the unscored ones count against the arm."""
    FLOOR = "floor"
    """The reference gets so little right beyond guessing that a loss of the margin could not show."""
    CEILING = "ceiling"
    """The reference gets nearly everything right: less is wrong than the margin, so the items are too easy."""
    SPANS_SHARE = "spans_share"
    """Within the margin, but more may be lost than the share that may be lost of what the reference gets right."""
    SPANS_MARGIN = "spans_margin"
    """The interval contains losses smaller and larger than the margin."""
    NO_INTERVAL = "no_interval"
    """There is no interval to judge by."""
    NO_MARGIN = "no_margin"
    """No margin is set for the metric, so an arm can be neither "no worse" nor "worse"."""
    NOT_JUDGED = "not_judged"
    """The answers wait for a judge, so there are no scores."""
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


CARRIED = (Ground.LOSS_SHOWN, Ground.UNSCORED, Ground.FLOOR, Ground.CEILING)
"""Grounds of a benchmark that an undecided arm carries too: more items of the same kind are not the (only) answer."""


@dataclass(frozen=True)
class Judgement:
    """A verdict with its grounds."""

    verdict: Verdict
    grounds: tuple[Ground, ...]


@dataclass(frozen=True)
class Evidence:
    """What the verdict on one benchmark rests on."""

    difference: float | Reason
    """Arm minus reference, positive is better."""
    interval: Interval | Reason
    """Its two-sided 95% interval, oriented the same way."""
    margin: float | None
    """δ > 0, on the scale of the difference. None: no margin is set."""
    p_loss: float | Reason
    """Two-sided p value of "no difference", adjusted over the arm's benchmarks."""
    p_beyond: float | Reason
    """One-sided p value of "the loss is at most the margin" (`p_beyond`)."""
    p_beyond_adjusted: float | Reason
    """The same, adjusted over the arm's benchmarks."""
    kept: Interval | None = None
    """Interval of what is kept beyond the share to keep (`stats.guards.kept_interval`). None: no share is set."""
    missing: bool = False
    """Whether planned records are unscored that could have been scored."""
    worst: Interval | None = None
    """The interval if these records count against the arm. None: the scale has no worst score."""
    worst_kept: Interval | None = None
    """`kept` in that case."""
    level: Ground | None = None
    """`FLOOR` or `CEILING`, if the reference lies there."""


def judge(evidence: Evidence) -> Judgement:
    """Return the verdict on one benchmark."""
    margin, interval = evidence.margin, evidence.interval
    shown = (Ground.LOSS_SHOWN,) if _loss_shown(evidence) else ()
    if margin is None:
        return Judgement(Verdict.UNDECIDED, (*shown, Ground.NO_MARGIN))
    if not isinstance(interval, Interval):
        return Judgement(Verdict.UNDECIDED, (*shown, Ground.NO_INTERVAL))
    if _below(evidence.p_beyond):
        ground = Ground.BELOW_MARGIN if interval.high < -margin else Ground.BELOW_SHARE
        return Judgement(Verdict.WORSE, (ground, *((Ground.ADJUSTED_P,) if _below(evidence.p_beyond_adjusted) else ())))
    doubts = _doubts(evidence, interval, margin)
    if doubts:
        return Judgement(Verdict.UNDECIDED, (*shown, *doubts))
    return Judgement(Verdict.NO_WORSE, (Ground.ABOVE_MARGIN, *_zero_grounds(interval)))


def _below(p_value: float | Reason) -> bool:
    return isinstance(p_value, float) and p_value < ONE_SIDED


def _loss_shown(evidence: Evidence) -> bool:
    """Return whether test and interval both show a loss. Few differing items can let only one of them."""
    found = evidence.interval
    ends = found.high if isinstance(found, Interval) else evidence.difference
    lost = isinstance(ends, float) and ends < 0
    return lost and isinstance(evidence.p_loss, float) and evidence.p_loss < ALPHA


def _doubts(evidence: Evidence, interval: Interval, margin: float) -> tuple[Ground, ...]:
    """Return why the arm may not be called no worse; nothing if it may."""
    found = []
    within = interval.low > -margin
    if not within:
        found.append(Ground.SPANS_MARGIN)
    keeps = evidence.kept is None or evidence.kept.low > 0
    if within and not keeps:
        found.append(Ground.SPANS_SHARE)
    # If the scored records leave it open anyway, unscored ones are the reason only where no worst score exists.
    if evidence.missing and not _worst_holds(evidence, margin) and (not found or evidence.worst is None):
        found.append(Ground.UNSCORED)
    if evidence.level is not None:
        found.append(evidence.level)
    return tuple(found)


def _worst_holds(evidence: Evidence, margin: float) -> bool:
    if evidence.worst is None or evidence.worst.low <= -margin:
        return False
    return evidence.worst_kept is None or evidence.worst_kept.low > 0


def _zero_grounds(interval: Interval) -> tuple[Ground, ...]:
    if interval.high < 0:
        return (Ground.MEASURABLY_WORSE,)
    return (Ground.MEASURABLY_BETTER,) if interval.low > 0 else ()


def judge_overall(judgements: Sequence[Judgement]) -> Judgement:
    """Return the verdict over all benchmarks of an arm."""
    if not judgements:
        return Judgement(Verdict.UNDECIDED, (Ground.NOTHING_COMPARED,))
    verdicts = {one.verdict for one in judgements}
    if any(Ground.ADJUSTED_P in one.grounds for one in judgements if one.verdict is Verdict.WORSE):
        return Judgement(Verdict.WORSE, (Ground.SOME_WORSE,))
    if verdicts == {Verdict.NO_WORSE}:
        return Judgement(Verdict.NO_WORSE, (Ground.ALL_BENCHMARKS,))
    grounds = (Ground.WORSE_BEFORE_ADJUSTMENT,) if Verdict.WORSE in verdicts else ()
    undecided = (Ground.SOME_UNDECIDED,) if Verdict.UNDECIDED in verdicts else ()
    of_benchmarks = {ground for one in judgements if one.verdict is Verdict.UNDECIDED for ground in one.grounds}
    carried = tuple(ground for ground in CARRIED if ground in of_benchmarks)
    return Judgement(Verdict.UNDECIDED, (*grounds, *undecided, *carried))


# --- the loss beyond the margin -------------------------------------------------------------------


def p_beyond(estimate: float, interval: Interval, threshold: float, n_units: int) -> float:
    """Return the one-sided p value of "the true value is at least the threshold".

    The upper half of the interval is stretched until it reaches the threshold. So the p value is below 2.5% exactly if
    the whole interval lies below the threshold. For Student's t it is the usual p value.

    Args:
        estimate: the mean difference, or what is kept beyond the share to keep.
        interval: its 95% interval.
        threshold: -δ, or 0.
        n_units: number of items, or of clusters if there are any.
    """
    half, distance = interval.high - estimate, threshold - estimate
    if distance <= 0 or half <= 0 or interval.method == "score_range":
        return 1.0
    if interval.method in ("t", "t_clustered"):
        return float(special.stdtr(n_units - 1, -t_quantile(n_units - 1) * distance / half))
    return float(special.ndtr(-Z * distance / half))


def with_sign_flips(p_value: float, p_two_sided: float | Reason, difference: float) -> float:
    """Return the p value of a loss beyond the margin, raised to what the sign flips allow to say about any loss.

    Two lost items of two are beyond every margin by their interval, and one of four sign assignments by their signs.
    """
    if isinstance(p_two_sided, Reason) or difference >= 0:
        return 1.0
    return max(p_value, p_two_sided / 2)


# --- the smallest loss that a run like this one finds ---------------------------------------------


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
