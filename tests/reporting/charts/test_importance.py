"""The chart of an importance matrix: one row per input, every layer, no values that cannot be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reporting.charts.draw import draw_charts
from reporting.charts.importance import importance_chart, inputs_of
from reporting.charts.render import to_svg
from reporting.documents.write import DocumentPlaces, write_documents
from reporting.frames import IMPORTANCE_SCHEMA
from reporting.wording import Words
from tests.reporting.charts.drawn import shown_by, values
from tests.reporting.results_folder import write_results

KINDS = {"attn_q": 1.0, "attn_k": 1.0, "attn_v": 1.0, "attn_output": 2.0, "ffn_down": 3.0}


def row(layer: int | None, kind: str, total: float, **changed: Any) -> dict[str, Any]:
    figures = dict.fromkeys(IMPORTANCE_SCHEMA, 0.5) | {
        "n_columns": 576,
        "total": total,
        "cosine": 0.9 if layer else None,
    }
    return figures | {"matrix": "en-ja4", "name": f"blk.{layer}.{kind}.weight", "layer": layer, "kind": kind} | changed


def table(rows: list[dict[str, Any]] | None = None) -> pl.DataFrame:
    made = [row(layer, kind, total * (layer + 1)) for kind, total in KINDS.items() for layer in range(30)]
    return pl.DataFrame(made if rows is None else rows, schema=IMPORTANCE_SCHEMA)


def test_matrices_with_the_same_input_share_a_row() -> None:
    rows = inputs_of(table())
    assert list(dict.fromkeys(one["input"] for one in rows)) == ["attn_k, attn_q, attn_v", "attn_output", "ffn_down"]
    assert len(rows) == 3 * 30


def test_matrices_that_differ_in_one_layer_keep_their_own_rows() -> None:
    other = table().with_columns(
        total=pl.when((pl.col("kind") == "attn_k") & (pl.col("layer") == 7)).then(99.0).otherwise(pl.col("total"))
    )
    inputs = {one["input"] for one in inputs_of(other)}
    assert inputs == {"attn_k", "attn_q, attn_v", "attn_output", "ffn_down"}


def test_the_chart_says_what_it_shows_in_both_languages() -> None:
    for lang, texts in ((Words("ja"), ("層", "エントロピー")), (Words("en"), ("Layer", "Outlying columns"))):
        chart = importance_chart(table(), "SmolLM2", lang)
        assert chart is not None
        text = shown_by(chart)
        for words in ("en-ja4", "SmolLM2", "attn_k, attn_q, attn_v", *texts):
            assert words in text


def test_a_value_that_is_missing_or_has_no_logarithm_is_not_drawn() -> None:
    rows = [row(0, "ffn_down", 0.0), row(1, "ffn_down", 2.0), row(2, "ffn_down", 3.0, cosine=None)]
    chart = importance_chart(table(rows), "", Words("en"))
    assert chart is not None
    drawn = [[one["value"] for one in values(panel, 0)] for panel in chart["concat"]]
    assert drawn == [[None, 2.0, 3.0], [50.0] * 3, [50.0] * 3, [None, 0.9, None]]
    assert "NaN" not in to_svg(chart)


def test_a_matrix_without_layers_is_not_drawn() -> None:
    assert importance_chart(table([row(None, "output", 1.0)]), "", Words("en")) is None


@pytest.mark.slow
def test_each_matrix_has_a_file_and_a_figure_in_the_report(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    two = pl.concat([table(), table().with_columns(matrix=pl.lit("large~default"))])
    two.write_parquet(results.parent / "report_data" / "importance.parquet")
    drawn = draw_charts(results, tmp_path / "charts", "en")
    names = ("importance_en-ja4.png", "importance_large-default.png")
    assert {path.name for path in drawn.paths} >= set(names)
    places = DocumentPlaces.of_run(tmp_path)
    write_documents(results, places, "en")
    report = places.report.read_text(encoding="utf-8")
    assert all(f"(../charts/{name})" in report for name in names)


def test_without_the_table_a_notice_says_what_is_missing(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    drawn = draw_charts(results, tmp_path / "charts", "en")
    assert not [path for path in drawn.paths if path.name.startswith("importance_")]
    assert any("importance.parquet" in notice for notice in drawn.notices)
