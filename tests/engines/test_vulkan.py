"""Models on a Vulkan device (`tests.vulkan_driver`): wholly and partly. Logits are not selected there.

Vulkan multiplies in f16 and sums in another order than the processor, so results are near those of the processor, and
greedy answers may part where two tokens are nearly as likely.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.llama.devices import DeviceUse
from tests.conftest import layout
from tests.engines.on_devices import decode
from tests.vulkan_driver import VulkanBuild

pytestmark = pytest.mark.slow
HOW = layout(n_ctx=2048)
ROOT = Path(__file__).parents[2]


def on_vulkan(build: VulkanBuild, model: str, gpu_layers: int) -> dict[str, Any]:
    """Return what `tests.engines.on_devices` answers."""
    how = replace(HOW, gpu_layers=gpu_layers, devices=DeviceUse(build.kind, 1, "none"))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.engines.on_devices"],
        input=json.dumps({"model": model, "layout": how.identity, "given": ()}),
        cwd=ROOT,
        env={**os.environ, **build.environment()},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


@pytest.mark.parametrize("gpu_layers", [-1, 2])
def test_results_are_near_those_of_the_processor(vulkan_build: VulkanBuild, tiny_path: str, gpu_layers: int) -> None:
    expected, found = decode(tiny_path, HOW), on_vulkan(vulkan_build, tiny_path, gpu_layers)
    same = [one == other for one, other in zip(found["texts"], expected["texts"], strict=True)]
    assert len(same) == 3 and sum(same) >= 2
    assert found["logliks"] == pytest.approx(expected["logliks"], rel=5e-3)
    assert found["nll"] == pytest.approx(expected["nll"], abs=1e-2)
    assert not found["selected"]
    on_device = [one for one in found["buffers"] if not one["on_host"]]
    assert [one["weights_bytes"] > 0 for one in on_device] == [True]
