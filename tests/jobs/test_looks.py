"""Looks of real jobs: a second one under another name is noted, and a margin that was changed is told for good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.running import run


@pytest.mark.slow
def test_a_second_look_and_a_changed_margin_are_told_in_every_document(tiny_model: Path, tmp_path: Path) -> None:
    same = tmp_path / "same.gguf"
    same.write_bytes(tiny_model.read_bytes() + b"\0")
    arms = ("--models", f"f16={tiny_model}", f"same={same}", "--reference", "f16")

    def look(name: str, limit: int, *more: str) -> tuple[str, dict[str, Any], Path]:
        output = tmp_path / "runs" / name
        asked = ("--benchmarks", "demo_choice", "--limit", str(limit), "--threads", "1")
        ended = run("evaluate", *arms, "--output", str(output), *asked, *more)
        assert ended.code == 0, ended.out + ended.err
        return ended.out, json.loads((output / "evaluation_results/statistical_analysis.json").read_text()), output

    out, analysis, _ = look("first", 8)
    (row,) = analysis["comparisons"]
    assert (row["look"]["number"], analysis["rules_fixed"]) == (1, True)
    assert "The margins were fixed before the run." in out

    out, analysis, _ = look("second", 16)
    (row,) = analysis["comparisons"]
    assert (row["look"]["number"], row["look"]["earlier"][0]["pipeline_id"]) == (2, "first")
    assert "look 2 at same (before: 8 items): the interval is widened for it" in out

    config = tmp_path / "wider.yaml"
    config.write_text("statistics: {margins: {accuracy: 0.05}}\n", encoding="utf-8")
    out, analysis, output = look("third", 16, "--config", str(config))
    assert analysis["rules_fixed"] is False and analysis["rule_changes"][0]["n_looks_before"] == 2
    assert "margin accuracy changed from 0.01 to 0.05 after 2 looks" in out

    results, pdf = output / "evaluation_results/quantization_comparison.json", output / "scorecards/s.pdf"
    ended = run("document", "--results", str(results), "--output", str(pdf), "--lang", "en")
    assert ended.code == 0, ended.out + ended.err
    texts = [path.read_text(encoding="utf-8") for path in output.rglob("*.md")]
    assert any("changed from 0.01 to 0.05 after 2 looks" in text for text in texts)
    assert not any("fixed before the run" in text for text in texts)
    assert any("look 2 at this comparison (before: 8 items)" in text for text in texts)
