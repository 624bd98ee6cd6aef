"""The chart of differences from the reference."""

from __future__ import annotations

from pathlib import Path

from reporting.charts.difference import difference_chart
from reporting.charts.style import configured
from reporting.results_folder import read_findings
from reporting.wording import Words
from tests.reporting.charts.drawn import shown_by, values
from tests.reporting.results_folder import write_results

EN = Words("en")


def test_the_margin_is_drawn_on_the_worse_side(tmp_path: Path) -> None:
    chart = difference_chart(read_findings(write_results(tmp_path)), EN)
    assert chart is not None
    margins = [values(panel, 1) for panel in configured(chart)["concat"]]
    assert margins == [[{"margin": -1.0}], [{"margin": -1.0}], [{"margin": 0.01}], [{"margin": 0.01}]]
    assert "Dashed: the margin" in shown_by(chart)
