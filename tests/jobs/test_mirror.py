"""The MLflow of a running pipeline: it never holds anything up."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from actors.store import RunDirectory
from conf.files import read_json, write_json
from jobs._mirror import BackgroundMirror
from tests.finished_run import write_finished_run
from tests.jobs.running import ROOT, environment, run, small_pipeline
from tests.raw_server import page, raw_server

SILENT = [b"", b""]


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDirectory:
    return write_finished_run(tmp_path / "demo")


def test_a_store_that_answers_is_brought_up_to_date(run_dir: RunDirectory, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mirror = BackgroundMirror(uri, tmp_path / "artifacts", 0)
    write_json(run_dir.progress, {**read_json(run_dir.progress), "state": "running"})
    mirror.follow(run_dir)
    write_json(run_dir.progress, {**read_json(run_dir.progress), "state": "done"})
    assert mirror.finish(run_dir, 60.0) is None
    assert mirror.address is not None and mirror.address.endswith("/runs?workflowType=machine_learning")
    client = MlflowClient(tracking_uri=uri)
    (experiment,) = [one.experiment_id for one in client.search_experiments() if one.name != "Default"]
    assert {one.info.status for one in client.search_runs([experiment])} == {"FINISHED"}


@pytest.mark.parametrize("begins_before", [True, False])
def test_a_server_that_hangs_is_left_at_the_time_limit(run_dir: RunDirectory, begins_before: bool) -> None:
    with raw_server(SILENT, 60.0) as uri:
        mirror = BackgroundMirror(uri, None, 0)
        started = time.monotonic()
        if begins_before:
            mirror.follow(run_dir)
            mirror.follow(run_dir)
        assert time.monotonic() - started < 1
        assert mirror.finish(run_dir, 1.0) == "no answer in 1 s"
        assert time.monotonic() - started < 5


def test_garbage_is_a_reason_and_no_error(run_dir: RunDirectory) -> None:
    with raw_server(page(b"<html>"), 0.0) as uri:
        reason = BackgroundMirror(uri, None, 0).finish(run_dir, 60.0)
    assert reason is not None and "<html>" in reason


def test_a_process_ends_though_its_mirror_hangs(run_dir: RunDirectory) -> None:
    work = (
        "import sys; from actors.store import RunDirectory; from jobs._mirror import BackgroundMirror\n"
        "print(BackgroundMirror(sys.argv[1], None, 0).finish(RunDirectory(sys.argv[2]), 1.0))"
    )
    with raw_server(SILENT, 600.0) as uri:
        command = [sys.executable, "-c", work, uri, str(run_dir.root)]
        done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, timeout=60, check=True)
    assert done.stdout == b"no answer in 1 s\n"


def test_a_server_that_is_away_is_told_before_the_start_and_the_user_may_go_on(
    tiny_model: Path, tmp_path: Path
) -> None:
    options = [*small_pipeline(tiny_model, tmp_path, "p"), "--dry-run"]
    with raw_server(SILENT, 600.0) as uri:
        started = time.monotonic()
        ended = run("pipeline", *options, MLFLOW_TRACKING_URI=uri)
        assert ended.code == 2 and "--no-mlflow-wait" in ended.err and "timed out" in ended.err
        assert time.monotonic() - started < 30
        ended = run("pipeline", *options, "--no-mlflow-wait", MLFLOW_TRACKING_URI=uri)
    assert ended.code == 0 and "Arms" in ended.out, ended.err


@pytest.mark.slow
def test_an_outage_never_delays_the_summary(tiny_model: Path, tmp_path: Path) -> None:
    options = [*small_pipeline(tiny_model, tmp_path, "p"), "--no-mlflow-wait"]
    with raw_server(SILENT, 600.0) as uri:
        ended = run("pipeline", *options, MLFLOW_TRACKING_URI=uri)
    assert (ended.code, ended.err) == (0, "")
    *_, reason, _, command = ended.out.splitlines()
    assert reason == "MLflow is not up to date: no answer in 30 s"
    assert " -m jobs.pipeline --model " in command and "--pipeline-id p" in command
    assert ended.out.index("Where to look:") < ended.out.index(reason)
    again = run("pipeline", *options)
    assert again.code == 0 and "Nothing to do" in again.out and "not up to date" not in again.out
    assert (tmp_path / "mlflow.db").exists()
