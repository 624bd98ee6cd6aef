"""The chart of differences from the reference."""

from __future__ import annotations

from pathlib import Path

from reporting.charts.difference import difference_chart
from reporting.results_folder import read_findings
from reporting.wording import Words
from tests.reporting.charts.drawn import shown_by, values
from tests.reporting.results_folder import write_results

EN = Words("en")


def test_the_margin_is_drawn_on_the_worse_side(tmp_path: Path) -> None:
    chart = difference_chart(read_findings(write_results(tmp_path)), EN)
    assert chart is not None
    lines = [(values(panel, 0), values(panel, 1)) for panel in chart["concat"]]
    assert [zero for zero, _ in lines] == [[{"at": 0.0}]] * 4
    assert [margin for _, margin in lines] == [[{"at": -1.0}], [{"at": -1.0}], [{"at": 0.01}], [{"at": 0.01}]]
    text = shown_by(chart)
    assert "Dashed: the margin" in text
    assert "n = 40 pairs; exact sign-flip test" in text
    assert "−8.1 pp [−19.9, +3.7] undecided" in text
    assert "sign_flip" not in text
