"""Devices are listed as llama.cpp chooses them: from a scripted ggml, and from the build of this environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from actors.llama import device_list, library
from actors.llama.devices import Device

CPU, GPU, IGPU, ACCEL = range(4)
GIB = 2**30
Scripted = tuple[str, int, str, bytes | None]
"""Name, type, backend, and address in the machine."""


@dataclass(frozen=True)
class ScriptedGgml:
    """A ggml library with these devices, each with 80 GiB of which 79 are free."""

    devices: tuple[Scripted, ...]

    def ggml_backend_dev_count(self) -> int:
        return len(self.devices)

    def ggml_backend_dev_get(self, number: int) -> int:
        return number

    def ggml_backend_dev_backend_reg(self, handle: int) -> int:
        return handle

    def ggml_backend_reg_name(self, handle: int) -> bytes:
        return self.devices[handle][2].encode()

    def ggml_backend_dev_get_props(self, handle: int, pointer: Any) -> None:
        name, kind, _, device_id = self.devices[handle]
        says = pointer._obj
        says.name, says.description, says.type, says.device_id = name.encode(), f"{name}!".encode(), kind, device_id
        says.memory_free, says.memory_total = 79 * GIB, 80 * GIB


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def listed(*devices: Scripted) -> list[Device]:
        monkeypatch.setattr(device_list, "libggml", ScriptedGgml(devices))
        return list(device_list.list_devices())

    return listed


def test_a_card_has_its_name_and_memory(listed: Any) -> None:
    card, helper = ("CUDA0", GPU, "CUDA", b"0000:c1:00.0"), ("BLAS", ACCEL, "BLAS", None)
    assert listed(helper, card, ("CPU", CPU, "CPU", None)) == [Device("CUDA0", "CUDA0!", "CUDA", 80 * GIB, 79 * GIB)]


def test_a_card_that_two_backends_show_counts_once(listed: Any) -> None:
    cuda = [(f"CUDA{n}", GPU, "CUDA", b"0000:0%d:00.0" % n) for n in range(2)]
    vulkan = [(f"Vulkan{n}", GPU, "Vulkan", b"0000:0%d:00.0" % n) for n in range(3)]
    assert [one.name for one in listed(*cuda, *vulkan)] == ["CUDA0", "CUDA1", "Vulkan2"]
    assert len(listed(("A", GPU, "A", None), ("B", GPU, "B", None))) == 2


def test_servers_come_first_and_graphics_in_the_processor_only_without_a_card(listed: Any) -> None:
    card, server, inside = ("CUDA0", GPU, "CUDA", None), ("RPC0", GPU, "RPC", None), ("Vulkan0", IGPU, "Vulkan", None)
    assert [one.name for one in listed(card, inside, server)] == ["RPC0", "CUDA0"]
    assert [(one.name, one.shares_host) for one in listed(inside, server)] == [("RPC0", False), ("Vulkan0", True)]


def test_graphics_in_the_processor_that_two_backends_show_count_once(listed: Any) -> None:
    shown = [("CUDA0", IGPU, "CUDA", b"0000:01:00.0"), ("Vulkan0", IGPU, "Vulkan", None)]
    assert [one.name for one in listed(*shown)] == ["CUDA0"]
    assert [one.name for one in listed(shown[1], ("Vulkan1", IGPU, "Vulkan", None))] == ["Vulkan0", "Vulkan1"]


def test_a_build_for_the_processor_has_no_devices() -> None:
    if not library.supports_gpu():
        assert device_list.list_devices() == ()
