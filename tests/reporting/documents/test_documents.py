"""Tests of methodology, report and scorecard: they show what the results contain, in each language, even with gaps."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import polars as pl
import pypdf
import pytest

from conf.faults import BadInput
from conf.schema.pipeline import Language
from reporting.documents.markdown_files import methodology_markdown, report_markdown
from reporting.documents.phrases import describe_interval
from reporting.documents.view import make_view
from reporting.documents.write import DocumentPlaces, write_documents
from reporting.file_names import in_language, in_languages
from reporting.results_folder import read_findings
from reporting.validate import validate
from reporting.wording import Lang, Words
from tests.reporting.results_folder import (
    HOSTILE,
    Change,
    all_arms_failed,
    many_arms,
    one_arm_failed,
    only_arms,
    with_hostile_names,
    without_intervals,
    write_results,
)

METHODOLOGY = "methodology/quantization_methodology.md"
REPORT = "reports/quantization_analysis_report.md"
PAGE = "reports/quantization_analysis_report.html"
SCORECARD = "scorecards/quantization_evaluation.pdf"


def write(run: Path, change: Change | None = None, answer: str | None = None, lang: Language = "en") -> Path:
    """Write all documents of the changed sample run, without charts."""
    write_documents(write_results(run, change, answer), DocumentPlaces.of_run(run), lang)
    return run


def markdown(run: Path, change: Change | None = None) -> dict[str, str]:
    """Return methodology and report of the changed sample run in English, without writing the PDF."""
    findings = read_findings(write_results(run, change))
    view = make_view(findings, Words("en"), run / "charts")
    return {METHODOLOGY: methodology_markdown(view), REPORT: report_markdown(view)}


def of(run: Path, name: str, lang: Lang = "en") -> str:
    """Return the text of a document of the sample run, which was written in both languages."""
    return text_of(in_language(run / name, lang, "both"))


@functools.cache  # reading a PDF takes seconds
def text_of(path: Path) -> str:
    if path.suffix != ".pdf":
        return path.read_text(encoding="utf-8")
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def test_the_report_gives_each_mean_with_its_interval_and_n(run: Path) -> None:
    report = of(run, REPORT)
    assert "| f16 | Accuracy | 39 | 52.1% | [37.0, 66.9] | Wilson |" in report
    assert "no sampling" in report
    assert "±0" not in report.replace("(it is not ±0)", "")
    assert "サンプリングなし" in of(run, REPORT, "ja")


def test_an_interval_is_described_by_its_side_of_zero() -> None:
    english = Words("en")
    rows = {"includes": [-0.1, 0.1], "lower": [-0.2, -0.1], "higher": [0.1, 0.2]}
    phrases = {name: describe_interval(english, {"ci95": ci}, higher_is_better=True) for name, ci in rows.items()}
    assert phrases["includes"] == "interval includes 0"
    assert phrases["lower"] == "lower (towards worse), interval excludes 0"
    assert phrases["higher"] == "higher (towards better), interval excludes 0"
    assert "towards worse" in describe_interval(english, {"ci95": [0.1, 0.2]}, higher_is_better=False)
    assert describe_interval(english, {"ci95": None}, higher_is_better=True) == "no interval"


def test_the_methodology_lists_the_overrides_of_a_recipe(run: Path, tmp_path: Path) -> None:
    def overridden(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        arm = comparison["arms"][-1]
        arm["overrides"] = [{"tensors": "token embedding", "type": "q8_0"}, {"tensors": r"blk\.0|`*_x", "type": "q6_k"}]

    text = markdown(tmp_path, overridden)[METHODOLOGY]
    assert "give other types to some tensors" in text
    assert "give other types to some tensors" not in of(run, METHODOLOGY)
    start = "- `q4_k_m`: `q4_k_m`; `token embedding` → `q8_0`, "
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    assert line.endswith("→ `q6_k`")


def test_the_methodology_explains_budgets_only_if_there_are_any(run: Path, tmp_path: Path) -> None:
    def budgeted(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        use = {"name": "phigh", "control": False, "budget_bytes": 11, "spent_bytes": 11, "base_bytes": 10, "tensors": 9}
        use |= {"added_bpw": 0.4987, "raised": 7, "lowered": 0, "control_seed": 5, "measuring_seconds": 1.0}
        errors = {"predicted_error": 27.02e-6, "predicted_error_base": 910.4e-6, "predicted_error_control": 233e-6}
        comparison["arms"][-1]["budget"] = use | errors | {"bound": 26.4e-6}

    there = markdown(tmp_path, budgeted)
    for heading in ("### Precision where it matters", "random seed 5"):
        assert heading in there[METHODOLOGY]
        assert heading not in of(run, METHODOLOGY)
    row = "| q4_k_m | q4_k_m | +0.499 | 7 / 0 | 27.02e-6 | 910.40e-6 | 26.40e-6 |"
    for name in (METHODOLOGY, REPORT):
        assert row in there[name]
        assert "910.40" not in of(run, name)


def test_the_methodology_explains_token_weights_with_the_weights_of_the_run(run: Path, tmp_path: Path) -> None:
    uses = {
        "mathematics": {"weight": 4.0, "tokens": 7123, "share": 0.2174, "weighted_share": 0.5204},
        "science": {"weight": 2.5, "tokens": 205, "share": 0.0063, "weighted_share": 0.015},
        "other": {"weight": 1.0, "tokens": 25440, "share": 0.7764, "weighted_share": 0.4646},
    }

    def weighted(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        plain = comparison["imatrices"][0] | {"token_weighting": None}
        classes = {"rules": "8df13025733ceb80", "classes": uses}
        comparison["imatrices"] = [plain, plain | {"name": "default+weighted", "token_weighting": classes}]
        validate("quantization_comparison", comparison)

    text = markdown(tmp_path, weighted)[METHODOLOGY]
    assert "Token weights" not in of(run, METHODOLOGY)
    assert "Why single tokens cannot be given more precision" in text
    (line,) = [line for line in text.splitlines() if "7,123" in line]
    assert re.search(r"mathematics: .*4\.00, 7,123 .*\(21\.7%\).* 52\.0%", line)
    assert text.count("`8df13025733ceb80`") == 1


def test_every_document_says_that_the_source_was_already_quantized(run: Path) -> None:
    for name in (METHODOLOGY, REPORT, PAGE):
        assert "逆量子化" in of(run, name, "ja")
        assert re.search(r"already quantized as .{0,20}Q4_1", of(run, name)), name
    assert "already quantized as Q4_1" in " ".join(of(run, SCORECARD).split())


def test_the_methodology_has_the_settings_and_hashes_of_this_run(run: Path) -> None:
    text = of(run, METHODOLOGY)
    assert "| sampling.temperature | 0.7 |" in text
    assert "65,536" in text
    assert "--limit 40" in text
    assert len(re.findall(r"sha256 `[0-9a-f]{64}`", text)) == 3  # the imatrix and its two texts


def test_failures_unscored_records_and_fallbacks_are_shown(run: Path) -> None:
    report = of(run, REPORT)
    assert "no room in the KV cache" in report
    assert "failed to find a memory slot" in report
    assert "block failed: 16" in report
    assert "180 / 211" in report


def test_the_charts_are_linked_by_a_path_that_exists(run: Path) -> None:
    links = re.findall(r"\]\((\.\./charts/[a-z_]+_en\.png)\)", of(run, REPORT))
    assert len(links) >= 6
    assert all((run / "reports" / link).is_file() for link in links)


@pytest.mark.parametrize(("lang", "title"), [("ja", "量子化の評価"), ("en", "Evaluation of quantizations")])
def test_the_scorecard_is_an_a4_pdf_with_embedded_fonts(run: Path, lang: Lang, title: str) -> None:
    reader = pypdf.PdfReader(in_language(run / SCORECARD, lang, "both"))
    assert 4 <= len(reader.pages) <= 11
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [595, 842]
    assert reader.metadata is not None
    assert "SmolLM2-135M-Instruct" in str(reader.metadata.title)
    assert str(reader.root_object["/Lang"]) == lang
    names = [name for page in reader.pages for name in _font_names(page)]
    assert names
    assert all("Noto-Sans-CJK-JP" in name and "+" in name for name in names)
    text = of(run, SCORECARD, lang)
    assert title in text
    assert f"1 / {len(reader.pages)}" in text


def test_the_scorecard_is_tagged_and_its_pictures_have_alternative_texts(run: Path) -> None:
    """A screen reader finds headings, tables, figures and formulas (PDF 1.7, 14.8.4)."""
    root = pypdf.PdfReader(in_language(run / SCORECARD, "en", "both")).root_object
    assert bool(cast(pypdf.generic.DictionaryObject, root["/MarkInfo"].get_object())["/Marked"])
    elements = list(_structure(cast(pypdf.generic.DictionaryObject, root["/StructTreeRoot"].get_object())))
    kinds = {str(element.get("/S")) for element in elements}
    assert {"/H1", "/H2", "/H3", "/Table", "/TH", "/TD", "/Figure", "/P"} <= kinds
    figures = [element for element in elements if element.get("/S") == "/Figure"]
    assert len(figures) == 6 + 9  # charts and formulas
    assert all(str(figure.get("/Alt", "")) for figure in figures)


def _structure(element: pypdf.generic.DictionaryObject) -> Iterator[pypdf.generic.DictionaryObject]:
    yield element
    kids = element.get("/K", [])
    for kid in kids if isinstance(kids, list) else [kids]:
        found = kid.get_object()
        if isinstance(found, pypdf.generic.DictionaryObject):
            yield from _structure(found)


def test_report_and_scorecard_begin_with_the_verdict_box(run: Path) -> None:
    for name in (REPORT, PAGE, SCORECARD):
        text = " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", of(run, name), flags=re.DOTALL).split())
        headline = text.index("Keep f16 (the Q4_1 source, dequantized): no other file is shown to be no worse")
        cost, open_ = text.index("−6.6 pp"), text.index("Undecided on gsm8k: q8_0 (4,958 items in all")
        assert headline < cost < open_ < text.index("What was compared" if name != SCORECARD else "Abstract")
        assert text.count("4,958 items in all") == 1
        assert "stopped at q8_0" in text
        assert "It says nothing about a single benchmark." in text
    assert "を推奨する" in of(run, REPORT, "ja") or "そのまま使うのがよい" in of(run, REPORT, "ja")


def test_report_and_card_name_the_same_margins(run: Path) -> None:
    lines = [
        re.sub("^.*?: ", "", line)
        for path in ("reports/quantization_analysis_report_en.md", "publish/README.md")
        for line in text_of(run / path).splitlines()
        if line.startswith("Margins")
    ]
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert "0.05 (share that may be lost" in lines[0]


def test_every_undecided_comparison_has_its_reason(run: Path) -> None:
    table = of(run, REPORT).partition("Comparisons that are undecided")[2]
    (row,) = [line for line in table.splitlines() if line.startswith("| gsm8k | q8_0 | 39 (6 unscored) | 1.0 pp |")]
    assert "a loss beyond the margin cannot be excluded" in row
    assert row.endswith("| 4,958 | 37,685<br>(there are 1,319) |")


def test_without_an_analysis_no_verdict_is_claimed(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    results.with_name("statistical_analysis.json").unlink()
    write_documents(results, DocumentPlaces.of_run(tmp_path), "en")
    assert "There is no verdict." in " ".join(text_of(tmp_path / SCORECARD).split())
    assert "There is no verdict: the results folder has no analysis" in text_of(tmp_path / REPORT)
    assert "no worse" not in text_of(tmp_path / REPORT)


def test_every_citation_is_listed_and_every_entry_is_cited(run: Path) -> None:
    text = " ".join(of(run, SCORECARD).split())
    listed = {int(number) for number in re.findall(r"\[(\d+)\] [A-Z][a-zé]+ ", text)}
    assert listed == set(range(1, 15))
    assert {int(number) for number in re.findall(r"\[(\d{1,2})\]", text)} == listed
    assert "Training Verifiers" in text
    assert "Chain-of-Thought" not in text  # MGSM was not asked


def test_the_report_contains_flips_and_answer_lengths(run: Path) -> None:
    report = of(run, REPORT)
    assert "| gsm8k | q8_0 − f16 | 39 | 17.5%<br>[8.7, 32.2] | 14.1%<br>[6.4, 28.2] |" in report
    assert re.search(r"\| gsm8k \| q4_k_m \| 101 \| 65\.1 .*−42\.3 \(−39%\)<br>\[−68\.1, −16\.5\]", report)
    assert "| gsm8k | q4_k_m | 101 | 0.0%<br>[0.0, 9.0] | 0.0%<br>[0.0, 9.0] | 3.0%†<br>[0.6, 13.8] |" in report
    assert "q4_k_m, gsm8k: answers 39% shorter on average (−42.3 tokens [−68.1, −16.5]); 3.0% cut off" in report


def _font_names(page: pypdf.PageObject) -> list[str]:
    resources = cast(pypdf.generic.DictionaryObject, page["/Resources"].get_object())
    fonts = cast(pypdf.generic.DictionaryObject, resources["/Font"].get_object())
    return [str(cast(pypdf.generic.DictionaryObject, font.get_object())["/BaseFont"]) for font in fonts.values()]


@pytest.mark.parametrize(
    ("lang", "there", "absent"), [("ja", "結果", "Results"), ("en", "Results", "結果")], ids=["ja", "en"]
)
def test_a_document_has_no_text_in_the_other_language(run: Path, lang: Lang, there: str, absent: str) -> None:
    for name in (METHODOLOGY, REPORT, SCORECARD):
        text = of(run, name, lang)
        if name != METHODOLOGY:
            assert there in text
        assert absent not in text, name


def test_one_language_alone_is_not_named_in_the_files(run: Path, tmp_path: Path) -> None:
    write(tmp_path, lang="ja")
    assert text_of(tmp_path / METHODOLOGY) == of(run, METHODOLOGY, "ja")
    for name in (REPORT, PAGE):
        text = text_of(tmp_path / name)
        assert "結果" in text and "Results" not in text
    assert (tmp_path / SCORECARD).is_file()


@pytest.mark.parametrize(
    "change",
    [only_arms({"f16"}), all_arms_failed, one_arm_failed, without_intervals, many_arms],
    ids=["one arm", "all failed", "one failed", "no intervals", "many arms"],
)
def test_documents_are_written_with_missing_results_and_with_many_arms(tmp_path: Path, change: Change) -> None:
    write(tmp_path, change)
    for name in (METHODOLOGY, REPORT, PAGE):
        text = text_of(tmp_path / name)
        words = re.sub(r"None\.|base64,[^\"]*", "", text)
        assert not re.search(r"\b(None|nan|inf)\b", words), name
    assert (tmp_path / SCORECARD).read_bytes().startswith(b"%PDF")


def test_missing_charts_are_left_out_with_a_notice(tmp_path: Path) -> None:
    files = write_documents(write_results(tmp_path), DocumentPlaces.of_run(tmp_path), "en")
    assert len([notice for notice in files.notices if "figure is left out" in notice]) == 3
    assert "![" not in text_of(tmp_path / REPORT)
    assert "quantization&#95;" not in text_of(tmp_path / REPORT)
    assert "its figure is left out" in text_of(tmp_path / REPORT)


@pytest.mark.slow
def test_writing_twice_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "charts", tmp_path / "charts")
    write(tmp_path, lang="both")
    for name in (METHODOLOGY, REPORT, PAGE, SCORECARD):
        for path in in_languages(Path(name), "both"):
            assert (tmp_path / path).read_bytes() == (run / path).read_bytes(), path


def test_a_custom_methodology_replaces_ours(tmp_path: Path) -> None:
    own = tmp_path / "own.md"
    own.write_text("# Our way\n\nWe asked **twice**.\n", encoding="utf-8")
    run = tmp_path / "run"
    write_documents(write_results(run), DocumentPlaces.of_run(run), "en", own)
    assert text_of(run / METHODOLOGY) == own.read_text(encoding="utf-8")
    assert "We asked twice" in text_of(run / SCORECARD)
    assert "We asked <strong>twice</strong>" in text_of(run / PAGE)
    with pytest.raises(BadInput, match="--methodology"):
        write_documents(
            run / "evaluation_results/quantization_comparison.json",
            DocumentPlaces.of_run(run),
            "en",
            tmp_path / "no.md",
        )


def test_hostile_text_is_inert_everywhere(tmp_path: Path) -> None:
    """Answers, names, errors and log lines that contain markup are shown as text and never interpreted."""
    write(tmp_path, with_hostile_names, HOSTILE)
    for name in (METHODOLOGY, REPORT):
        text = text_of(tmp_path / name)
        assert "<script" not in text
        assert "](" not in text.replace("[answers_side_by_side.html](answers_side_by_side.html)", "")
        assert "https://evil" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
    reader = pypdf.PdfReader(tmp_path / SCORECARD)
    assert not any("/Annots" in page for page in reader.pages)
    text = text_of(tmp_path / SCORECARD)
    assert "<script>alert(1)</script>" in text
    assert "root:" not in text


def test_items_on_which_the_arms_disagree_come_first(run: Path) -> None:
    answers = pl.read_parquet(run / "evaluation_results" / "report_data" / "answers.parquet")
    shown = re.findall(r"### gsm8k · (gsm8k-\d+) · seed (\d)", of(run, REPORT))
    assert len(shown) == 3
    for item_id, seed in shown:
        own = answers.filter((pl.col("item_id") == item_id) & (pl.col("seed") == int(seed)))
        assert own["outcome"].n_unique() > 1


def test_answers_stand_beside_their_question_with_the_reason_of_each_outcome(run: Path) -> None:
    report = of(run, REPORT).partition("## Answers side by side")[2]
    assert "**Question**: Question gsm8k-0017" in report
    assert re.search(r"\*\*Expected answer\*\*: \d+\n", report)
    assert "| f16 | correct | equals the expected answer |" in report
    assert re.search(r"correct → wrong \| (another answer than expected|cut off at the token limit) \|", report)


def test_questions_that_are_not_there_are_left_out_with_a_notice(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    (results.parent / "report_data" / "questions.parquet").unlink()
    findings = read_findings(results)
    assert any("questions.parquet is missing" in notice for notice in findings.notices)
    assert "**Question**: –" in report_markdown(make_view(findings, Words("en"), tmp_path / "charts"))
