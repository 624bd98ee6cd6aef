"""The Pareto front of a scatter panel."""

from __future__ import annotations

import pytest

from reporting.charts.points import Panel, Point
from reporting.charts.scatter import Cost, pareto_front
from reporting.wording import Scale


def point(arm: str, mean: float) -> Point:
    nothing = dict.fromkeys(("size_bytes", "low", "high", "run_low", "run_high"))
    return Point(arm=arm, label=arm, role="compared", mean=mean, text="", **nothing)


@pytest.mark.parametrize(
    ("higher_is_better", "front"), [(True, ["small", "middle", "large"]), (False, ["small", "odd"])]
)
def test_the_front_has_the_points_that_no_other_point_beats(higher_is_better: bool, front: list[str]) -> None:
    points = (point("large", 0.9), point("odd", 0.3), point("middle", 0.6), point("small", 0.5), point("?", 1.0))
    panel = Panel("b", "b", [], ("m", ""), higher_is_better, Scale(True, 1), points, ())
    cost = Cost("size", {"small": 1.0, "middle": 2.0, "odd": 3.0, "large": 4.0})
    assert [point.arm for point in pareto_front(panel, cost)] == front
