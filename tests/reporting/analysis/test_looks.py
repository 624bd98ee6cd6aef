"""Looks at single comparisons: the interval of a later look is the usual one of the same scores, only wider."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import special

from reporting.analysis.looks import History, Look, see
from stats.intervals import Interval
from stats.looks import PlannedLook, critical_values
from stats.paired import PairedDifference, Pairing, difference_interval


@pytest.mark.parametrize("span", [1.0, 4.0])
def test_a_later_look_at_scores_on_a_scale_keeps_the_interval_for_few_differences(span: float) -> None:
    shares = np.repeat([-0.5, 0.0], [3, 197])
    usual = difference_interval(shares, proportion=True)
    pairing = Pairing(pl.Series(range(200)), span * shares, np.zeros(200), None, 1, 0, 0)
    now = Look(200, "200", (0,), 200, {}, False, "2026-01-02", "p", finished=False)
    earlier = Look(100, "100", (0,), 200, {}, False, "2026-01-01", "p", finished=True, verdict="undecided")
    found = PairedDifference(float(span * shares.mean()), usual, 0.0, 200, 200)
    seen = see(History(now, (earlier,)), found, pairing, span=span, sequential=False)
    value = critical_values([PlannedLook(0.5), PlannedLook(1.0)])[-1]
    wider = difference_interval(shares, proportion=True, tail=float(special.ndtr(value)))
    assert isinstance(seen.interval, Interval) and isinstance(wider, Interval)
    assert seen.interval.method == "wilson_gains_losses"
    assert (seen.interval.low, seen.interval.high) == pytest.approx((span * wider.low, span * wider.high))
