"""Means by category, and the errors by layer: what is computed, drawn and written of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reporting.analysis.categories import category_rows
from reporting.charts.categories import categories_chart
from reporting.charts.losses import errors_by_layer, losses_chart
from reporting.charts.style import to_svg
from reporting.documents.tables.categories import categories_table
from reporting.frames import LOSS_SCHEMA
from reporting.results_folder import Findings, read_findings
from reporting.wording import Lang, Words
from tests.reporting.charts.test_charts import svg_text
from tests.reporting.results_folder import all_arms_failed, named_by_an_enemy, one_arm_failed, write_results


def benchmark(name: str, category: str | None, metric: str = "accuracy") -> dict[str, Any]:
    return {"name": name, "category": category, "metric": metric, "higher_is_better": metric == "accuracy"}


def result(arm: str, name: str, mean: float | None, ci95: list[float] | None, n_items: int = 10) -> dict[str, Any]:
    row = {"arm": arm, "benchmark": name, "primary": True, "mean": mean, "n_items": n_items, "ci95": ci95}
    return row | {"ci_method": "t", "ci95_reason": None if ci95 else "one_item"}


def test_a_category_is_the_plain_mean_of_its_benchmarks() -> None:
    run = {"benchmarks": [benchmark("a", "reasoning"), benchmark("b", "reasoning"), benchmark("c", None)]}
    run["arms"] = [{"name": "f16"}, {"name": "f16~aa"}]
    results = [
        result("f16", "a", 0.4, [0.37, 0.45], 1000),
        result("f16", "b", 0.6, [0.56, 0.72]),
        result("f16", "c", 1, None),
    ]
    (row,) = category_rows(run, results)
    assert (row["category"], row["arm"], row["benchmarks"], row["n_items"]) == ("reasoning", "f16", ["a", "b"], 1010)
    assert row["mean"] == pytest.approx(0.5)
    assert row["ci95"] == [pytest.approx(0.475), pytest.approx(0.565)]  # tests/stats/test_categories.py
    assert row["ci_method"] == "square_and_add"


def test_a_missing_benchmark_leaves_no_mean_of_the_others() -> None:
    run = {"benchmarks": [benchmark("a", "reasoning"), benchmark("b", "reasoning")], "arms": [{"name": "q8_0"}]}
    (row,) = category_rows(run, [result("q8_0", "a", 0.4, [0.3, 0.5]), result("q8_0", "b", None, None, 0)])
    assert (row["mean"], row["mean_reason"], row["ci95_reason"]) == (None, "benchmark_missing", "benchmark_missing")


def test_scales_are_never_mixed() -> None:
    run = {"benchmarks": [benchmark("a", "english"), benchmark("b", "english", "nll")], "arms": [{"name": "f16"}]}
    rows = category_rows(run, [result("f16", "a", 0.4, [0.3, 0.5]), result("f16", "b", 2.0, [1.9, 2.1])])
    assert [(row["metric"], row["mean"]) for row in rows] == [("accuracy", 0.4), ("nll", 2.0)]


@pytest.mark.parametrize(
    ("lang", "said"), [("ja", "数学的推論"), ("en", "Mathematical reasoning"), ("both", "数学的推論 / Mathematical")]
)
def test_each_category_has_a_panel_that_names_its_benchmarks(tmp_path: Path, lang: Lang, said: str) -> None:
    chart = categories_chart(read_findings(write_results(tmp_path)), Words(lang))
    assert chart is not None
    text = svg_text(to_svg(chart))
    for words in (said, "gsm8k; n = ", "perplexity_wikitext2, perplexity_ja_wiki; n = 48", "52.1%", "square_and_add"):
        assert words in text


def test_results_from_before_there_were_categories_have_no_chart(tmp_path: Path) -> None:
    def older(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        del comparison["categories"]
        for one in comparison["benchmarks"]:
            del one["category"]

    findings = read_findings(write_results(tmp_path, older))
    assert categories_chart(findings, Words("en")) is None
    assert any("before benchmarks had categories" in notice for notice in findings.notices)
    assert categories_table(findings, Words("en"), findings.arms).rows == ()


@pytest.mark.parametrize("change", [one_arm_failed, all_arms_failed, named_by_an_enemy])
def test_gaps_and_hostile_names_do_not_stop_it(tmp_path: Path, change: Any) -> None:
    findings = read_findings(write_results(tmp_path, change))
    chart = categories_chart(findings, Words("both"))
    if chart is not None:
        assert "<script" not in to_svg(chart)
    assert len(categories_table(findings, Words("both"), findings.arms).rows) == 3


# --- errors by layer -------------------------------------------------------------------------------


def loss(arm: str, layer: int | None, kind: str, n_elements: int, error: float) -> dict[str, Any]:
    row = dict.fromkeys(LOSS_SCHEMA, 1) | {"type": "q4_k", "weighted": True, "tensor": f"{layer}.{kind}"}
    return row | {"arm": arm, "layer": layer, "kind": kind, "n_elements": n_elements, "energy": 2.0, "error": error}


def with_losses(findings: Findings) -> Findings:
    rows = [
        loss("q4_k_m", 0, "attn_q", 100, 0.02),
        loss("q4_k_m", 0, "ffn_up", 300, 0.06),
        loss("q4_k_m", 1, "ffn_up", 300, 0.0),
        loss("q4_k_m", None, "token_embd", 300, 0.002),
        loss("q4_k_m", None, "strange", 300, 0.5),
    ]
    table = pl.DataFrame(rows, schema=LOSS_SCHEMA)
    return Findings(findings.comparison, findings.analysis, findings.answers, (), None, table)


def test_a_layers_error_weighs_tensors_by_their_elements(tmp_path: Path) -> None:
    """(100 * 0.01 + 300 * 0.03) / 400 = 0.025."""
    losses = with_losses(read_findings(write_results(tmp_path))).losses
    assert losses is not None
    found = {place: error for _, place, error in errors_by_layer(losses).iter_rows()}
    assert found == {"0": pytest.approx(0.025), "1": 0.0, "emb.": pytest.approx(0.001)}


def test_errors_are_drawn_by_layer(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path))
    assert losses_chart(findings, Words("en")) is None
    chart = losses_chart(with_losses(findings), Words("both"))
    assert chart is not None
    text = svg_text(to_svg(chart))
    for words in ("層ごとの量子化誤差 / Quantization error by layer", "q4_k_m", "emb.", "n = 5 ", "Grey: no error"):
        assert words in text


def test_where_nothing_was_lost_nothing_is_drawn(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path))
    table = pl.DataFrame([loss("q8_0", 0, "attn_q", 100, 0.0)], schema=LOSS_SCHEMA)
    none_lost = Findings(findings.comparison, findings.analysis, None, (), None, table)
    assert losses_chart(none_lost, Words("en")) is None
    one_value = Findings(findings.comparison, None, None, (), None, table.with_columns(error=pl.lit(0.01)))
    chart = losses_chart(one_value, Words("en"))
    assert chart is not None
    assert "0.5%" in svg_text(to_svg(chart))
