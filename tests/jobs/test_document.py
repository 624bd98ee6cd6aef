"""`jobs.document`: where the documents go, for results inside and outside of a run directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from actors.documentation.actor import DocumentationWorker
from actors.orders import ChartOrder, DocumentOrder
from actors.visualization.actor import VisualizationWorker
from jobs import document
from tests.reporting.results_folder import write_results


def test_in_a_run_directory_everything_goes_to_its_folder(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    output = tmp_path / "scorecards" / "quantization_evaluation.pdf"
    assert document.main(["--results", str(results), "--output", str(output), "--lang", "en"]) == 0
    assert output.is_file()
    assert (tmp_path / "methodology" / "quantization_methodology.md").is_file()
    assert (tmp_path / "reports" / "quantization_analysis_report.html").is_file()
    assert (tmp_path / "charts" / "quantization_performance.png").is_file()
    assert (tmp_path / "reports" / "answers_side_by_side.html").is_file()
    assert (tmp_path / "evaluation_results" / "answers.csv").is_file()


@pytest.mark.slow
def test_documents_go_beside_the_output_if_results_are_outside_of_a_run_directory(tmp_path: Path) -> None:
    results = write_results(tmp_path / "run")
    elsewhere = shutil.copytree(results.parent, tmp_path / "elsewhere") / results.name
    output = tmp_path / "out" / "card.pdf"
    assert document.main(["--results", str(elsewhere), "--output", str(output), "--lang", "en"]) == 0
    assert output.is_file()
    assert (tmp_path / "out" / "quantization_methodology.md").is_file()
    report = (tmp_path / "out" / "reports" / "quantization_analysis_report.md").read_text(encoding="utf-8")
    assert "../charts/quantization_performance.png" in report
    assert (tmp_path / "out" / "charts" / "quantization_performance.png").is_file()
    assert (tmp_path / "out" / "reports" / "answers_side_by_side.html").is_file()
    assert (tmp_path / "out" / "answers.parquet").is_file()


@pytest.mark.slow
def test_each_language_has_its_own_files_if_both_are_wanted(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    output = tmp_path / "scorecards" / "mine.pdf"
    assert document.main(["--results", str(results), "--output", str(output), "--lang", "both"]) == 0
    assert sorted(path.name for path in output.parent.iterdir()) == ["mine_en.pdf", "mine_ja.pdf"]
    for lang in ("ja", "en"):
        report = (tmp_path / "reports" / f"quantization_analysis_report_{lang}.md").read_text(encoding="utf-8")
        assert f"../charts/quantization_performance_{lang}.png" in report
        assert (tmp_path / "reports" / f"quantization_analysis_report_{lang}.html").is_file()


def test_without_a_language_the_scorecard_is_english(tmp_path: Path) -> None:
    options = document.parser().parse_args(["--results", "r.json", "--output", str(tmp_path / "x.pdf")])
    assert options.lang == "en"


def test_the_workers_draw_charts_and_write_documents(tmp_path: Path) -> None:
    results = str(write_results(tmp_path))
    charts = VisualizationWorker().draw(ChartOrder(results, str(tmp_path / "charts"), "en"))
    assert len(charts.paths) == 3 * 9  # picture, drawing and specification
    documents = DocumentationWorker().write(DocumentOrder(results, str(tmp_path), "en"))
    beside = 2 + 1  # the tables and the page of all answers
    assert len(documents.paths) == beside + 4 + 2 + 9  # the card, the file for its publisher, and the charts
    assert all(Path(path).is_file() for path in [*charts.paths, *documents.paths])
