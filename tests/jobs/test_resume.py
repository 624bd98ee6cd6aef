"""After a kill at any point, the same command finishes the rest, and finished records do not change."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.jobs.running import records, run, start

MIDDLE_BLOCKS = 4
LONG = 150
"""Number of runs that take longer than it takes to refuse a second job."""
CONFIG = "execution: {block_items: 2, max_workers: 2}\n"


@pytest.fixture(scope="module")
def models(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two GGUFs to evaluate."""
    folder = tmp_path_factory.mktemp("models")
    ended = run("quantize", "--model", str(tiny_model), "--formats", "f16,q4_0", "--output", str(folder))
    assert ended.code == 0, ended.out + ended.err
    return folder


def options(models: Path, output: Path, runs: int = 4) -> tuple[str, ...]:
    """Return options that give enough blocks to kill the job in the middle."""
    config = output.parent / "small_blocks.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    benchmarks = (
        "--benchmarks",
        "demo_qa,demo_choice",
        "--runs",
        str(runs),
        "--limit",
        "20",
        "--max-tokens",
        "24",
        "--threads",
        "1",
    )
    return ("--models", str(models), "--output", str(output), "--config", str(config), *benchmarks)


@pytest.fixture(scope="module")
def unbroken(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the same run without a kill."""
    output = tmp_path_factory.mktemp("unbroken") / "run"
    ended = run("evaluate", *options(models, output))
    assert ended.code == 0, ended.out + ended.err
    return output


@pytest.mark.slow
def test_one_worker_writes_the_same_records_as_two(models: Path, unbroken: Path, tmp_path: Path) -> None:
    ended = run("evaluate", *options(models, tmp_path / "run"), "--max-workers", "1")
    assert ended.code == 0, ended.out + ended.err
    assert records(tmp_path / "run") == records(unbroken)


def findings(output: Path) -> dict[str, Any]:
    """Return the numbers of both result files, without times and paths."""
    comparison = json.loads((output / "evaluation_results/quantization_comparison.json").read_text())
    analysis = json.loads((output / "evaluation_results/statistical_analysis.json").read_text())
    return {"results": comparison["results"], "comparisons": analysis["comparisons"]}


def kill_in_the_middle(process: subprocess.Popen[str], output: Path, kill: Callable[[], None]) -> dict[str, str]:
    """Wait until some blocks are done, kill, and return the records from just before."""
    deadline = time.monotonic() + 120
    while len(done := records(output)) < MIDDLE_BLOCKS:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no block was done in time"
        time.sleep(0.02)
    kill()
    return done


def test_the_same_command_continues_after_the_driver_was_killed(models: Path, unbroken: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    process = start("evaluate", *options(models, output))
    done = kill_in_the_middle(process, output, lambda: os.kill(process.pid, signal.SIGKILL))
    process.communicate()
    assert len(records(output)) < len(records(unbroken))
    # At once: workers of the killed driver may still be running.
    ended = run("evaluate", *options(models, output))
    assert ended.code == 0, ended.out + ended.err
    after = records(output)
    assert {name: after[name] for name in done} == done
    assert after == records(unbroken)
    assert findings(output) == findings(unbroken)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_block_is_done_again(models: Path, unbroken: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    process = start("evaluate", *options(models, output))

    def kill_one_worker() -> None:
        workers = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            # Ray shows what a worker is doing as the name of its process.
            if any(part.startswith("ray::") and " on demo_" in part for part in child.cmdline())
        ]
        workers[0].kill()

    kill_in_the_middle(process, output, kill_one_worker)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    assert "is tried again" in out
    assert records(output) == records(unbroken)
    assert findings(output) == findings(unbroken)


@pytest.mark.slow
def test_a_second_live_job_on_the_same_id_is_refused(models: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    process = start("evaluate", *options(models, output, LONG))
    try:
        kill_in_the_middle(process, output, lambda: None)
        second = run("evaluate", *options(models, output, LONG))
        assert second.code == 2
        assert f"process {process.pid}" in second.err
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "To continue, run the same command." in out
    assert json.loads((output / "progress.json").read_text())["state"] == "stopped"
    with sqlite3.connect(output / "mlflow.db") as store:
        assert store.execute("select status from runs where name = 'run'").fetchone() == ("KILLED",)
