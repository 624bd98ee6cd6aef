"""Commands that are printed can be pasted into a shell."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from jobs._commands import job_command, logs_command, mlflow_command, show_command

HARD = 'runs of mine/it\'s "here" $HOME;x'


def test_a_path_with_spaces_and_quotes_reaches_the_program(tmp_path: Path) -> None:
    path = tmp_path / HARD / "progress.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    assert subprocess.run(show_command(path), shell=True, capture_output=True, text=True, check=True).stdout == "{}"
    assert shlex.split(mlflow_command(path))[-1] == f"sqlite:///{path}"
    assert shlex.split(job_command("pipeline", ["--storage", HARD]))[-2:] == ["--storage", HARD]


def test_programs_are_those_of_the_environment_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    assert job_command("pipeline", []) == ".venv/bin/python -m jobs.pipeline"
    assert mlflow_command(Path("/m.db")).startswith(".venv/bin/mlflow ui ")
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python3")
    assert job_command("pipeline", []) == "python -m jobs.pipeline"
    assert shlex.split(mlflow_command(Path("/m.db")))[0] == "/opt/my python/bin/mlflow"


def test_the_log_of_a_ray_job_is_asked_for_at_an_address() -> None:
    assert shlex.split(logs_command("raysubmit_1"), comments=True) == [
        *("ray", "job", "logs", "--address", "http://127.0.0.1:8265", "--follow", "raysubmit_1")
    ]
