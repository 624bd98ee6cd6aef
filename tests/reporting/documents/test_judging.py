"""Judges in words: tables and sentences in both languages, the report, the methodology, and the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reporting.analysis.results import Results, build_results
from reporting.documents.markdown_files import methodology_markdown, report_markdown
from reporting.documents.page.page import report_html
from reporting.documents.sentences.judging import judging_sentences
from reporting.documents.tables.judging import corrected_table, judged_arms_table, judges_table
from reporting.documents.view import make_view
from reporting.results_folder import Findings
from reporting.terminal.judging_lines import judging_lines
from reporting.terminal.layout import WIDTH, display_width
from reporting.terminal.summary import summary_table
from reporting.wording import Lang, Words
from tests.reporting.judged_run import judged_run


@pytest.fixture(scope="module")
def results() -> Results:
    run, judgements, people = judged_run()
    return build_results(*run, judgements=judgements, human_scores=people)


@pytest.fixture(scope="module")
def findings(results: Results) -> Findings:
    return Findings(results.comparison, results.analysis)


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_tables_have_a_row_for_each_judge_and_arm(findings: Findings, lang: Lang) -> None:
    words = Words(lang)
    judges = judges_table(findings, words)
    assert [row[1].split(" (")[0] for row in judges.rows][1:] == ["owl", "hen", "old"]
    assert [len(row) for row in judges.rows] == [len(judges.headers)] * 4
    arms = judged_arms_table(findings, words)
    assert [row[1] for row in arms.rows] == ["f16"] * 4 + ["q8_0"] * 3 + ["q4_k_m"] * 3
    corrected = corrected_table(findings, words)
    assert len(corrected.rows) == 10
    assert {row[3] for row in corrected.rows} == {"40"}


def test_sentences_say_what_a_reader_in_a_hurry_needs(findings: Findings) -> None:
    said = judging_sentences(findings, Words("en"))
    text = "\n".join(said)
    assert "owl gives an answer nearly the same score each time" in text
    assert "hen often changes its score" in text
    assert "owl, hen disagree: do not rely on their mean alone" in text
    assert "with owl," in text and "at equal length it would be" in text
    assert "with hen," not in text  # its interval includes 0
    assert "corrected by human scores, q4_k_m differs from f16 by" in text
    assert "drawn at random" in said[-1]


def test_both_languages_say_the_same(findings: Findings) -> None:
    said = {lang: judging_sentences(findings, Words(lang)) for lang in ("ja", "en")}
    assert len(said["ja"]) == len(said["en"])
    assert all(one.startswith("elyza: ") for lang in said for one in said[lang])


def test_without_human_scores_that_is_said(findings: Findings) -> None:
    entry = {**findings.judging[0], "human_scores": None}
    without = Findings(findings.comparison, {**(findings.analysis or {}), "judging": [entry]})
    assert "nobody knows how far the judges agree with people" in judging_sentences(without, Words("en"))[-1]
    assert "no human scores" in judging_lines(entry)[1]


def test_the_terminal_has_two_lines_on_judges(results: Results) -> None:
    text = summary_table(results.comparison, results.analysis)
    assert "owl with itself 0.8" in text
    assert "owl, hen with each other" in text.replace("\n  ", " ")
    assert "q4_k_m -0.30 [" in text.replace("\n  ", " ")
    assert max(display_width(line) for line in text.splitlines()) <= WIDTH


def test_results_without_judges_say_nothing_about_them(findings: Findings) -> None:
    analysis: dict[str, Any] = {**(findings.analysis or {}), "judging": []}
    without = Findings(findings.comparison, analysis)
    assert judging_sentences(without, Words("ja")) == []
    assert judges_table(without, Words("ja")).rows == ()
    assert judging_lines(None) == []


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_report_methodology_and_page_have_a_part_on_judges(findings: Findings, lang: Lang, tmp_path: Path) -> None:
    words = Words(lang)
    view = make_view(findings, words, tmp_path)
    report, methodology = report_markdown(view), methodology_markdown(view)
    assert f"\n## {words.say('採点モデル', 'Judges')}\n" in report
    assert words.say("人の採点による補正", "Corrected by human scores") in report
    assert "arXiv:2311.01453" in methodology
    page = report_html(view, methodology, tmp_path)
    assert all(one.replace("'", "&#39;") in page for one in view.judging)
    assert view.cite("ppi") and view.cite("krippendorff")
