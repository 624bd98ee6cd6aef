"""Whole jobs on devices: split over two of them, partly on one, and on one that has less memory than it says.

The devices are RPC servers (`tests.rpc_servers`). They compute with the processor, so results equal those without them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.quantization.imatrix_file import read_imatrix
from tests.jobs.conftest import Done
from tests.jobs.running import Ended, records, run, small_pipeline
from tests.rpc_servers import RpcBuild
from tests.tiny_model import TinyShape, write_tiny_model

pytestmark = pytest.mark.slow
MIB = 2**20
LARGE = TinyShape(n_layers=8, n_ff=4096)
"""100 MiB of weights, 12 in each layer."""


def layouts(folder: Path) -> list[dict[str, Any]]:
    """Return the layouts in the keys of all records."""
    metas = {(folder / name).with_name("meta.json") for name in records(folder)}
    return [json.loads(meta.read_text())["key"]["layout"] for meta in sorted(metas)]


def rows(folder: Path, arm: str) -> list[dict[str, Any]]:
    """Return all records of an arm, in the same order in every run."""
    paths = sorted((folder / name for name in records(folder) if f".{arm}-" in name), key=_place)
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def _place(path: Path) -> tuple[str, str]:
    key = json.loads(path.with_name("meta.json").read_text())
    return key["benchmark"], path.name


def evaluate(model: Path, output: Path, **extra: str) -> Ended:
    output.parent.mkdir(exist_ok=True)
    asked = ("--benchmarks", "demo_qa", "--limit", "2", "--runs", "1", "--max-tokens", "4", "--threads", "1")
    return run("evaluate", "--models", f"tiny={model}", "--output", str(output), *asked, **extra)


def test_a_pipeline_on_two_devices_gives_what_it_gives_on_the_processor(
    done: Done, rpc_build: RpcBuild, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("execution: {gpus_per_worker: 2}\n", encoding="utf-8")
    with rpc_build.server() as first, rpc_build.server() as second:
        options = small_pipeline(done.model, tmp_path / "storage", "first", "--config", str(config))
        ended = run("pipeline", *options, **rpc_build.environment(first, second))
    assert ended.code == 0, ended.out + ended.err
    folder = tmp_path / "storage" / "first"
    used = {"kind": "RPC server", "count": 2, "split": "layer"}
    assert [(one["gpu_layers"], one["devices"]) for one in layouts(folder)] == [(-1, used)] * 6
    found, expected = rows(folder, "f16"), rows(done.run_dir, "f16")
    assert len(found) == len(expected) > 8
    for one, other in zip(found, expected, strict=True):
        assert (one["item_id"], one["outcome"], one.get("text")) == (
            other["item_id"],
            other["outcome"],
            other.get("text"),
        )
        if one.get("nll_sum") is not None:
            assert one["nll_sum"] / one["n_tokens"] == pytest.approx(other["nll_sum"] / other["n_tokens"], abs=1e-4)
    (matrix,), (other_matrix,) = (list(where.glob("imatrix/default-*.gguf")) for where in (folder, done.run_dir))
    on_devices, on_host = read_imatrix(matrix).entries, read_imatrix(other_matrix).entries
    assert on_devices.keys() == on_host.keys() and on_devices
    for name, entry in on_devices.items():
        np.testing.assert_allclose(entry.sum_squares, on_host[name].sum_squares, rtol=1e-4, atol=1e-6)


def test_a_model_that_is_too_large_for_a_device_is_partly_on_it(rpc_build: RpcBuild, tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "large.gguf", shape=LARGE)
    with rpc_build.server(says_bytes=880 * MIB) as server:
        ended = evaluate(model, tmp_path / "run", **rpc_build.environment(server))
    assert ended.code == 0, ended.out + ended.err
    (layout,) = layouts(tmp_path / "run")
    assert 0 < layout["gpu_layers"] < LARGE.n_layers and layout["devices"]["count"] == 1


def test_a_device_with_less_memory_than_it_says_gets_less_and_the_run_remembers_it(
    rpc_build: RpcBuild, tmp_path: Path
) -> None:
    model = write_tiny_model(tmp_path / "large.gguf", shape=LARGE)
    with rpc_build.server(says_bytes=1000 * MIB, memory_bytes=64 * MIB) as server:
        ended = evaluate(model, tmp_path / "run", **rpc_build.environment(server))
        assert ended.code == 0, ended.out + ended.err
        limits = json.loads((tmp_path / "run" / "device_memory_limit.json").read_text())
        assert limits.keys() == {"arms"} and limits["arms"]["tiny"] < 1
        assert "llama.cpp got no memory for more" in " ".join(ended.out.split())
        (layout,) = layouts(tmp_path / "run")
        assert 0 <= layout["gpu_layers"] < LARGE.n_layers
        again = evaluate(model, tmp_path / "run", **rpc_build.environment(server))
    assert again.code == 0 and "Nothing to do" in again.out


NOTING_LOADS = """
import json
import os

