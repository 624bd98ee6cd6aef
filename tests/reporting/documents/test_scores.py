"""Documents of a run with continuous scores: tables of the other scores, and the score that a verdict goes by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pypdf
import pytest

from conf.schema.verdicts import Statistics
from reporting.analysis.results import build_results
from reporting.documents.markdown_files import report_markdown
from reporting.documents.view import make_view
from reporting.documents.write import DocumentPlaces, write_documents
from reporting.file_names import in_language
from reporting.results_folder import read_findings
from reporting.wording import Words
from tests.reporting.results_folder import write_results
from tests.reporting.scores_run import scores_run

REPORT = "reports/quantization_analysis_report.md"
METHODOLOGY = "methodology/quantization_methodology.md"
SCORECARD = "scorecards/quantization_evaluation.pdf"


def _results(run: Path, chosen: dict[str, str]) -> Path:
    made = build_results(*scores_run(), Statistics.model_validate({"verdict_score": chosen}))

    def change(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
        comparison.update(made.comparison)
        analysis.update(made.analysis)

    return write_results(run, change)


def test_other_scores_have_their_own_table_and_no_verdict(tmp_path: Path) -> None:
    report = report_markdown(make_view(read_findings(_results(tmp_path, {})), Words("en"), tmp_path / "charts"))
    table = report.partition("Differences by other scores (not used for the verdict)")[2].partition("\n###")[0]
    assert "| Arm − reference | Metric | n pairs | Difference | 95% CI | Margin |" in table
    (row,) = [line for line in table.splitlines() if "q4_k_m" in line and "Probability of the right choice" in line]
    assert " pp | [" in row
    assert "| 0.5% |" in row
    assert "worse" not in table


def test_the_score_of_a_verdict_is_named_with_its_margin_everywhere(tmp_path: Path) -> None:
    run = tmp_path
    write_documents(_results(run, {"arc_challenge": "gold_probability"}), DocumentPlaces.of_run(run), "en")
    report = (run / REPORT).read_text(encoding="utf-8")
    compared = "Accuracy<br>verdict: Probability of the right choice"
    assert compared in (run / METHODOLOGY).read_text(encoding="utf-8")
    table = report.partition("Differences by other scores (not used for the verdict)")[2].partition("\n###")[0]
    assert "Accuracy" in table
    assert "Probability" not in table
    methodology = (run / METHODOLOGY).read_text(encoding="utf-8")
    assert "`arc_challenge` `gold_probability`" in methodology
    assert "The margins are 0.005 and 0.05" in methodology
    text = " ".join("\n".join(page.extract_text() for page in pypdf.PdfReader(run / SCORECARD).pages).split())
    assert "0.005 for the probability of the right choice" in text


@pytest.mark.parametrize("name", [REPORT, METHODOLOGY])
def test_a_run_without_likelihoods_says_nothing_of_them(run: Path, name: str) -> None:
    text = in_language(run / name, "en", "both").read_text(encoding="utf-8")
    assert "other scores" not in text
    assert "gold_probability" not in text
