"""Activations in device memory are read correctly: the sums equal those on the host, on one device and split over two.

A device is another process, reached through the RPC backend (`tests.rpc_servers`), so its memory is not host memory; or
one of Vulkan (`tests.vulkan_driver`), which multiplies in f16.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from actors.llama.activations import ActivationCollector, Sums
from actors.llama.model import Model
from actors.quantization.groups import added
from tests.rpc_servers import RpcBuild
from tests.tiny_model import TinyShape, write_tiny_model
from tests.vulkan_driver import VulkanBuild

CTX = 96
ROOT = Path(__file__).parents[2]


def on_host(model_path: Path) -> Sums:
    tokens = np.random.default_rng(0).integers(261, 386, 2 * CTX).tolist()
    with Model(model_path) as model, ActivationCollector(model, ctx=CTX, threads=1) as collector:
        first, second = (collector.submit((tokens[start : start + CTX], None)).result() for start in (0, CTX))
    return added(first, second)


def check_sums(
    kind: str, devices: int, model: Path, folder: Path, environment: Mapping[str, str], *, rtol: float = 1e-4
) -> None:
    """Collect on the devices of a process with this environment, and compare the sums with those on the host."""
    output = folder / "device.npz"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.llama.on_device", kind, str(devices), str(model), str(CTX), str(output)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=900,
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
            np.testing.assert_allclose(stored[f"sums/{name}"], entry.sum_squares, rtol=rtol, atol=rtol / 100)


@pytest.mark.slow
@pytest.mark.parametrize(("n_experts", "devices"), [(0, 1), (4, 1), (0, 2)])
def test_sums_from_device_memory_equal_those_from_host_memory(
    rpc_build: RpcBuild, tmp_path: Path, n_experts: int, devices: int
) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=n_experts))
    with rpc_build.server() as first, rpc_build.server() as second:
        check_sums("RPC server", devices, model, tmp_path, rpc_build.environment(first, second))


@pytest.mark.slow
@pytest.mark.parametrize("n_experts", [0, 4])
def test_sums_from_a_vulkan_device_are_near_those_from_host_memory(
    vulkan_build: VulkanBuild, tmp_path: Path, n_experts: int
) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=n_experts))
    check_sums(vulkan_build.kind, 1, model, tmp_path, vulkan_build.environment(), rtol=2e-2)
