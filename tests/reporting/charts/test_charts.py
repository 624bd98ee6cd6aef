"""Charts of a results folder: what is drawn, what is said, and what happens when something is not there."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conf.faults import BadInput
from reporting.charts.difference import difference_chart
from reporting.charts.draw import draw_charts
from reporting.charts.efficiency import efficiency_chart
from reporting.charts.performance import performance_chart
from reporting.charts.style import AnyChart, to_svg
from reporting.results_folder import read_findings
from reporting.wording import Lang, Words
from tests.reporting.results_folder import (
    Change,
    all_arms_failed,
    many_arms,
    named_by_an_enemy,
    one_arm_failed,
    only_arms,
    without_intervals,
    write_results,
)

EN = Words("en")
TEXT_TAGS = ("}text", "}tspan")


def svg_text(svg: str) -> str:
    """All text that the picture shows."""
    shown = (element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith(TEXT_TAGS))
    return "\n".join(shown)


def shown_by(chart: AnyChart) -> str:
    """All text that a chart shows once it is drawn."""
    return svg_text(to_svg(chart))


@pytest.fixture
def charts(run: Path) -> Path:
    return run / "charts"


def test_what_the_run_measured_is_drawn_as_png_and_svg(charts: Path) -> None:
    names = {path.name for path in charts.iterdir()}
    stems = ("quantization_performance", "quantization_efficiency", "quantization_difference", "quantization_heatmap")
    stems += ("quantization_categories", "answer_lengths")
    assert names == {f"{stem}.{suffix}" for stem in stems for suffix in ("png", "svg")}


def test_the_png_has_print_resolution(charts: Path) -> None:
    """A figure is at most 180 mm wide on A4: 200 dots an inch are 1417 pixels."""
    head = (charts / "quantization_performance.png").read_bytes()[:24]
    width_px, _height_px = struct.unpack(">II", head[16:24])
    assert width_px > 1417


def test_both_languages_stand_in_the_chart(charts: Path) -> None:
    text = svg_text((charts / "quantization_performance.svg").read_text(encoding="utf-8"))
    assert "量子化ごとの性能 / Performance by quantization" in text
    assert "dequantized from Q4_1" in text
    assert "サンプリングなし / no sampling" in text
    assert "n = 39 問 / items; 3 回の実行 / runs" in text


def test_the_svg_carries_its_letters(charts: Path) -> None:
    svg = (charts / "quantization_performance.svg").read_text(encoding="utf-8")
    assert svg.count("@font-face") == 2
    assert "data:font/woff2;base64," in svg


def test_what_is_not_sampled_has_no_run_error_bar(charts: Path) -> None:
    """Of four benchmarks only GSM8K is sampled: three arms, three thick bars."""
    svg = (charts / "quantization_performance.svg").read_text(encoding="utf-8")
    assert len(re.findall(r'<line[^>]*stroke-width="5"', svg)) == 3


@pytest.mark.parametrize(
    ("lang", "there", "absent"),
    [("ja", "ファイルサイズと性能", "File size"), ("en", "File size against performance", "ファイル")],
)
def test_one_language_alone(tmp_path: Path, lang: Lang, there: str, absent: str) -> None:
    text = shown_by(efficiency_chart(read_findings(write_results(tmp_path)), Words(lang)))
    assert there in text
    assert absent not in text


def test_drawing_twice_gives_the_same_bytes(tmp_path: Path, charts: Path) -> None:
    draw_charts(write_results(tmp_path), tmp_path / "charts", "both")
    for path in charts.iterdir():
        assert (tmp_path / "charts" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("change", [only_arms({"f16"}), all_arms_failed, without_intervals, one_arm_failed, many_arms])
def test_gaps_and_crowds_do_not_stop_the_drawing(tmp_path: Path, change: Change) -> None:
    findings = read_findings(write_results(tmp_path, change))
    for chart in (performance_chart(findings, EN), efficiency_chart(findings, EN), difference_chart(findings, EN)):
        assert chart is None or "SmolLM2" in shown_by(chart)


def test_an_arm_without_results_says_so(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path, one_arm_failed))
    assert shown_by(performance_chart(findings, EN)).count("no result") == 4


def test_an_undefined_interval_is_not_drawn(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path, without_intervals))
    assert to_svg(performance_chart(findings, EN)).count('stroke-width="1.6"') == 0


def test_no_comparison_means_no_chart_of_differences_but_a_notice(tmp_path: Path) -> None:
    files = draw_charts(write_results(tmp_path, only_arms({"f16"})), tmp_path / "charts", "en")
    assert not (tmp_path / "charts" / "quantization_difference.png").exists()
    assert any("chart of differences is left out" in notice for notice in files.notices)


def test_a_missing_analysis_drops_its_figure_with_a_notice(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    (results.parent / "statistical_analysis.json").unlink()
    files = draw_charts(results, tmp_path / "charts", "en")
    assert len(files.paths) == 8  # performance, efficiency, categories and lengths
    assert any("statistical_analysis.json" in notice for notice in files.notices)


def test_foreign_text_is_data_in_the_picture(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path, named_by_an_enemy))
    for make in (performance_chart, efficiency_chart, difference_chart):
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
