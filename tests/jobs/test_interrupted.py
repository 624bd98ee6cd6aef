"""Ctrl-C before the work, a local Ray that does not start, and a worker that dies while it draws."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray

from actors.errors import RayNotStarted
from actors.orchestrator.actor import Job, Orchestrator
from conf.environment import Environment
from jobs._ray import connect
from tests.jobs.running import small_pipeline, start
from tests.orchestrator.equal_workers import equal_workers
from tests.orchestrator.small_plan import make_config, make_small_plan

LOCAL = Environment(None, None, None, Path("/nowhere"))


def test_ctrl_c_during_the_checks_ends_with_130_and_one_line(tiny_model: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        options = small_pipeline(tiny_model, tmp_path, "p")
        process = start("pipeline", *options, "--dry-run", MLFLOW_TRACKING_URI=address)
        silent.settimeout(60)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        connection.close()
    assert (process.returncode, out) == (130, "")
    lines = [line for line in err.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("Stopped (SIGINT). Nothing was started.")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_a_dry_run_measures_ends_with_130_and_one_line(tiny_model: Path, tmp_path: Path) -> None:
    process = start("pipeline", *small_pipeline(tiny_model, tmp_path, "p", "--dry-run"))
    assert process.stdout is not None
    assert process.stdout.readline() == f"Measuring how fast {tiny_model.name} works\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.strip().startswith("Stopped (SIGINT). Nothing was started.") and len(err.split("\n")) == 3


@pytest.fixture
def failing_starts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Exception]]:
    """Make Ray's start raise the errors that the test puts into the list, one after the other, and then succeed."""
    errors: list[Exception] = []
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")

    def init(**options: Any) -> None:
        if errors:
            raise errors.pop(0)

    monkeypatch.setattr(ray, "init", init)
    yield errors


def test_a_local_ray_that_does_not_start_is_tried_once_more(failing_starts: list[Exception]) -> None:
    failing_starts.append(Exception("The current node timed out during startup."))
    connect(LOCAL, 1, "p")
    assert failing_starts == []


def test_a_local_ray_that_never_starts_is_told_in_one_message(failing_starts: list[Exception]) -> None:
    failing_starts.extend([Exception("The current node timed\n out during startup.")] * 3)
    with pytest.raises(RayNotStarted, match=r"two attempts \(Exception: The current node timed out during startup\.\)"):
        connect(LOCAL, 1, "p")
    assert len(failing_starts) == 1


@dataclass(frozen=True)
class Made:
    """What a worker for charts or documents returns."""

    paths: tuple[str, ...]
    notices: tuple[str, ...] = ()


class DiesAtFirst:
    """A worker that dies in as many calls as the file of the order has letters to take."""

    def draw(self, marks: str) -> Made:
        left = Path(marks).read_text()
        if left:
            Path(marks).write_text(left[1:])
            os._exit(1)
        return Made(("chart.png",))


@pytest.mark.slow
def test_a_worker_that_dies_while_it_draws_is_tried_again(tmp_path: Path) -> None:
    connect(LOCAL, 1, "p")
    try:
        plan = make_small_plan(tmp_path)
        job = Job(make_config(), plan, str(tmp_path / "p"), "token", equal_workers(1), frozenset(), {}, True)
        marks = tmp_path / "marks"
        for deaths, files, failures in (("x", ["chart.png"], 0), ("xx", [], 1)):
            orchestrator = Orchestrator(job)
            marks.write_text(deaths)
            assert orchestrator._make_files(DiesAtFirst, "draw", str(marks), "charts") == files
            assert [one.attempts for one in orchestrator.view().failures] == [2] * failures
    finally:
        ray.shutdown()
