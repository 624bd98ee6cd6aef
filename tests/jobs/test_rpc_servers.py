"""RPC servers that are busy before a job, or lost in the middle of it: the message names them, and comes soon."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from tests.jobs.running import run, start
from tests.rpc_servers import RpcBuild
from tests.tiny_model import TinyShape, write_tiny_model

pytestmark = pytest.mark.slow
LARGE = TinyShape(n_layers=8, n_ff=4096)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "large.gguf", shape=LARGE)


def evaluation(model: Path, output: Path, limit: int) -> tuple[str, ...]:
    asked = ("--benchmarks", "demo_qa", "--limit", str(limit), "--runs", "3", "--max-tokens", "400", "--threads", "1")
    return ("--models", f"tiny={model}", "--output", str(output), *asked)


def test_a_server_that_serves_another_program_is_told_before_anything_starts(
    rpc_build: RpcBuild, model: Path, tmp_path: Path
) -> None:
    with rpc_build.server() as address:
        host, _, port = address.partition(":")
        with socket.create_connection((host, int(port))):
            time.sleep(0.2)  # the server now waits for what this client says
            began = time.monotonic()
            ended = run("evaluate", *evaluation(model, tmp_path / "run", 2), **rpc_build.environment(address))
            took_s = time.monotonic() - began
            shown = run("doctor", **rpc_build.environment(address)).out
        assert run("doctor", **rpc_build.environment(address)).out.count("RPC0 RPC server") == 1
    said = " ".join(ended.err.split())
    assert ended.code == 2 and took_s < 60, ended.err
    assert f"QUANT_ASSAY_RPC_SERVERS: got '{socket.gethostname()}: the RPC server {address} of" in said
    assert "It serves one client at a time, so another program is using it" in said
    assert "End that program or wait for its end" in said
    (line,) = [one for one in shown.splitlines() if "Devices:" in one]
    assert line.startswith(f"MISSING  Devices: the RPC server {address}")


def test_a_server_that_is_lost_in_the_middle_is_named(rpc_build: RpcBuild, model: Path, tmp_path: Path) -> None:
    with rpc_build.server() as address:
        job = start("evaluate", *evaluation(model, tmp_path / "run", 32), **rpc_build.environment(address))
        rpc_build.end_once_it_computes(address, job)
        out, _ = job.communicate(timeout=300)
    assert job.returncode == 1, out
    lost = f"the RPC server {address} of QUANT_ASSAY_RPC_SERVERS does not answer (Connection refused)"
    notices = json.loads(out[out.rindex("\nPROGRESS ") + 10 :].splitlines()[0])["notices"]
    assert any("the worker died: an RPC server was lost (ggml-rpc.cpp:" in one and lost in one for one in notices)
    failures = json.loads((tmp_path / "run" / "failures.json").read_text())
    assert failures and all(lost in one["error"] for one in failures)


def test_a_server_that_is_lost_while_a_matrix_is_collected_is_named(
    rpc_build: RpcBuild, model: Path, tmp_path: Path
) -> None:
    words = ("--model", str(model), "--output", str(tmp_path / "m.gguf"), "--dataset-size", "200000", "--threads", "1")
    with rpc_build.server() as address:
        job = start("collect_imatrix", *words, **rpc_build.environment(address))
        rpc_build.end_once_it_computes(address, job)
        _, err = job.communicate(timeout=300)
    said = " ".join(err.split())
    assert job.returncode == 1, err
    assert "the process that decodes on RPC server crashed: an RPC server was lost" in said
    assert f"the RPC server {address} of QUANT_ASSAY_RPC_SERVERS does not answer (Connection refused)" in said
    assert "run the same command again" in said and "Traceback" not in said
