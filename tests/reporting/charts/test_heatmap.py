"""The heat map of differences: its texts and its colours."""

from __future__ import annotations

from pathlib import Path

from reporting.charts.heatmap import heatmap_chart
from reporting.charts.style import configured
from reporting.results_folder import read_findings
from reporting.wording import Words
from tests.reporting.charts.drawn import shown_by
from tests.reporting.results_folder import write_results

EN = Words("en")


def test_the_heat_map_shows_difference_n_and_verdict(tmp_path: Path) -> None:
    chart = heatmap_chart(read_findings(write_results(tmp_path)), EN)
    assert chart is not None
    text = shown_by(chart)
    assert "−8.1 pp (n = 39, 22 unscored)" in text
    assert text.count("undecided") == 4
    assert "SmolLM2" in text


def test_better_has_the_same_colour_for_both_directions_of_the_metric(tmp_path: Path) -> None:
    """A higher loss is worse: its effect is turned."""
    chart = heatmap_chart(read_findings(write_results(tmp_path)), EN)
    assert chart is not None
    cells = configured(chart)["data"]["values"]
    worst = [cell for cell in cells if cell["arm"] == "q4_k_m"]
    assert len(worst) == 4
    assert all(cell["effect"] < 0 for cell in worst)
