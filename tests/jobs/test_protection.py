"""A protected pipeline from start to end: its arms and controls, and what results and documents say about them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reporting.validate import validate
from tests.jobs.running import run, small_pipeline


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.mark.slow
def test_a_protected_pipeline_compares_each_arm_with_its_control(tiny_model: Path, storage: Path) -> None:
    # If an option is given twice, argparse takes the last one.
    more = ("--protection-level", "high", "--benchmarks", "perplexity_pydoc", "--limit", "2", "--lang", "en")
    ended = run("pipeline", *small_pipeline(tiny_model, storage, "protected", *more))
    assert ended.code == 0, ended.out + ended.err
    root = storage / "protected"
    comparison = json.loads((root / "evaluation_results/quantization_comparison.json").read_text(encoding="utf-8"))
    validate("quantization_comparison", comparison)
    arms = {arm["name"]: arm for arm in comparison["arms"]}
    assert list(arms) == ["f16", "q4_k_m+phigh", "q4_k_m+phigh~plain"]
    made, control = (arms[name] for name in list(arms)[1:])
    assert arms["f16"]["budget"] is None
    assert made["budget"]["predicted_error"] <= control["budget"]["predicted_error"]
    assert control["budget"]["predicted_error"] == made["budget"]["predicted_error_control"]
    for arm in (made, control):
        assert Path(arm["path"]).with_name("allocation.json").is_file()
        planned = next(
            one for one in json.loads((root / "plan.json").read_text())["artifacts"] if one["arm"] == arm["name"]
        )
        assert arm["size_bytes"] == pytest.approx(planned["predicted_bytes"], rel=0.01)
        assert f"{arm['name']}: +0." in ended.out
    methodology = (root / "methodology/quantization_methodology.md").read_text(encoding="utf-8")
    assert "Precision where it matters" in methodology
    assert "Predicted error J" in (root / "reports/quantization_analysis_report.md").read_text(encoding="utf-8")
    assert len(list((storage / ".quantization_errors").glob("*.json"))) == 1
