"""The heat map of errors by layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reporting.charts.losses import errors_by_layer, losses_chart
from reporting.frames import LOSS_SCHEMA
from reporting.results_folder import Findings, read_findings
from reporting.wording import Words
from tests.reporting.charts.drawn import shown_by
from tests.reporting.results_folder import write_results


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
    return replace(findings, losses=table)


def test_the_error_of_a_layer_is_weighted_by_elements(tmp_path: Path) -> None:
    """(100 * 0.01 + 300 * 0.03) / 400 = 0.025."""
    losses = with_losses(read_findings(write_results(tmp_path))).losses
    assert losses is not None
    found = {place: error for _, place, error in errors_by_layer(losses).iter_rows()}
    assert found == {"0": pytest.approx(0.025), "1": 0.0, "emb.": pytest.approx(0.001)}


def test_errors_are_drawn_by_layer(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path))
    assert losses_chart(findings, Words("en")) is None
    chart = losses_chart(with_losses(findings), Words("en"))
    assert chart is not None
    text = shown_by(chart)
    for words in ("Quantization error by layer", "q4_k_m", "emb.", "n = 5 ", "Grey: no error"):
        assert words in text


def test_without_any_error_no_chart_is_drawn(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path))
    table = pl.DataFrame([loss("q8_0", 0, "attn_q", 100, 0.0)], schema=LOSS_SCHEMA)
    no_error = replace(findings, losses=table)
    assert losses_chart(no_error, Words("en")) is None
    one_value = replace(findings, losses=table.with_columns(error=pl.lit(0.01)))
    chart = losses_chart(one_value, Words("en"))
    assert chart is not None
    assert "0.5%" in shown_by(chart)
