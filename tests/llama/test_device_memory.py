"""Activations in device memory are read correctly: the sums equal those on the host.

The device is another process, reached through llama.cpp's RPC backend, so its memory is not host memory. This needs
llama.cpp of the same version, built with `-DGGML_RPC=ON` and shared libraries. Set `LLAMA_RPC` to the folder with its
`libllama.so`, `libggml*.so` and `ggml-rpc-server`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import llama_cpp
import numpy as np
import pytest

from actors.llama.activations import ActivationCollector, Sums
from actors.llama.model import Model
from actors.quantization.groups import added
from tests.tiny_model import TinyShape, write_tiny_model

CTX = 96
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def build() -> Path:
    folder = Path(os.environ.get("LLAMA_RPC", ""))
    if not (folder / "ggml-rpc-server").is_file():
        pytest.skip("no llama.cpp with the RPC backend: set LLAMA_RPC to the folder of ggml-rpc-server")
    return folder


@pytest.fixture(scope="module")
def server(build: Path) -> Iterator[str]:
    """Start an RPC server and yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [build / "ggml-rpc-server", "-H", "127.0.0.1", "-p", str(port), "-t", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, "the server exited at once"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield f"127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def package(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the installed `llama_cpp` package and the libraries of that build."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "llama_cpp").mkdir()
    for file in Path(llama_cpp.__file__).parent.glob("*.py"):
        (folder / "llama_cpp" / file.name).symlink_to(file)
    (folder / "llama_cpp" / "lib").symlink_to(build.resolve())
    return folder


def on_host(model_path: Path) -> Sums:
    tokens = np.random.default_rng(0).integers(261, 386, 2 * CTX).tolist()
    with Model(model_path) as model, ActivationCollector(model, ctx=CTX, threads=1) as collector:
        first, second = (collector.submit((tokens[start : start + CTX], None)).result() for start in (0, CTX))
    return added(first, second)


@pytest.mark.parametrize("n_experts", [0, 4])
def test_sums_from_device_memory_equal_those_from_host_memory(
    server: str, package: Path, tmp_path: Path, n_experts: int
) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=n_experts))
    output = tmp_path / "device.npz"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.llama.on_device", server, str(model), str(CTX), str(output)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    expected = on_host(model)
    with np.load(output) as stored:
        read_on_host, read_on_device = stored["reads"]
        # Two chunks, two layers, four inputs per layer, and with experts also the routes. All are read from the device.
        assert read_on_host == 0
        assert read_on_device >= 2 * 2 * 4
        assert {name.partition("/")[2] for name in stored.files if "/" in name} == set(expected)
        for name, entry in expected.items():
            assert stored[f"counts/{name}"].tolist() == entry.counts.tolist()
            np.testing.assert_allclose(stored[f"sums/{name}"], entry.sum_squares, rtol=1e-4, atol=1e-6)
