"""A study's grid from records to words: its cells, its contrasts, what they differ in, and what documents say of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from reporting.analysis.results import build_results
from reporting.charts.draw import draw_charts
from reporting.documents.grid_section import grid_sections
from reporting.documents.write import DocumentPlaces, write_documents
from reporting.results_folder import read_findings
from reporting.terminal.summary import WIDTH, display_width, summary_table
from reporting.validate import validate
from reporting.wording import Words
from tests.reporting.study_run import ENGLISH, JAPANESE, LOSS, MATRICES, RECIPES, study_results, study_run, write_study


@pytest.fixture(scope="module")
def grid() -> dict[str, Any]:
    validate("statistical_analysis", study_results().analysis)
    found: dict[str, Any]
    (found,) = study_results().analysis["factorial"]
    return found


def _contrast(grid: dict[str, Any], level: str, baseline: str, within: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = [
        row
        for row in grid["contrasts"]
        if (row["levels"], row["baselines"], row["within"]) == ([level], [baseline], within)
    ]
    return found


def test_a_published_file_is_compared_and_no_cell_of_the_grid(grid: dict[str, Any]) -> None:
    assert len(grid["cells"]) == len(RECIPES) * len(MATRICES)
    assert "published" not in {cell["arm"] for cell in grid["cells"]}
    assert "published" in {row["arm"] for row in study_results().analysis["comparisons"]}


def test_recipes_that_make_the_same_weights_are_named(grid: dict[str, Any]) -> None:
    assert grid["equal_recipes"] == [["q4_k_m", "q4_k_l"]]
    (twin,) = [row for row in grid["effects"] if row["levels"] == ["q4_k_l"]]
    assert (twin["estimate"], twin["ci95"], twin["ci95_reason"]) == (0.0, None, "zero_variance")


@pytest.mark.parametrize(
    ("level", "baseline", "differs_in"),
    [
        ("en5", "en", ["amount"]),
        ("en1-ja4", "en5", ["text"]),
        ("en1-ja4", "en", ["amount", "text"]),
        ("en", "none", None),
    ],
)
def test_contrasts_find_the_known_effects_and_say_what_differs(
    grid: dict[str, Any], level: str, baseline: str, differs_in: list[str] | None
) -> None:
    for language in (ENGLISH, JAPANESE):
        row = _contrast(grid, level, baseline, language)
        assert row["differs_in"] == differs_in
        assert row["estimate"] == pytest.approx(LOSS[language][level] - LOSS[language][baseline], abs=0.004)


def test_the_difference_between_languages_is_there_too(grid: dict[str, Any]) -> None:
    (row,) = [
        one
        for one in grid["contrasts"]
        if one["levels"] == ["en1-ja4", JAPANESE] and one["baselines"] == ["en5", ENGLISH]
    ]
    inside = [_contrast(grid, "en1-ja4", "en5", language)["estimate"] for language in (JAPANESE, ENGLISH)]
    assert row["estimate"] == pytest.approx(inside[0] - inside[1])
    assert (row["within"], row["factors"]) == (None, ["imatrix", "language"])


def test_a_matrix_that_came_as_a_file_differs_in_nobody_knows_what() -> None:
    run, records, timings = study_run()
    run = copy.deepcopy(run)
    run["imatrices"] = [one for one in run["imatrices"] if one["name"] != "en5"]
    (grid,) = build_results(run, records, timings).analysis["factorial"]
    assert _contrast(grid, "en5", "en", ENGLISH)["differs_in"] is None


def test_the_same_file_read_by_other_rules_is_another_text() -> None:
    run, records, timings = study_run()
    run = copy.deepcopy(run)
    (control,) = [one for one in run["imatrices"] if one["name"] == "en5"]
    control["rules"] = control["rules"] | {"chat_template": not control["rules"]["chat_template"]}
    (grid,) = build_results(run, records, timings).analysis["factorial"]
    assert _contrast(grid, "en5", "en", ENGLISH)["differs_in"] == ["amount", "text"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    results = write_study(folder)
    draw_charts(results, folder / "charts", "both")
    write_documents(results, DocumentPlaces.of_run(folder), "both")
    return folder


def test_report_and_card_show_a_figure_a_language(run_dir: Path) -> None:
    for language in (ENGLISH, JAPANESE):
        assert (run_dir / "charts" / f"imatrix_{language}.svg").is_file()
        assert (run_dir / "publish" / "charts" / f"imatrix_{language}.png").is_file()
        for path in (run_dir / "reports" / "quantization_analysis_report.md", run_dir / "publish" / "README.md"):
            assert f"charts/imatrix_{language}.png" in path.read_text(encoding="utf-8")


def test_the_sentences_follow_the_adjusted_p_values(run_dir: Path) -> None:
    findings = read_findings(run_dir / "evaluation_results" / "quantization_comparison.json")
    (section,) = grid_sections(findings, Words("en"))
    assert section.separates_text_from_amount
    (text,) = [one for one in section.sentences["en"] if one.startswith("en1-ja4 − en5")]
    english, japanese = text.split("; ")
    assert english.endswith("no difference is shown")
    assert japanese.endswith("p < 0.001, shown to lose less.")
    assert "the effect of its language" in english
    (text,) = [one for one in section.sentences["ja"] if one.startswith("en1-ja4 − en(")]
    assert "分けられない" in text
    assert any("40 chunks each" in one for one in section.sentences["en"])


def test_report_and_card_carry_the_warnings_in_both_languages(run_dir: Path) -> None:
    warnings = (
        "do not carry over to others",
        "ほかのモデルには当てはまらない",
        "Do not read small differences in perplexity as facts",
        "小さな差を事実と見なさない",
        "More calibration text may help by itself. Only the difference from a control of equal amount",
        "較正テキストは、量を増やすだけで効果が出る可能性がある",
        "Results on real tasks count for more than perplexity",
        "実際のタスク",
    )
    for path in (run_dir / "reports" / "quantization_analysis_report.md", run_dir / "publish" / "README.md"):
        text = path.read_text(encoding="utf-8")
        assert [words for words in warnings if words not in text] == []
        assert "en1-ja4 − en5" in text


def test_effects_of_equal_recipes_stand_in_no_table(run_dir: Path) -> None:
    report = (run_dir / "reports" / "quantization_analysis_report.md").read_text(encoding="utf-8")
    assert "q4_k_m and q4_k_l gave the same result on every chunk" in report
    assert "q4_k_l − q4_k_m" not in report
    assert "q4_k_m-fp16 − q4_k_m" in report


def test_the_summary_has_main_effects_and_every_pair_in_each_language() -> None:
    results = study_results()
    text = summary_table(results.comparison, results.analysis)
    section = text[text.index("Effects of recipe") :].split("\n\n")[0]
    lines = section.splitlines()
    assert sum(line.startswith("en1-ja4") for line in lines) == 1 + 3 * 2
    (line,) = [line for line in lines if line.startswith("en1-ja4") and " text alone " in line and "ja_wiki" in line]
    assert line.split()[1] == "en5"
    assert max(map(display_width, lines)) <= WIDTH + 10
