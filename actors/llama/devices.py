"""Devices that llama.cpp can offload layers to, and how a model uses them. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SplitMode = Literal["none", "layer", "tensor"]
"""`none`: one device holds all offloaded layers. `layer`: each device holds some layers, and they take turns. `tensor`:
each device holds a part of every layer, and they work at the same time."""


@dataclass(frozen=True)
class Device:
    """One device of a machine, as llama.cpp lists it."""

    name: str
    """llama.cpp's name, such as `CUDA0`, `Vulkan0` or `RPC0`."""
    description: str
    """What it is, such as `NVIDIA H100 80GB HBM3`. Devices with the same description are of one kind."""
    backend: str
    """The backend that drives it, such as `CUDA`."""
    total_bytes: int
    free_bytes: int
    """Memory that was free when it was asked."""
    shares_host: bool = False
    """True: it is inside the processor, and its memory is part of the machine's own."""


@dataclass(frozen=True)
class DeviceUse:
    """On which devices a model is decoded, and how it is split over them. It is in the records' key."""

    kind: str
    """The `description` of the devices. All devices of one worker are of one kind."""
    count: int
    """Number of devices."""
    split: SplitMode
