"""A disk that gets full while a pipeline runs, on a small file system of its own."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from actors.orchestrator.room import DISK_SLACK_BYTES
from actors.store import RunDirectory
from conf.files import read_json
from tests.jobs.running import records, run, small_pipeline, start
from tests.tiny_model import TinyShape, write_tiny_model

DISK_BYTES = DISK_SLACK_BYTES + 64 * 2**20
"""Room for a plan of tiny files, as the check before the start sees it."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only a superuser who may mount file systems can make a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError:
            pass
    return ballast


@pytest.mark.slow
def test_a_disk_that_gets_full_is_told_in_one_message_and_the_same_command_goes_on(
    disk: Path, tiny_model: Path
) -> None:
    options = [*small_pipeline(tiny_model, disk, "p"), "--config", "conf/demo.yaml"]
    process = start("pipeline", *options)
    while process.poll() is None and not list(disk.glob("p/records/*/*.jsonl")):
        time.sleep(0.01)
    ballast = fill(disk)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 1, out + err
    assert err.count("\n") == 1, err
    message = err.rstrip()
    assert message.startswith(f"FAILED: cannot write {disk / 'p'}") and "No space left on device" in message
    assert "are free on its disk" in message and "Traceback" not in out
    last = r"Finished work is kept\. Free at least 5\d\d MiB on the disk of .*\. To continue, run the same command\."
    assert re.fullmatch(last, out.splitlines()[-1])
    assert read_json(RunDirectory(disk / "p").progress)["state"] == "failed"
    (parent,) = _pipeline_runs(disk)
    assert parent.info.status == "FAILED"
    before = records(disk / "p")
    ballast.unlink()
    ended = run("pipeline", *options)
    assert ended.code == 0, ended.out + ended.err
    assert before.items() <= records(disk / "p").items()
    (parent,) = _pipeline_runs(disk)
    assert parent.info.status == "FINISHED"
    assert not list(disk.glob("p/**/.*.part"))


@pytest.mark.slow
def test_a_disk_that_gets_full_inside_the_quantizer_is_told_and_no_half_file_stays(disk: Path, tmp_path: Path) -> None:
    # llama.cpp itself writes this file. The check before the start sees enough room; then it is taken away.
    model = write_tiny_model(tmp_path / "wide.gguf", shape=TinyShape(n_layers=24, n_ff=4096))
    output = disk / "made"
    options = ["--model", f"wide={model}", "--formats", "q4_k_m", "--output", str(output), "--threads", "1"]
    process = start("quantize", *options)
    while process.poll() is None and not list(output.glob(".*.part")):
        time.sleep(0.001)
    ballast = fill(disk)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 1, out + err
    said = [line for line in (out + err).splitlines() if "failed" in line or "FAILED" in line]
    assert len(said) == 1 and "wide-Q4_K_M.gguf" in said[0] and "Traceback" not in out + err, out + err
    assert "No space left on device" in out + err or "free on its disk" in out + err
    assert not list(output.glob("*.gguf")) and not list(output.glob(".*.part"))
    ballast.unlink()
    ended = run("quantize", *options)
    assert ended.code == 0, ended.out + ended.err
    assert len(list(output.glob("*.gguf"))) == 1


def _pipeline_runs(storage: Path) -> list:
    client = MlflowClient(tracking_uri=f"sqlite:///{storage / 'mlflow.db'}")
    experiments = [one.experiment_id for one in client.search_experiments()]
    return list(client.search_runs(experiments, "tags.`quant_assay.kind` = 'pipeline'"))
