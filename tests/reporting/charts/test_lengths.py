"""The violins of the lengths of answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reporting.charts.lengths import lengths_chart
from reporting.results_folder import read_findings
from reporting.wording import Words
from tests.reporting.charts.drawn import shown_by
from tests.reporting.results_folder import write_results


def test_the_reference_is_the_top_violin(tmp_path: Path) -> None:
    def reversed_arms(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        comparison["arms"].reverse()

    chart = lengths_chart(read_findings(write_results(tmp_path, reversed_arms)), Words("en"))
    assert chart is not None
    arms = [line for line in shown_by(chart).splitlines() if line in ("f16 (ref.)", "q8_0", "q4_k_m")]
    assert arms == ["f16 (ref.)", "q4_k_m", "q8_0"]
    assert [line for line in shown_by(chart).splitlines() if line in ("n = 117", "n = 101")][:2] == [
        "n = 117",
        "n = 101",
    ]
