"""The main job by `ray job submit`, on a separate Ray with a dashboard: it is stopped, and continues."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.jobs.running import ROOT, environment, records, small_pipeline

pytestmark = pytest.mark.slow
BIN = Path(sys.executable).parent
RUNTIME_ENV = "conf/runtime_env.yaml"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


TOKEN = secrets.token_hex(32)


def cluster_environment() -> dict[str, str]:
    """Return an environment with our Python first on the PATH, and a token for this cluster and its clients only."""
    path = f"{BIN}:{os.environ['PATH']}"
    return environment(PATH=path, NO_COLOR="1", RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN)


@dataclass(frozen=True)
class Cluster:
    """A Ray head with a dashboard on loopback."""

    address: str

    def job(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "ray", "job", words[0], "--address", self.address, *words[1:]],
            cwd=ROOT,
            env=cluster_environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def submit(self, submission_id: str, *options: str, wait: bool = True) -> subprocess.CompletedProcess[str]:
        waiting = () if wait else ("--no-wait",)
        command = ("--", "python", "-m", "jobs.pipeline", *options)
        words = ("submit", "--submission-id", submission_id, "--working-dir", ".", "--runtime-env", RUNTIME_ENV)
        deadline = time.monotonic() + 60
        while True:
            done = self.job(*words, *waiting, *command)
            # The agent starts within seconds after `ray start` (see README); a busy machine takes longer.
            if "No available agent" not in done.stdout + done.stderr or time.monotonic() > deadline:
                return done
            time.sleep(1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    port, dashboard = free_port(), free_port()
    # A short path, because the path of a socket in it may have at most 107 characters.
    folder = tempfile.mkdtemp(prefix="qa-ray-", dir="/tmp")
    command = [
        BIN / "ray",
        "start",
        "--head",
        "--block",
        "--num-cpus=2",
        "--include-dashboard=true",
        f"--temp-dir={folder}",
    ]
    command += [f"--port={port}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
    # The agent would fail on the default port if another Ray on this machine uses it.
    command += [f"--dashboard-agent-listen-port={free_port()}"]
    env = cluster_environment()
    with open(Path(folder) / "head.log", "w") as log:
        head = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        made = Cluster(f"http://127.0.0.1:{dashboard}")
        deadline = time.monotonic() + 60
        while made.job("list").returncode != 0:
            assert head.poll() is None and time.monotonic() < deadline, (Path(folder) / "head.log").read_text()
            time.sleep(1)
        yield made
    finally:
        head.terminate()
        head.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_stopped_job_continues_under_the_same_id(cluster: Cluster, tiny_model: Path, tmp_path: Path) -> None:
    config = tmp_path / "small_blocks.yaml"
    config.write_text("execution: {block_items: 2}\n")
    options = list(small_pipeline(tiny_model, tmp_path / "runs", "job", "--config", str(config)))
    options[options.index("--limit") + 1] = "40"
    run_dir = tmp_path / "runs" / "job"
    submitted = cluster.submit("first", *options, wait=False)
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    deadline = time.monotonic() + 120
    while len(records(run_dir)) < 3:
        assert time.monotonic() < deadline, cluster.job("logs", "first").stdout
        time.sleep(0.05)
    assert "RUNNING" in cluster.job("status", "first").stdout
    assert cluster.job("stop", "first").returncode == 0
    assert "was stopped" in cluster.job("status", "first").stdout
    done = records(run_dir)
    assert not (run_dir / "manifest.json").exists()
    second = cluster.submit("second", *options)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "succeeded" in second.stdout
    assert "PROGRESS {" in cluster.job("logs", "second").stdout
    after = records(run_dir)
    assert {name: after[name] for name in done} == done
    assert (run_dir / "scorecards" / "quantization_evaluation_en.pdf").exists()


def test_a_relative_storage_is_refused_because_the_uploaded_copy_is_deleted(cluster: Cluster, tiny_model: Path) -> None:
    refused = cluster.submit("relative", *small_pipeline(tiny_model, Path("runs"), "job"))
    assert refused.returncode != 0
    assert "--storage: got 'runs'" in cluster.job("logs", "relative").stdout
