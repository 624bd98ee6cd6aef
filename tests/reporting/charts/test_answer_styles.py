"""The charts of the style of answers and of the shift of their lengths."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reporting.charts.answer_styles import answer_styles_chart
from reporting.charts.length_shifts import length_shifts_chart
from reporting.charts.lengths import length_unit, lengths_chart
from reporting.results_folder import Findings, read_findings
from reporting.wording import Words
from tests.reporting.results_folder import write_results

EN = Words("en")


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return read_findings(write_results(tmp_path_factory.mktemp("run")))


def _values(chart: Any, field: str) -> list[dict[str, Any]]:
    """Return all rows of data in a chart that have a field."""
    if isinstance(chart, dict):
        own = chart["data"]["values"] if isinstance(chart.get("data"), dict) and "values" in chart["data"] else ()
        return [row for row in own if field in row] + [row for part in chart.values() for row in _values(part, field)]
    return [row for part in chart for row in _values(part, field)] if isinstance(chart, list) else []


def test_a_panel_per_style_that_some_answer_has(findings: Findings) -> None:
    chart = answer_styles_chart(findings, EN)
    assert chart is not None
    assert [panel["title"]["text"] for panel in chart["concat"]] == ["Cut off", "Wrong language"]
    rows = {row["arm"]: row for row in _values(chart["concat"][0], "arm")}
    assert rows["q4_k_m"]["text"] == "3.0% [0.6, 13.8]"
    # The difference of q4_k_m is shown, that of q8_0 is not.
    assert rows["q4_k_m"]["fill"] == rows["q4_k_m"]["colour"]
    assert rows["q8_0"]["fill"] == "#FFFFFF"
    assert rows["f16"]["shape"] == "diamond"
    assert any("(dashed: the reference)" in line for line in chart["title"]["subtitle"])


def test_no_line_of_several_references_is_drawn_or_told(findings: Findings) -> None:
    assert findings.analysis is not None
    sides = {"f16": None, "q8_0": "b~f16"}
    arms = [{"name": f"b~{side}", "model": "b", "reference": of, "recipe": side} for side, of in sides.items()]
    rows = [{**row, "arm": f"b~{row['arm']}"} for row in findings.answer_style if row["arm"] in sides]
    several = dataclasses.replace(
        findings,
        comparison=findings.comparison | {"arms": [*findings.arms, *arms]},
        analysis=findings.analysis | {"answer_style": [*findings.answer_style, *rows]},
    )
    chart = answer_styles_chart(several, EN)
    assert chart is not None
    assert not any("dashed" in line for line in chart["title"]["subtitle"])


def test_one_point_per_item_and_the_correlation_below_the_title(findings: Findings) -> None:
    chart = length_shifts_chart(findings, EN)
    assert chart is not None
    first, second = chart["concat"]
    assert (first["title"]["text"], second["title"]["text"]) == ("q8_0 − f16", "q4_k_m − f16")
    assert second["title"]["subtitle"] == ["gsm8k; ρ = −0.33 [−0.59, −0.01], n = 39"]
    points = _values(second, "before")
    assert len({row["item"] for row in points}) == 39
    mean = sum(row["shift"] for row in points) / len(points)
    assert mean == pytest.approx(-42.286, abs=1e-3)
    assert any(row["at"] == pytest.approx(mean) for row in _values(second, "at"))


def test_lengths_of_several_models_are_in_characters(findings: Findings) -> None:
    assert length_unit(findings) == "tokens"
    arms = [arm | {"model": arm["name"]} for arm in findings.arms]
    several = dataclasses.replace(findings, comparison=findings.comparison | {"arms": arms})
    assert length_unit(several) == "characters"
    assert "characters per answer" in lengths_chart(several, EN)["title"]["subtitle"][0]  # type: ignore[index]
    assert findings.lengths is not None
    uncounted = dataclasses.replace(findings, lengths=findings.lengths.with_columns(tokens=pl.lit(None, pl.Int64)))
    assert length_unit(uncounted) == "characters"


def test_a_missing_table_leaves_out_the_lengths_with_a_notice(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    (results.parent / "report_data" / "answer_style.parquet").unlink()
    findings = read_findings(results)
    assert any("answer_style.parquet" in notice for notice in findings.notices)
    assert length_shifts_chart(findings, EN) is lengths_chart(findings, EN) is None
    assert answer_styles_chart(findings, EN) is not None


def test_older_results_have_no_chart(findings: Findings) -> None:
    older = dataclasses.replace(findings, analysis=None, lengths=None)
    assert answer_styles_chart(older, EN) is length_shifts_chart(older, EN) is None
