"""What NVIDIA's driver says, from a scripted library of it, and without that."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actors.nvidia_driver import Driver, read_driver

MODULE = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder)  Sun Jul 27\n"
    "GCC version:  gcc version 12.2.0\n"
)


class ScriptedError(Exception):
    """An error of the library."""


def scripted(monkeypatch: pytest.MonkeyPatch, **functions: Any) -> None:
    known: dict[str, Any] = {
        "NVMLError": ScriptedError,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlSystemGetCudaDriverVersion_v2": lambda: 12080,
        "nvmlSystemGetDriverVersion": lambda: b"570.86.15",
        "nvmlDeviceGetCount": lambda: 8,
    }
    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(**(known | functions)))


def failing() -> None:
    raise ScriptedError("Driver/library version mismatch")


def test_versions_and_cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripted(monkeypatch)
    assert read_driver(tmp_path / "none") == Driver("NVIDIA 570.86.15, CUDA 12.8", 8)


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetCount"])
def test_a_driver_that_fails_shows_no_cards_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, function: str
) -> None:
    scripted(monkeypatch, **{function: failing})
    (tmp_path / "version").write_text(MODULE)
    fault = "NVML: Driver/library version mismatch"
    assert read_driver(tmp_path / "version") == Driver("NVIDIA 580.65.06 (kernel module only)", 0, fault)


def test_no_driver_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripted(monkeypatch, nvmlInit=failing)
    assert read_driver(tmp_path / "none") == Driver(None, 0)


def test_without_the_library_the_kernel_module_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert read_driver(tmp_path / "none") == Driver(None, 0)
    (tmp_path / "version").write_text(MODULE)
    fault = "the package nvidia-ml-py is missing"
    assert read_driver(tmp_path / "version") == Driver("NVIDIA 580.65.06 (kernel module only)", 0, fault)
    (tmp_path / "version").write_text("something else")
    assert read_driver(tmp_path / "version").versions == "NVIDIA (kernel module only)"
