"""The charts of a results folder as a whole: which files are drawn, what they say, and what happens with gaps."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from conf.faults import BadInput
from reporting.charts.answer_styles import answer_styles_chart
from reporting.charts.difference import difference_chart
from reporting.charts.divergence import divergence_chart
from reporting.charts.draw import draw_charts
from reporting.charts.efficiency import efficiency_chart, memory_chart, speed_chart
from reporting.charts.grid import grid_chart
from reporting.charts.heatmap import heatmap_chart
from reporting.charts.length_shifts import length_shifts_chart
from reporting.charts.lengths import lengths_chart
from reporting.charts.performance import performance_chart
from reporting.charts.render import to_svg
from reporting.charts.style import Specification
from reporting.charts.verdict import verdict_chart
from reporting.results_folder import Findings, read_findings
from reporting.wording import Lang, Words
from tests.reporting.charts.drawn import shown_by, svg_text, values
from tests.reporting.results_folder import (
    Change,
    all_arms_failed,
    many_arms,
    one_arm_failed,
    only_arms,
    with_grid_without_contrasts,
    with_hostile_names,
    with_performance,
    without_intervals,
    write_results,
)

EN = Words("en")


def wikitext2_chart(findings: Findings, words: Words) -> Specification | None:
    return grid_chart(findings, words, "perplexity_wikitext2")


FULL_RUN_CHARTS = (
    verdict_chart,
    performance_chart,
    efficiency_chart,
    difference_chart,
    heatmap_chart,
    memory_chart,
    speed_chart,
    lengths_chart,
    length_shifts_chart,
    answer_styles_chart,
)


@pytest.fixture
def charts(run: Path) -> Path:
    return run / "charts"


def test_everything_that_the_run_measured_is_drawn_once_in_each_language(charts: Path) -> None:
    names = {path.name for path in charts.iterdir()}
    stems = ["quantization_verdict", "quantization_performance", "quantization_efficiency", "quantization_difference"]
    stems += ["quantization_heatmap", "quantization_categories"]
    stems += ["answer_lengths", "answer_length_shifts", "answer_styles"]
    suffixes = ("png", "svg", "vl.json")
    assert names == {f"{stem}_{lang}.{suffix}" for stem in stems for lang in ("ja", "en") for suffix in suffixes}


def test_one_language_alone_is_not_named_in_the_files(tmp_path: Path) -> None:
    files = draw_charts(write_results(tmp_path), tmp_path / "charts", "ja")
    assert tmp_path / "charts" / "quantization_verdict.png" in files.paths
    assert all(not path.stem.endswith(("_ja", "_en")) for path in files.paths)


def test_the_png_has_print_resolution(charts: Path) -> None:
    """A figure is at most 180 mm wide on A4. At 200 dots per inch that is 1417 pixels."""
    head = (charts / "quantization_performance_ja.png").read_bytes()[:24]
    width_px, _height_px = struct.unpack(">II", head[16:24])
    assert width_px > 1417


@pytest.mark.parametrize(
    ("lang", "texts"),
    [
        (
            "ja",
            (
                "量子化ごとの性能",
                "Q4_1 を逆量子化",
                "サンプリングなし",
                "n = 39 問; 3 回の実行; Wilson",
                "52.1% [37.0, 66.9]",
            ),
        ),
        (
            "en",
            ("Performance by quantization", "dequantized from Q4_1", "no sampling", "n = 39 items; 3 runs; Wilson"),
        ),
    ],
)
def test_the_chart_says_what_it_shows_in_its_language(charts: Path, lang: str, texts: tuple[str, ...]) -> None:
    shown = svg_text((charts / f"quantization_performance_{lang}.svg").read_text(encoding="utf-8"))
    assert [text for text in texts if text not in shown] == []


def test_the_specification_is_written_with_its_data_and_tooltips(charts: Path) -> None:
    written = json.loads((charts / "quantization_verdict_en.vl.json").read_text(encoding="utf-8"))
    (mark,) = [one for one in written["concat"][0]["layer"] if "tooltip" in one["encoding"]]
    assert [tip["field"] for tip in mark["encoding"]["tooltip"]] == ["arm", "value", "interval", "n", "size"]
    rows = {row["arm"]: row for row in mark["data"]["values"]}
    assert (rows["q4_k_m"]["value"], rows["q4_k_m"]["interval"], rows["q4_k_m"]["n"]) == (
        "−6.6 pp",
        "[−14.0, +0.4]",
        "79",
    )


def test_the_svg_has_its_font_embedded(charts: Path) -> None:
    svg = (charts / "quantization_performance_en.svg").read_text(encoding="utf-8")
    assert svg.count("@font-face") == 2
    assert "data:font/woff2;base64," in svg
    assert "Noto Sans CJK JP" in svg


def test_only_sampled_benchmarks_have_error_bars_for_runs(charts: Path) -> None:
    """Only GSM8K is sampled, and there are three arms: three thick bars."""
    svg = (charts / "quantization_performance_en.svg").read_text(encoding="utf-8")
    assert len(re.findall(r'<line[^>]*stroke-width="5"', svg)) == 3


@pytest.mark.parametrize(
    ("lang", "present", "absent"),
    [("ja", "ファイルサイズと性能", "File size"), ("en", "File size against performance", "ファイル")],
)
def test_a_chart_in_one_language_has_no_text_in_the_other(
    tmp_path: Path, lang: Lang, present: str, absent: str
) -> None:
    text = shown_by(efficiency_chart(read_findings(write_results(tmp_path)), Words(lang)))
    assert present in text
    assert absent not in text


@pytest.mark.slow
def test_drawing_twice_gives_the_same_bytes(tmp_path: Path, charts: Path) -> None:
    draw_charts(write_results(tmp_path), tmp_path / "charts", "both")
    for path in charts.iterdir():
        assert (tmp_path / "charts" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("change", [only_arms({"f16"}), all_arms_failed, without_intervals, one_arm_failed, many_arms])
def test_charts_are_drawn_with_missing_results_and_with_many_arms(tmp_path: Path, change: Change) -> None:
    def both(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
        with_performance(comparison, analysis)
        change(comparison, analysis)

    findings = read_findings(write_results(tmp_path, both))
    for make in (*FULL_RUN_CHARTS, divergence_chart, wikitext2_chart):
        chart = make(findings, EN)
        assert chart is None or "SmolLM2" in shown_by(chart)


def test_an_arm_without_results_is_shown_with_no_result(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path, one_arm_failed))
    assert shown_by(performance_chart(findings, EN)).count("no result") == 4
    rows = values(performance_chart(findings, EN)["concat"][0], -1)
    assert [row["middle"] for row in rows if row["label"] == "q4_k_m"] == [None]


def test_an_undefined_interval_is_not_drawn(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path, without_intervals))
    for panel in performance_chart(findings, EN)["concat"]:
        assert all(row["low"] is None and row["high"] is None for row in values(panel, -1))


def test_what_was_not_measured_has_no_chart_but_a_notice(tmp_path: Path) -> None:
    """One arm alone has no difference. Speed, memory and divergence are missing in the sample run."""
    files = draw_charts(write_results(tmp_path, only_arms({"f16"})), tmp_path / "charts", "en")
    for name in ("difference", "speed", "divergence"):
        assert not (tmp_path / "charts" / f"quantization_{name}.png").exists()
    for text in (
        "chart of differences is left out",
        "Memory was not measured",
        "Time per token was not",
        "No divergence",
    ):
        assert any(text in notice for notice in files.notices)


def test_a_missing_analysis_leaves_out_its_figures_with_a_notice(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    (results.parent / "statistical_analysis.json").unlink()
    files = draw_charts(results, tmp_path / "charts", "en")
    assert len(files.paths) == 4 * 3  # performance, efficiency, categories, lengths; PNG, SVG, specification
    assert any("statistical_analysis.json" in notice for notice in files.notices)


def test_foreign_text_never_becomes_markup(tmp_path: Path) -> None:
    def all_changes(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
        with_performance(comparison, analysis)
        with_grid_without_contrasts(comparison, analysis)
        with_hostile_names(comparison, analysis)

    findings = read_findings(write_results(tmp_path, all_changes))
    for make in (*FULL_RUN_CHARTS, wikitext2_chart):
        chart = make(findings, EN)
        assert chart is not None
        svg = to_svg(chart)
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg).iter()}
        assert not tags & {"script", "image", "img", "a", "foreignObject"}
        assert "\x1b" not in svg
        assert "<script>" in svg_text(svg)


def test_a_broken_results_file_is_bad_input(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    results.write_text("{", encoding="utf-8")
    with pytest.raises(BadInput, match="--results"):
        draw_charts(results, tmp_path / "charts", "en")
    results.write_text('{"schema_version": 1}', encoding="utf-8")
    with pytest.raises(BadInput, match="required property"):
        draw_charts(results, tmp_path / "charts", "en")
