"""The figure of a grid: perplexity by matrix, and pairs of matrices."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from reporting.charts.grid import grid_chart, grid_languages
from reporting.charts.style import PALETTE
from reporting.results_folder import Findings, read_findings
from reporting.wording import Words
from tests.reporting.charts.drawn import shown_by, values
from tests.reporting.results_folder import with_grid_without_contrasts, write_results
from tests.reporting.study_run import CHUNKS, ENGLISH, JAPANESE, MATRICES, write_study

EN = Words("en")


def test_a_grid_of_older_results_is_drawn_without_contrasts(tmp_path: Path) -> None:
    chart = grid_chart(read_findings(write_results(tmp_path, with_grid_without_contrasts)), EN, ENGLISH)
    assert chart is not None
    (panel,) = chart["concat"]
    assert [point["column"] for point in values(panel, 1)] == ["none", "en"]
    assert "Effect of the importance matrix" in shown_by(chart)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return read_findings(write_study(tmp_path_factory.mktemp("study")))


def test_a_study_has_one_figure_per_language_with_paired_intervals(study: Findings) -> None:
    assert grid_languages(study) == [ENGLISH, JAPANESE]
    chart = grid_chart(study, EN, JAPANESE)
    assert chart is not None
    levels, _ = chart["concat"]
    (line,) = values(levels, 0)
    reference = study.shown("f16", JAPANESE)
    assert reference is not None
    assert line["level"] == reference["mean"]
    points = values(levels, 1)
    # Three recipes with each of four matrices, and the published file, which does not belong to the grid.
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
    chart = grid_chart(study, EN, JAPANESE)
    assert chart is not None
    _, contrasts = chart["concat"]
    rows = {row["label"]: row for row in values(contrasts, 1)}
    assert len(rows) == 6
    assert rows["en1-ja4 − en5"]["text"].startswith("−0.01")
    assert rows["en1-ja4 − en5"]["text"].endswith("] text alone")
    assert rows["en5 − en"]["text"].endswith("] amount alone")
    assert rows["en1-ja4 − en"]["text"].endswith("] amount and text")
    # A filled point means a difference is shown: in Japanese the text makes one, the amount does not.
    assert (rows["en1-ja4 − en5"]["fill"], rows["en5 − en"]["fill"]) == (PALETTE[0], "#FFFFFF")
    text = shown_by(chart)
    assert f"n = {CHUNKS} chunks" in text
    assert "SmolLM2-135M-Instruct" in text
    assert "Filled: p < 0.05" in text
