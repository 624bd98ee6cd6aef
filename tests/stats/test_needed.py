"""Items that would decide: cases by hand, agreement with the plan, and how often following the advice decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stats.intervals import Z, t_quantile
from stats.needed import LEAST_UNITS, Range, Seen, chance_to_decide, items_to_decide, items_without_loss, runs_to_decide
from stats.paired import wilson_of_shares
from stats.reasons import Reason

MARGIN = 0.01
SEEN = Seen(0.0, 0.1, 1000, 1000, 0.1, MARGIN, True)


def test_an_arm_that_loses_nothing_needs_the_textbook_number_of_items() -> None:
    # (1.96 + .8416)²·.1/.01² = 7849 by normal intervals; Wilson's are wider, as if z² items more were needed for each
    # half of the flips: 0.2% here.
    assert items_without_loss(0.1, MARGIN, proportion=True) == pytest.approx(7868, abs=1)
    # Without flips the interval ±z²/(n + z²) must lie within the margin: 381 items.
    assert items_without_loss(0.0, MARGIN, proportion=True) == 381


def test_the_plan_and_the_result_agree_on_the_same_data() -> None:
    # What the plan assumes is what was measured. The result does not take it for the truth, so its range lies around.
    for n in (200, 1000, 3000):
        found = items_to_decide(replace(SEEN, n_items=n, n_units=n))
        assert isinstance(found, Range)
        assert found.low < items_without_loss(0.1, MARGIN, proportion=True) < found.high
    # With a difference that is known, both are one number.
    known = replace(SEEN, variance=0.1, n_items=10**7, n_units=10**7)
    assert chance_to_decide(known, 10**7 + 1) == pytest.approx(1.0)


def test_from_few_items_nothing_is_said() -> None:
    few = replace(SEEN, n_items=400, n_units=LEAST_UNITS - 1)
    assert items_to_decide(few) is Reason.TOO_FEW_ITEMS
    assert isinstance(items_to_decide(replace(few, n_units=LEAST_UNITS)), Range)


def test_worse_needs_enough_differing_items_for_the_sign_flips() -> None:
    # Of 100 items 4 are lost. One-sided p is 2^-k at best: 6 differing items for .025, 8 among 5 benchmarks.
    lost = Seen(-0.04, 0.0384, 100, 100, 0.04, MARGIN, True)
    found = items_to_decide(lost), items_to_decide(replace(lost, n_tests=5))
    assert all(isinstance(one, Range) for one in found)
    assert chance_to_decide(lost, 110) < 0.05
    assert found[0].high < found[1].high  # type: ignore[union-attr]


def test_missing_records_take_their_part_of_the_margin() -> None:
    plain, missing = items_to_decide(SEEN), items_to_decide(replace(SEEN, missing=0.005))
    assert isinstance(plain, Range)
    assert isinstance(missing, Range)
    assert missing.high > plain.high


def test_repeats_help_only_as_far_as_sampling_is_the_cause() -> None:
    items = Range(1500, 2000)  # twice the information
    assert runs_to_decide(SEEN, items, 0.08, 5) == 14  # .05 - .02 is left for sampling: .4/.03
    assert runs_to_decide(SEEN, items, 0.05, 5) is Reason.MORE_RUNS_DO_NOT_HELP


def _is_decided(lost: int, gained: int, n: int) -> bool:
    interval = wilson_of_shares(gained / n, lost / n, n)
    return interval.low > -MARGIN or interval.high < -MARGIN


def _followed(rng: np.random.Generator, n: int, flipped: float, n_arms: int) -> tuple[float, float]:
    """Return how often the upper and the lower number decide, for arms that lose between nothing and some margins.

    True differences are normal with the margin as standard deviation. Only undecided arms get advice.
    """
    decided: list[list[bool]] = []
    while len(decided) < n_arms:
        truth = float(np.clip(rng.normal(0.0, MARGIN), -flipped, flipped))
        chances = [(flipped - truth) / 2, (flipped + truth) / 2, 1 - flipped]
        lost, gained, _ = rng.multinomial(n, chances)
        if _is_decided(lost, gained, n):
            continue
        mean = (gained - lost) / n
        variance = (lost + gained - n * mean**2) / (n - 1)
        found = items_to_decide(Seen(mean, variance, n, n, (lost + gained) / n, MARGIN, True))
        assert isinstance(found, Range)
        more = [rng.multinomial(one - n, chances) for one in (found.high, found.low)]
        totals = zip(more, (found.high, found.low), strict=True)
        decided.append([_is_decided(lost + new[0], gained + new[1], one) for new, one in totals])
    high, low = np.mean(decided, axis=0)
    return float(high), float(low)


@pytest.mark.parametrize(("n", "flipped"), [(100, 0.1), (440, 0.05), (1319, 0.1), (1319, 0.02)])
def test_following_the_upper_number_decides_in_70_to_90_percent(n: int, flipped: float) -> None:
    high, low = _followed(np.random.default_rng(1), n, flipped, 250)
    assert 0.70 <= high <= 0.92
    assert 0.3 <= low <= 0.7
    assert t_quantile(n - 1) > Z


def test_few_chunks_plan_for_a_larger_variance_than_they_showed() -> None:
    # The mean of the variances that fit 33 chunks is 32/30 of what they showed.
    few = Seen(0.0, 0.03, 33, 33, 1.0, MARGIN, False)
    found, known = items_to_decide(few), items_to_decide(replace(few, n_units=10**9))
    assert isinstance(found, Range) and isinstance(known, Range)
    assert found.high == pytest.approx(known.high * 32 / 30, rel=0.02)
