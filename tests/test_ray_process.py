"""A worker uses only the devices that Ray gave it, and all of its node's if it has all GPUs there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.errors import LlamaError
from actors.llama import offload
from actors.llama.device_list import OpenDevice
from actors.llama.devices import Device, DeviceUse
from actors.ray_process import actor


@pytest.fixture
def devices() -> Iterator[list[OpenDevice]]:
    yield [OpenDevice(number, Device(f"Vulkan{number}", "card", "Vulkan", 8, 8)) for number in range(4)]
    offload.give_devices(())


def given(monkeypatch: pytest.MonkeyPatch, ids: list[object], there: float) -> None:
    monkeypatch.setattr(actor.ray, "get_gpu_ids", lambda: ids)
    monkeypatch.setattr(actor.ray, "nodes", lambda: [{"NodeID": "here", "Resources": {"GPU": there}}])
    monkeypatch.setattr(actor, "node_id", lambda worker: "here")
    actor._take_devices(None)


@pytest.mark.parametrize(
    ("ids", "there", "used"),
    [
        ([2, 3], 4.0, [2, 3]),
        (["1"], 4.0, [1]),
        ([0, 1, 2, 3], 4.0, [0, 1, 2, 3]),
        ([0], 1.0, [0, 1, 2, 3]),
        (["MIG-1"], 4.0, [0, 1, 2, 3]),
        ([], 0.0, [0, 1, 2, 3]),
    ],
)
def test_a_worker_sees_its_own_devices(
    monkeypatch: pytest.MonkeyPatch, devices: list[OpenDevice], ids: list[object], there: float, used: list[int]
) -> None:
    given(monkeypatch, ids, there)
    monkeypatch.setattr(offload, "open_devices", lambda: devices)
    assert [one.handle for one in offload._chosen(None)] == used


def test_cards_that_ray_hides_from_others_are_all_the_workers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [OpenDevice(number, Device(f"CUDA{number}", "card", "CUDA", 8, 8)) for number in range(2)]
    given(monkeypatch, [6, 7], 8.0)
    monkeypatch.setattr(offload, "open_devices", lambda: cards)
    assert [one.handle for one in offload._chosen(DeviceUse("card", 2, "layer"))] == [0, 1]
    with pytest.raises(LlamaError, match=r"3 x card planned for this worker; it has 2 \(all its devices: card\)"):
        offload._chosen(DeviceUse("card", 3, "layer"))
    offload.give_devices(())
