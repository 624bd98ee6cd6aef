"""The figures of the documents: their captions say what is drawn, and a figure is missing only if it could be drawn."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from conf.files import write_bytes
from reporting.charts.draw import charts_of
from reporting.charts.verdict import verdict_chart
from reporting.documents.figures import figures_of
from reporting.results_folder import read_findings
from reporting.wording import Lang, Words
from tests.reporting.charts.drawn import shown_by
from tests.reporting.results_folder import Change, all_arms_failed, without_margins, write_results

EN = Words("en")


def _missing(run: Path, change: Change | None = None) -> list[str]:
    findings = read_findings(write_results(run, change))
    return figures_of(findings, EN, run / "charts", "en")[2]


def test_a_chart_that_could_be_drawn_is_missing(tmp_path: Path) -> None:
    expected = ["quantization_performance", "quantization_efficiency", "quantization_difference"]
    assert _missing(tmp_path) == expected


def test_a_chart_that_has_nothing_to_draw_is_left_out_and_not_missing(tmp_path: Path) -> None:
    """Nobody can draw it, so no notice says that `jobs.visualize` does."""
    assert _missing(tmp_path, all_arms_failed) == ["quantization_performance", "quantization_efficiency"]
    charts, notices = charts_of(read_findings(tmp_path / "evaluation_results" / "quantization_comparison.json"), EN)
    assert "quantization_difference" not in charts
    told = "No arm has a difference from a reference, so the chart of differences is left out."
    assert told in [str(notice) for notice in notices]


@pytest.mark.parametrize(
    ("lang", "shaded", "none"), [("en", "haded", "No margin is set"), ("ja", "網掛け", "許容幅が未設定")]
)
def test_chart_and_captions_speak_of_a_margin_only_if_one_is_drawn(
    tmp_path: Path, lang: Lang, shaded: str, none: str
) -> None:
    words = Words(lang)
    for change, has_margin in ((None, True), (without_margins, False)):
        run = tmp_path / str(has_margin)
        results = write_results(run, change)
        for name in ("quantization_verdict", "quantization_difference"):
            write_bytes(run / "charts" / f"{name}.png", bytes(16) + struct.pack(">II", 800, 400))
        findings = read_findings(results)
        chart = verdict_chart(findings, words)
        assert chart is not None
        text = shown_by(chart)
        assert (shaded in text, none in text) == (has_margin, not has_margin)
        captions = {one.name: one.caption for one in figures_of(findings, words, run / "charts", lang)[0]}
        assert (shaded in captions["quantization_verdict"]) is has_margin
        assert (words.say("破線", "Dashed") in captions["quantization_difference"]) is has_margin