import llama_cpp

_real = llama_cpp.llama_model_load_from_file


def _noting(path, params):
    if not params.vocab_only:
        with open(os.environ["LOADS"], "a", encoding="utf-8") as file:
            name = os.path.basename(path.decode())
            file.write(json.dumps([name, os.getpid(), params.n_gpu_layers]) + chr(10))
    return _real(path, params)


llama_cpp.llama_model_load_from_file = _noting
"""


def test_only_the_model_without_memory_is_planned_anew_and_no_other_is_loaded_again(
    rpc_build: RpcBuild, tmp_path: Path
) -> None:
    model, noting = write_tiny_model(tmp_path / "large.gguf", shape=LARGE), tmp_path / "noting"
    noting.mkdir()
    (noting / "sitecustomize.py").write_text(NOTING_LOADS, encoding="utf-8")
    asked = ("--model", f"large={model}", "--quantizations", "f16,q4_0", "--imatrix", "none", "--benchmarks", "demo_qa")
    limits = ("--limit", "2", "--runs", "1", "--max-tokens", "4", "--threads", "1")
    command = (*asked, *limits, "--storage", str(tmp_path / "storage"), "--pipeline-id", "run")
    folder = tmp_path / "storage" / "run"
    # 100 MiB of weights find no memory in 120 MiB, with the libraries of the server; 14 MiB do.
    with rpc_build.server(says_bytes=1000 * MIB, memory_bytes=120 * MIB) as server:
        environment = rpc_build.environment(server)
        environment |= {"PYTHONPATH": f"{noting}:{environment['PYTHONPATH']}", "LOADS": str(tmp_path / "loads.jsonl")}
        ended = run("pipeline", *command, **environment)
        assert ended.code == 0, ended.out + ended.err
        loads = [json.loads(line) for line in (tmp_path / "loads.jsonl").read_text().splitlines()]
        made = {name: (folder / name).stat().st_mtime_ns for name in records(folder)}
        again = run("pipeline", *command, **environment)
    assert again.code == 0 and "Nothing to do" in again.out
    assert made == {name: (folder / name).stat().st_mtime_ns for name in records(folder)}
    kept = json.loads((folder / "device_memory_limit.json").read_text())
    assert kept.keys() == {"arms"} and kept["arms"].keys() == {"f16"}
    small = [(process, layers) for name, process, layers in loads if name == "large-Q4_0.gguf"]
    # Once for self-check and block, and once more because loading is measured; always in one process, all layers.
    assert len(small) == 2 and len(set(small)) == 1 and small[0][1] == -1
    large = [(process, layers) for name, process, layers in loads if name == "large-F16.gguf"]
    assert {process for process, _ in large} == {small[0][0]}, "the worker that found no memory goes on"
    assert large[0][1] == -1 and 0 < large[-1][1] < LARGE.n_layers
    arms = {name.split(".")[1].split("-")[0] for name in made}
    assert arms == {"f16", "q4_0"} and len(made) == 2
    assert "f16: fills devices to" in " ".join(ended.out.split())
