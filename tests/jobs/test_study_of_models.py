"""The study of nine models, planned with three tiny ones: one is a quantized file that is evaluated as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.pipeline import main
from tests.tiny_model import write_tiny_model

STUDY = Path(__file__).parents[2] / "conf" / "studies" / "nine_models.yaml"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data folder with three made-up tasks."""
    task = {"input": "挨拶してください。", "output": "こんにちは。", "eval_aspect": "- 挨拶がなければ1点減点"}
    path = tmp_path / "data" / "elyza_tasks_100" / "test.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps({"id": number, **task}, ensure_ascii=False) + "\n" for number in range(3)))
    return tmp_path / "data"


def planned(capsys: pytest.CaptureFixture[str], tmp_path: Path, data: Path, *arguments: str) -> list[str]:
    """Return the lines of the plan."""
    places = ["--data-dir", str(data), "--storage", str(tmp_path / "runs"), "--pipeline-id", "study"]
    assert main([*arguments, *places, "--threads", "1", "--dry-run"]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_study_is_planned_for_two_models_of_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data: Path
) -> None:
    names = ("first-japanese-model-with-a-name-of-forty", "second-japanese-model-with-a-name-as-long")
    paths = [write_tiny_model(tmp_path / f"{number}-F16.gguf", seed=number) for number in range(2)]
    models = [part for name, path in zip(names, paths, strict=True) for part in ("--model", f"{name}={path}")]
    lines = planned(capsys, tmp_path, data, "--config", str(STUDY), *models)
    assert max(map(len, lines)) <= 80
    arms = [line for line in lines if "reference" in line and "MiB" in line]
    assert len(arms) == 2
    assert any("3 of 3 items" in line and "3 seeds" in line for line in lines)
    assert not any("NOTHING IS COMPARED" in line for line in lines)


@pytest.mark.slow
def test_models_with_one_side_are_planned_beside_the_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data: Path
) -> None:
    path = write_tiny_model(tmp_path / "tiny-F16.gguf")
    config = tmp_path / "copy.yaml"
    models = [
        {"name": "both", "path": str(path)},
        {"name": "given", "path": str(path), "quantizations": []},
        {"name": "plain", "path": str(path), "quantizations": ["f16"]},
    ]
    config.write_text(STUDY.read_text(encoding="utf-8") + f"models: {json.dumps(models)}\n", encoding="utf-8")
    text = "\n".join(planned(capsys, tmp_path, data, "--config", str(config)))
    assert "given has one side only (given~f16)" in text
    assert "plain has one side only (plain~f16)" in text
    assert "against both~f16" in text
