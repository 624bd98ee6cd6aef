"""Models on a Vulkan device (`tests.vulkan_driver`): wholly and partly. Logits are not selected there.

Vulkan multiplies in f16 and sums in another order than the processor, so results are near those of the processor, and
greedy answers may part where two tokens are nearly as likely.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.llama.devices import DeviceUse
from tests.conftest import layout
from tests.engines.on_devices import ask, decode
from tests.vulkan_driver import VulkanBuild

pytestmark = pytest.mark.slow
HOW = layout(n_ctx=2048)


def on_vulkan(build: VulkanBuild, model: str, gpu_layers: int) -> dict[str, Any]:
    """Return what `tests.engines.on_devices` answers."""
    how = replace(HOW, gpu_layers=gpu_layers, devices=DeviceUse(build.kind, 1, "none"))
    return ask(model, how, build.environment(), within_s=1800)


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
