"""A study's grid in the documents: its figures, its sentences, its tables, its warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from reporting.charts.draw import draw_charts
from reporting.documents.grid_section import grid_sections
from reporting.documents.markdown_files import report_markdown
from reporting.documents.view import make_view
from reporting.documents.write import DocumentPlaces, write_documents
from reporting.results_folder import read_findings
from reporting.wording import LANGUAGES, Lang, Words
from tests.reporting.study_run import ENGLISH, JAPANESE, write_study


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study with its charts and documents in English, and beside them the report in Japanese."""
    folder = tmp_path_factory.mktemp("study")
    results = write_study(folder)
    draw_charts(results, folder / "charts", "en")
    write_documents(results, DocumentPlaces.of_run(folder), "en")
    report = report_markdown(make_view(read_findings(results), Words("ja"), folder / "charts"))
    report_of(folder, "ja").write_text(report, encoding="utf-8")
    return folder


def report_of(folder: Path, lang: Lang) -> Path:
    suffix = "" if lang == "en" else f"_{lang}"
    return folder / "reports" / f"quantization_analysis_report{suffix}.md"


def test_report_and_card_have_one_figure_per_language(run_dir: Path) -> None:
    for language in (ENGLISH, JAPANESE):
        assert (run_dir / "charts" / f"imatrix_{language}.svg").is_file()
        assert (run_dir / "publish" / "charts" / f"imatrix_{language}.png").is_file()
        for path in (report_of(run_dir, "en"), run_dir / "publish" / "README.md"):
            assert f"charts/imatrix_{language}.png" in path.read_text(encoding="utf-8")


def test_the_sentences_follow_the_adjusted_p_values(run_dir: Path) -> None:
    findings = read_findings(run_dir / "evaluation_results" / "quantization_comparison.json")
    ((section,), (japanese_section,)) = (grid_sections(findings, Words(lang)) for lang in LANGUAGES[::-1])
    assert section.separates_text_from_amount
    (text,) = [one for one in section.sentences if one.startswith("en1-ja4 − en5")]
    english, japanese = text.split("; ")
    assert english.endswith("no difference is shown")
    assert japanese.endswith("p < 0.001, shown to lose less.")
    assert "the effect of its language" in english
    (text,) = [one for one in japanese_section.sentences if one.startswith("en1-ja4 − en(")]
    assert "分けられない" in text
    assert any("40 chunks each" in one for one in section.sentences)


WARNINGS: dict[Lang, tuple[str, ...]] = {
    "en": (
        "do not carry over to others",
        "Do not read small differences in perplexity as facts",
        "More calibration text may help by itself. Only the difference from a control of equal amount",
        "Results on real tasks count for more than perplexity",
    ),
    "ja": (
        "ほかのモデルには当てはまらない",
        "小さな差を事実と見なさない",
        "較正テキストは、量を増やすだけで効果が出る可能性がある",
        "実際のタスク",
    ),
}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_report_has_the_warnings(run_dir: Path, lang: Lang) -> None:
    text = report_of(run_dir, lang).read_text(encoding="utf-8")
    assert [words for words in WARNINGS[lang] if words not in text] == []
    assert "en1-ja4 − en5" in text


def test_the_card_has_the_warnings(run_dir: Path) -> None:
    text = (run_dir / "publish" / "README.md").read_text(encoding="utf-8")
    assert [words for words in WARNINGS["en"] if words not in text] == []


def test_effects_of_equal_recipes_are_in_no_table(run_dir: Path) -> None:
    report = report_of(run_dir, "en").read_text(encoding="utf-8")
    assert "q4_k_m and q4_k_l gave the same result on every chunk" in report
    assert "q4_k_l − q4_k_m" not in report
    assert "q4_k_m-fp16 − q4_k_m" in report
