"""The chart and the table of means by category."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reporting.charts.categories import categories_chart
from reporting.charts.render import to_svg
from reporting.documents.tables.categories import categories_table
from reporting.results_folder import read_findings
from reporting.wording import Lang, Words
from tests.reporting.charts.drawn import shown_by
from tests.reporting.results_folder import all_arms_failed, one_arm_failed, with_hostile_names, write_results


@pytest.mark.parametrize(
    ("lang", "title", "method"),
    [("ja", "数学的推論", "区間の二乗和"), ("en", "Mathematical reasoning", "squares of intervals added")],
)
def test_each_category_has_a_panel_that_names_its_benchmarks(
    tmp_path: Path, lang: Lang, title: str, method: str
) -> None:
    chart = categories_chart(read_findings(write_results(tmp_path)), Words(lang))
    assert chart is not None
    text = shown_by(chart)
    for words in (title, "gsm8k; n = ", "perplexity_wikitext2, perplexity_ja_wiki; n = 48", "52.1%", method):
        assert words in text


def test_results_older_than_categories_have_no_chart(tmp_path: Path) -> None:
    def older(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        del comparison["categories"]
        for one in comparison["benchmarks"]:
            del one["category"]

    findings = read_findings(write_results(tmp_path, older))
    assert categories_chart(findings, Words("en")) is None
    assert any("before benchmarks had categories" in notice for notice in findings.notices)
    assert categories_table(findings, Words("en"), findings.arms).rows == ()


@pytest.mark.parametrize("change", [one_arm_failed, all_arms_failed, with_hostile_names])
def test_the_chart_is_drawn_with_missing_results_and_hostile_names(tmp_path: Path, change: Any) -> None:
    findings = read_findings(write_results(tmp_path, change))
    chart = categories_chart(findings, Words("ja"))
    if chart is not None:
        assert "<script" not in to_svg(chart)
    assert len(categories_table(findings, Words("ja"), findings.arms).rows) == 3


def test_an_arm_with_fewer_scored_items_shows_its_own_number(tmp_path: Path) -> None:
    def fewer(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        for row in comparison["categories"]:
            row["n_items"] = 33 if row["arm"] == "q4_k_m" else 40

    findings = read_findings(write_results(tmp_path, fewer))
    for title, _, *cells in categories_table(findings, Words("en"), findings.arms).rows:
        assert title.endswith("n = 40")
        assert ["n = " in cell for cell in cells] == [False, False, True]
        assert cells[2].endswith("n = 33")
