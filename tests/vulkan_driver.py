"""A device without a GPU: lavapipe, Mesa's Vulkan driver that computes with the processor.

This needs llama.cpp of the version that `llama_cpp` is built from, built with `-DGGML_VULKAN=ON` and shared libraries,
and lavapipe (Debian: mesa-vulkan-drivers). `LLAMA_VULKAN` is the folder with its `libllama.so` and `libggml*.so`. Tests
that need it are skipped without. They take minutes: lavapipe compiles each shader when it is first used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rpc_servers import link_package

ROOT = Path(__file__).parents[1]
_ASK = "from actors.node_process import start; print(start()(None))"


@dataclass(frozen=True)
class VulkanBuild:
    """A llama.cpp with the Vulkan backend, on the first device that Vulkan has."""

    package: Path
    """Folder for PYTHONPATH: the installed `llama_cpp` package, with the libraries of that build."""
    kind: str = ""
    """Description of the device."""

    def environment(self) -> dict[str, str]:
        """Return the variables of a process that has the device. llama.cpp takes lavapipe only if it is named."""
        return {"PYTHONPATH": str(self.package), "GGML_VK_VISIBLE_DEVICES": "0"}


def require_vulkan_build(folder: Path) -> VulkanBuild:
    """Return the build that LLAMA_VULKAN names. Skip the test if there is none. `folder`: for the package."""
    libraries = Path(os.environ.get("LLAMA_VULKAN", ""))
    if not (libraries / "libggml-vulkan.so").is_file():
        pytest.skip("no llama.cpp with the Vulkan backend: set LLAMA_VULKAN to the folder of libggml-vulkan.so")
    link_package(folder, libraries)
    environment = {**os.environ, **VulkanBuild(folder).environment()}
    asked = subprocess.run(
        [sys.executable, "-c", _ASK], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    devices = json.loads(asked.stdout)["machine"]["devices"]
    if not devices:
        pytest.skip("no Vulkan device: install lavapipe (Debian: mesa-vulkan-drivers)")
    return VulkanBuild(folder, devices[0]["description"])
