"""The chart of divergence against file size."""

from __future__ import annotations

from pathlib import Path

from conf.files import write_json
from reporting.charts.divergence import divergence_chart
from reporting.results_folder import Findings, read_findings
from reporting.wording import Words
from tests.reporting.charts.drawn import shown_by
from tests.reporting.divergence_run import divergence_results


def write_divergence(folder: Path) -> Findings:
    results = divergence_results()
    path = folder / "quantization_comparison.json"
    write_json(path, results.comparison)
    write_json(folder / "statistical_analysis.json", results.analysis)
    return read_findings(path)


def test_divergence_is_drawn_for_each_text(tmp_path: Path) -> None:
    chart = divergence_chart(write_divergence(tmp_path), Words("en"))
    assert chart is not None
    text = shown_by(chart)
    assert text.count("n = 24 chunks, 6,144 tokens") == 2
    assert "Mean KLD, nats/token" in text
    assert "f16" not in text  # the reference has no divergence from itself
