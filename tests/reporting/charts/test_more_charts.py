"""Charts that need more than means: heat map, divergence, speed, lengths, grids; and the plain bars."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from conf.files import write_json
from reporting.charts.difference import difference_chart
from reporting.charts.divergence import divergence_chart
from reporting.charts.draw import draw_charts
from reporting.charts.efficiency import speed_chart
from reporting.charts.grid import grid_chart, grid_languages
from reporting.charts.heatmap import heatmap_chart
from reporting.charts.lengths import lengths_chart
from reporting.charts.points import Panel, Point, panels
from reporting.charts.scatter import Cost, pareto_front
from reporting.charts.style import PALETTE, AnyChart, configured, to_svg
from reporting.results_folder import Findings, read_findings
from reporting.wording import Scale, Words
from tests.reporting.analysis.test_divergence import compared
from tests.reporting.charts.test_charts import shown_by, svg_text
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
from tests.reporting.study_run import CHUNKS, ENGLISH, JAPANESE, MATRICES, write_study

EN = Words("en")


def wikitext2_chart(findings: Findings, words: Words) -> AnyChart | None:
    return grid_chart(findings, words, "perplexity_wikitext2")


MAKERS = (heatmap_chart, divergence_chart, speed_chart, lengths_chart, wikitext2_chart, difference_chart)


def measured(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
    """With the workload of speed and memory; what one arm uses is not known but for its process."""
    for place, arm in enumerate(comparison["arms"]):
        rates = {"sequences": 1, "prompt_tokens_per_second": 100.0, "decode_tokens_per_second": 50.0}
        rates |= {"time_per_token_ms": 20.0 - 3 * place}
        memory = {"weights_bytes": arm["size_bytes"] if place else None, "kv_bytes": 2**24, "compute_bytes": 2**25}
        arm["performance"] = {"load_s": 0.1, "batch_1": rates, "batched": rates, "file_bytes": 1, "devices": ["CPU"]}
        arm["performance"] |= memory | {"process_rss_bytes": 400 * 2**20}


def values(panel: dict[str, Any], layer: int) -> list[dict[str, Any]]:
    """The rows that a layer of a panel draws: its own, or those that all layers share."""
    data = panel["layer"][layer].get("data") or panel["data"]
    return list(data["values"])


def with_divergence(folder: Path) -> Findings:
    results = compared()
    path = folder / "quantization_comparison.json"
    write_json(path, results.comparison)
    write_json(folder / "statistical_analysis.json", results.analysis)
    return read_findings(path)


def test_the_heat_map_says_difference_n_and_verdict(tmp_path: Path) -> None:
    chart = heatmap_chart(read_findings(write_results(tmp_path)), EN)
    assert chart is not None
    text = shown_by(chart)
    assert "−8.1 pp (n = 39)" in text
    assert text.count("undecided") == 4
    assert "SmolLM2" in text


def test_better_is_one_colour_whichever_way_the_metric_goes(tmp_path: Path) -> None:
    """A higher loss is worse: its effect is turned."""
    chart = heatmap_chart(read_findings(write_results(tmp_path)), EN)
    assert chart is not None
    cells = configured(chart)["data"]["values"]
    worst = [cell for cell in cells if cell["arm"] == "q4_k_m"]
    assert len(worst) == 4
    assert all(cell["effect"] < 0 for cell in worst)


def test_the_margin_is_drawn_on_the_worse_side(tmp_path: Path) -> None:
    chart = difference_chart(read_findings(write_results(tmp_path)), EN)
    assert chart is not None
    margins = [values(panel, 1) for panel in configured(chart)["concat"]]
    assert margins == [[{"margin": -1.0}], [{"margin": -1.0}], [{"margin": 0.01}], [{"margin": 0.01}]]
    assert "Dashed: the margin" in shown_by(chart)


def test_divergence_is_drawn_for_each_text(tmp_path: Path) -> None:
    chart = divergence_chart(with_divergence(tmp_path), EN)
    assert chart is not None
    text = shown_by(chart)
    assert text.count("n = 24 chunks, 6,144 tokens") == 2
    assert "Mean KLD (nats/token)" in text
    assert "f16" not in text  # the reference has none from itself


def test_memory_and_time_are_drawn_for_each_benchmark(tmp_path: Path) -> None:
    chart = speed_chart(read_findings(write_results(tmp_path, measured)), EN)
    assert chart is not None
    text = shown_by(chart)
    assert text.count("Time per token (ms)") == 4
    assert text.count("Memory in use (MiB)") == 4
    panel = configured(chart)["concat"][0]
    costs = {row["arm"]: row["cost"] for row in values(panel, 1)}
    assert costs["f16"] == 400  # of the process, where llama.cpp says nothing
    assert costs["q8_0"] == pytest.approx(144_811_552 / 2**20 + 16 + 32)


def test_the_reference_stands_above_in_the_violins(tmp_path: Path) -> None:
    def reversed_arms(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        comparison["arms"].reverse()

    chart = lengths_chart(read_findings(write_results(tmp_path, reversed_arms)), EN)
    assert chart is not None
    arms = [line for line in shown_by(chart).splitlines() if line in ("f16 (ref.)", "q8_0", "q4_k_m")]
    assert arms == ["f16 (ref.)", "q4_k_m", "q8_0"]
    assert [line for line in shown_by(chart).splitlines() if line in ("n = 117", "n = 101")][:2] == [
        "n = 117",
        "n = 101",
    ]


def _grid(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
    plain = comparison["arms"][2]
    arms = {"q4_k_m": "none", "q8_0": "en"}
    for arm in comparison["arms"]:
        if arm["name"] in arms:
            arm |= {"recipe": "q4_k_m", "imatrix": None if arms[arm["name"]] == "none" else "en"}
    assert plain["recipe"] == "q4_k_m"
    languages = ["perplexity_wikitext2", "perplexity_ja_wiki"]
    grid = {"reference": "f16", "metric": "nll", "recipes": ["q4_k_m"], "imatrices": ["none", "en"], "effects": []}
    analysis["factorial"] = [grid | {"languages": languages, "n_chunks": dict.fromkeys(languages, 24)}]


def test_a_grid_from_before_contrasts_is_drawn_without_them(tmp_path: Path) -> None:
    chart = wikitext2_chart(read_findings(write_results(tmp_path, _grid)), EN)
    assert chart is not None
    (panel,) = configured(chart)["concat"]
    assert [point["column"] for point in values(panel, 1)] == ["none", "en"]
    assert "does not carry over" in shown_by(chart).lower()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return read_findings(write_study(tmp_path_factory.mktemp("study")))


def test_a_study_has_a_figure_a_language_with_paired_intervals(study: Findings) -> None:
    assert grid_languages(study) == [ENGLISH, JAPANESE]
    chart = grid_chart(study, EN, JAPANESE)
    assert chart is not None
    levels, _ = configured(chart)["concat"]
    (line,) = values(levels, 0)
    reference = study.shown("f16", JAPANESE)
    assert reference is not None
    assert line["level"] == reference["mean"]
    points = values(levels, 1)
    # Three recipes with each of four matrices, and the published file, which is no cell of the grid.
    assert [point["column"] for point in points[::3]] == [*MATRICES, "published"]
    assert len(points) == 13
    (compared,) = [row for row in study.compared(JAPANESE) if row["arm"] == "q4_k_m-fp16+en5"]
    (drawn,) = [point for point in points if (point["recipe"], point["column"]) == ("q4_k_m-fp16", "en5")]
    assert drawn["low"] == pytest.approx(reference["mean"] * math.exp(compared["ci95"][0]))
    assert drawn["mean"] == pytest.approx(reference["mean"] * math.exp(compared["difference"]))
    own = study.shown("q4_k_m-fp16+en5", JAPANESE)
    assert own is not None
    assert drawn["high"] - drawn["low"] < 0.2 * (own["ci95"][1] - own["ci95"][0])


def test_a_studys_figure_names_what_two_matrices_differ_in(study: Findings) -> None:
    chart = grid_chart(study, Words("both"), JAPANESE)
    assert chart is not None
    _, contrasts = configured(chart)["concat"]
    rows = {row["label"]: row for row in values(contrasts, 2)}
    assert len(rows) == 6
    assert rows["en1-ja4 − en5"]["text"].startswith("内容のみ / text alone: −0.01")
    assert rows["en5 − en"]["text"].startswith("量のみ / amount alone: ")
    assert rows["en1-ja4 − en"]["text"].startswith("量と内容 / amount and text: ")
    # Filled where it is shown: the text is, in Japanese; the amount is not.
    assert (rows["en1-ja4 − en5"]["fill"], rows["en5 − en"]["fill"]) == (PALETTE[0], "white")
    said = shown_by(chart)
    assert f"n = {CHUNKS} チャンク / chunks" in said
    assert "SmolLM2-135M-Instruct" in said
    assert "small differences are not facts" in said


def test_what_was_not_measured_is_not_drawn_and_told(tmp_path: Path) -> None:
    files = draw_charts(write_results(tmp_path), tmp_path / "charts", "en")
    assert not (tmp_path / "charts" / "quantization_speed.png").exists()
    assert any("Memory and time per token were not measured" in notice for notice in files.notices)
    assert any("No divergence" in notice for notice in files.notices)


@pytest.mark.parametrize("change", [only_arms({"f16"}), all_arms_failed, without_intervals, one_arm_failed, many_arms])
def test_gaps_and_crowds_do_not_stop_the_drawing(tmp_path: Path, change: Change) -> None:
    def both(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
        measured(comparison, analysis)
        change(comparison, analysis)

    findings = read_findings(write_results(tmp_path, both))
    for make in MAKERS:
        chart = make(findings, EN)
        assert chart is None or "SmolLM2" in shown_by(chart)


def test_foreign_text_is_data_in_the_picture(tmp_path: Path) -> None:
    def both(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
        measured(comparison, analysis)
        _grid(comparison, analysis)
        named_by_an_enemy(comparison, analysis)

    findings = read_findings(write_results(tmp_path, both))
    for make in (heatmap_chart, speed_chart, lengths_chart, wikitext2_chart):
        chart = make(findings, EN)
        assert chart is not None
        svg = to_svg(chart)
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg).iter()}
        assert not tags & {"script", "image", "img", "a", "foreignObject"}
        assert "\x1b" not in svg
        assert "<script>" in svg_text(svg)


def test_plain_bars_are_sigma_over_the_root_of_n(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path))
    gsm8k, _, wiki, _ = panels(findings, EN, plain_bars=True)
    row = findings.primary("f16", "gsm8k")
    assert row is not None
    half = 1.96 * row["sigma_items"] / math.sqrt(row["n_items"])
    assert gsm8k.points[0].low == pytest.approx(row["mean"] - half)
    assert gsm8k.points[0].high == pytest.approx(row["mean"] + half)
    loss = findings.primary("f16", "perplexity_wikitext2")
    assert loss is not None
    assert wiki.points[0].high == pytest.approx(
        math.exp(loss["mean"] + 1.96 * loss["sigma_items"] / math.sqrt(loss["n_items"]))
    )
    assert "1.96σ/√n" in gsm8k.subtitle[1]


def _point(arm: str, mean: float) -> Point:
    return Point(arm, arm, "compared", None, mean, None, None, None, None, "")


@pytest.mark.parametrize(
    ("higher_is_better", "front"), [(True, ["small", "middle", "large"]), (False, ["small", "odd"])]
)
def test_the_front_holds_what_nothing_beats(higher_is_better: bool, front: list[str]) -> None:
    points = (_point("large", 0.9), _point("odd", 0.3), _point("middle", 0.6), _point("small", 0.5), _point("?", 1.0))
    panel = Panel("b", "b", [], ("m", ""), higher_is_better, Scale(True, 1), points, ())
    cost = Cost("size", {"small": 1.0, "middle": 2.0, "odd": 3.0, "large": 4.0})
    assert [point.arm for point in pareto_front(panel, cost)] == front
