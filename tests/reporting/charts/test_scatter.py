"""Panels of points: their axes, and points that would cover each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reporting.charts.scatter import CostAxis, Place, cost_axis, side_by_side, tick_marks


def test_points_of_equal_cost_stand_side_by_side() -> None:
    place = Place(200, 100, CostAxis([0.0, 10.0], False, {}), [0.0, 1.0])
    drawn = side_by_side([5.0, 2.0, 5.0, 9.0], place)
    assert (drawn[1], drawn[3]) == (2.0, 9.0)
    assert place.x(drawn[2]) - place.x(drawn[0]) == pytest.approx(11)
    assert (drawn[0] + drawn[2]) / 2 == pytest.approx(5.0)


def test_many_points_of_equal_cost_stay_near_it() -> None:
    place = Place(200, 100, CostAxis([1.0, 100.0], True, {}), [0.0, 1.0])
    drawn = [place.x(at) for at in side_by_side([10.0] * 13, place)]
    assert max(drawn) - min(drawn) == pytest.approx(44)


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=8))
def test_an_axis_of_costs_holds_all_values_and_nothing_below_zero(costs: list[float]) -> None:
    axis = cost_axis(costs)
    assert axis.ends[0] >= 0
    assert all(0 <= axis.share(cost) <= 1 for cost in costs)
    assert all(axis.at(axis.share(cost)) == pytest.approx(cost, rel=1e-6, abs=1e-9) for cost in costs)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    marks = tick_marks(low, low + span)
    assert 2 <= len(marks) <= 7 or span < 1e-9 * abs(low)
    assert all(low - 1e-6 * span <= mark <= low + span * (1 + 1e-6) for mark in marks) or span < 1e-6 * abs(low)
