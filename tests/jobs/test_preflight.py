"""Checks before anything starts: what they find, and how often they read the texts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from actors import machine
from actors.orchestrator.sources import inspect as inspect_module
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.inspect import inspect
from actors.quantization.calibration import read_calibration
from conf.load import load
from jobs import collect_imatrix, pipeline, quantize
from jobs._counter import TerminalReporter
from jobs._nodes import this_machine


def test_a_calibration_text_is_read_once(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the thing and the other in the end\n" * 400, encoding="utf-8")
    reads: Counter[str] = Counter()

    def counted(spec: str) -> str:
        reads[spec] += 1
        return read_calibration(spec)

    monkeypatch.setattr(inspect_module, "read_calibration", counted)
    values = {
        "models": [{"name": name, "path": str(tiny_model)} for name in ("one", "two")],
        "quantizations": ["f16", "q4_0"],
        "benchmarks": ["demo_qa"],
        "calibration": {"texts": [str(text)], "dataset_size": 512},
        "storage": str(tmp_path / "runs"),
    }
    hashes = HashCache(tmp_path)
    inspect(load(None, values), hashes, TerminalReporter(), nodes=(this_machine(1, hashes),))
    assert reads == {str(text): 1}


def test_too_little_memory_is_bad_input_before_anything_is_written(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "available_bytes", lambda: 2**20)
    model, output = str(tiny_model), tmp_path / "out"
    work = ("--quantizations", "f16,q4_0", "--benchmarks", "demo_qa", "--imatrix", "none", "--threads", "1")
    commands = (
        (collect_imatrix, ("--output", str(output / "matrix.gguf"), "--dataset-size", "512")),
        (quantize, ("--output", str(output), "--formats", "q4_0")),
        (pipeline, ("--storage", str(output), "--pipeline-id", "p", *work)),
    )
    for job, words in commands:
        assert job.main(["--model", model, *words]) == 2
        reported = capsys.readouterr().err
        assert "memory: got '0.0 GiB available'" in reported, job
        assert "at least 0.3 GiB for " in reported
        assert "Close other programs, or use a machine with more memory." in reported
    assert not output.exists()
