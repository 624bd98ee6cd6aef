"""Values of the panels: plain error bars."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from reporting.charts.points import panels
from reporting.results_folder import read_findings
from reporting.wording import Words
from tests.reporting.results_folder import write_results


def test_plain_bars_are_sigma_over_the_root_of_n(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path))
    gsm8k, _, wiki, _ = panels(findings, Words("en"), plain_bars=True)
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
    assert "1.96σ/√n" in gsm8k.subtitle
