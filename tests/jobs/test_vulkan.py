"""A whole pipeline and the doctor on a Vulkan device (`tests.vulkan_driver`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actors.quantization.imatrix_file import read_imatrix
from tests.jobs.conftest import Done
from tests.jobs.running import run, small_pipeline, start
from tests.jobs.test_devices import layouts, rows
from tests.vulkan_driver import VulkanBuild

pytestmark = pytest.mark.slow
PIPELINE_WITHIN_S = 1800
"""lavapipe compiles its shaders in each process."""


def test_a_pipeline_on_a_vulkan_device_gives_nearly_what_it_gives_on_the_processor(
    done: Done, vulkan_build: VulkanBuild, tmp_path: Path
) -> None:
    options = small_pipeline(done.model, tmp_path / "storage", "first")
    job = start("pipeline", *options, **vulkan_build.environment())
    out, err = job.communicate(timeout=PIPELINE_WITHIN_S)
    assert job.returncode == 0, out + err
    folder = tmp_path / "storage" / "first"
    used = {"kind": vulkan_build.kind, "count": 1, "split": "none"}
    assert [(one["gpu_layers"], one["devices"]) for one in layouts(folder)] == [(-1, used)] * 6
    found, expected = rows(folder, "f16"), rows(done.run_dir, "f16")
    assert [one["item_id"] for one in found] == [one["item_id"] for one in expected] and len(found) > 8
    same = [one.get("text") == other.get("text") for one, other in zip(found, expected, strict=True)]
    assert sum(same) >= 0.75 * len(same)
    for one, other in zip(found, expected, strict=True):
        if one.get("nll_sum") is not None:
            assert one["nll_sum"] / one["n_tokens"] == pytest.approx(other["nll_sum"] / other["n_tokens"], abs=1e-2)
    (matrix,), (other_matrix,) = (list(where.glob("imatrix/default-*.gguf")) for where in (folder, done.run_dir))
    on_device, on_host = read_imatrix(matrix).entries, read_imatrix(other_matrix).entries
    assert on_device.keys() == on_host.keys() and on_device
    for name, entry in on_device.items():
        assert entry.counts.tolist() == on_host[name].counts.tolist()
        np.testing.assert_allclose(entry.sum_squares, on_host[name].sum_squares, rtol=2e-2, atol=1e-4)


def test_the_doctor_shows_a_vulkan_device(vulkan_build: VulkanBuild) -> None:
    (line,) = [one for one in run("doctor", **vulkan_build.environment()).out.splitlines() if "Devices:" in one]
    assert line.startswith(f"ok       Devices: Vulkan0 {vulkan_build.kind}, ")
