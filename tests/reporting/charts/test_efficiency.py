"""The chart of memory and speed against performance."""

from __future__ import annotations

from pathlib import Path

import pytest

from reporting.charts.efficiency import memory_chart, speed_chart
from reporting.results_folder import read_findings
from reporting.wording import Words
from tests.reporting.charts.drawn import shown_by, values
from tests.reporting.results_folder import with_performance, write_results


def test_memory_and_time_are_drawn_for_each_benchmark(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path, with_performance))
    speed, memory = speed_chart(findings, Words("en")), memory_chart(findings, Words("en"))
    assert speed is not None
    assert memory is not None
    text = shown_by(speed)
    assert text.count("Time per token (ms)") == 4
    assert shown_by(memory).count("Memory in use (MiB)") == 4
    rows = {row["arm"]: row for row in values(memory["concat"][0], 0)}
    assert rows["q8_0"]["cost"] == pytest.approx(144_811_552 / 2**20 + 16 + 32)
    assert (rows["q8_0"]["size"], rows["q8_0"]["value"], rows["q8_0"]["n"]) == ("186.1", "48.7%", "39")
    assert set(rows) - {row["arm"] for row in values(speed["concat"][0], 0)} == {"f16"}
    assert "one sequence alone (2 rounds)" in text
    assert "Not timed, the machine was busy: f16" in text
