"""The plan in words: what it names, its width, and the warning when nothing is compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.llama.devices import DeviceUse
from actors.orchestrator.duration import Duration, NoDuration
from actors.orchestrator.placed import Memory, Placed
from jobs import pipeline
from jobs._placement_text import where_text
from jobs._plan_text import describe_duration
from reporting.terminal.layout import WIDTH, display_width
from tests.jobs.running import small_pipeline


def _dry_run(capsys: pytest.CaptureFixture[str], model: Path, storage: Path, *more: str) -> str:
    assert pipeline.main([*small_pipeline(model, storage, "p", "--dry-run"), *more]) == 0
    return capsys.readouterr().out


def test_a_plan_names_models_texts_items_and_time_within_80_columns(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = _dry_run(capsys, tiny_model, tmp_path)
    assert max(display_width(line) for line in out.splitlines() if str(tmp_path) not in line) <= WIDTH
    text = " ".join(out.split())
    assert "tiny: llama, 1.4 million weights, F16, 2.6 MiB" in text
    assert "Calibration texts default: 1,024 tokens 100% topics.py#1/2" in text
    assert "q4_k_m" in text and "against f16, imatrix default" in text
    assert "is the smallest loss that these 4 items find;" in text
    assert "Time about" in text and "on this machine if it is idle" in text
    assert "Reused" not in text


def test_a_plan_that_compares_nothing_begins_with_that(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = _dry_run(capsys, tiny_model, tmp_path, "--quantizations", "q4_k_m")
    assert out.index("NOTHING IS COMPARED for tiny") < out.index("Models")
    assert "smallest loss" not in out


def test_the_time_says_what_it_rests_on() -> None:
    phases = {"importance matrix": 0.0, "quantizing": 30.0, "evaluating": 12_000.0, "everything else": 60.0}
    text = " ".join(
        " ".join(describe_duration(Duration(phases, 20_000.0, 2, 0.0, ("theirs",)), "2 workers on the cluster")).split()
    )
    assert text.startswith(
        "Time about 3 h 22 min with 2 workers on the cluster if it is idle; 5 h 33 min if every answer runs to its"
    )
    assert "(quantizing 30 s, evaluating 3 h 20 min, everything else 60 s)" in text
    assert "other programs" not in text
    assert text.endswith("Not in it: theirs")


def test_a_measurement_beside_other_work_is_said_to_be_one() -> None:
    text = " ".join(describe_duration(Duration({"evaluating": 9.0}, 9.0, 1, 0.4, ()), "1 worker on this machine"))
    assert "token limit" not in text  # nothing is generated
    assert "This is for an idle machine, and other programs used 40% of its processors" in text


def test_without_a_measurement_there_is_no_time_and_the_reason_is_told() -> None:
    assert describe_duration(NoDuration("all GPUs are in use"), "") == ["Time    unknown: all GPUs are in use"]


@pytest.mark.parametrize(
    ("gpus", "text"),
    [(0.5, "1/2 GPU"), (0.3333, "1/3 GPU"), (0.25, "1/4 GPU"), (0.7, "0.7 GPU"), (1.0, "1 GPU"), (2.0, "2 GPUs")],
)
def test_a_share_of_a_gpu_is_shown_as_it_is(gpus: float, text: str) -> None:
    nothing = Memory(0, 0, 0)
    placed = Placed(2.0, gpus, DeviceUse("H100", 1, "none"), -1, nothing, nothing)
    assert where_text(placed) == text
    assert where_text(replace(placed, devices=None)) == "2 CPUs"
