"""The chart of memory and speed against performance."""

from __future__ import annotations

from pathlib import Path

import pytest

from reporting.charts.efficiency import speed_chart
from reporting.charts.style import configured
from reporting.results_folder import read_findings
from reporting.wording import Words
from tests.reporting.charts.drawn import shown_by, values
from tests.reporting.results_folder import with_performance, write_results


def test_memory_and_time_are_drawn_for_each_benchmark(tmp_path: Path) -> None:
    chart = speed_chart(read_findings(write_results(tmp_path, with_performance)), Words("en"))
    assert chart is not None
    text = shown_by(chart)
    assert text.count("Time per token (ms)") == 4
    assert text.count("Memory in use (MiB)") == 4
    panel = configured(chart)["concat"][0]
    costs = {row["arm"]: row["cost"] for row in values(panel, 1)}
    assert costs["q8_0"] == pytest.approx(144_811_552 / 2**20 + 16 + 32)
    times = {row["arm"]: row["cost"] for row in values(configured(chart)["concat"][1], 1)}
    assert set(costs) - set(times) == {"f16"}
    assert "a short fixed workload (2 rounds)" in text
    assert "Time not measured, because the machine was busy: f16" in text
