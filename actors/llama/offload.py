"""Which devices a model of this process is offloaded to, and how it is split over them."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import llama_cpp

from actors.errors import LlamaError
from actors.llama.device_list import OpenDevice, open_devices
from actors.llama.devices import DeviceUse, SplitMode

HIDES_OTHERS = ("CUDA", "ROCm", "MUSA", "SYCL")
"""Backends of the makers whose cards Ray hides from a worker unless it gave them (by `CUDA_VISIBLE_DEVICES` and the
like). All devices that such a backend lists are the worker's own."""
_SELECTS_NO_LOGITS = frozenset({"Vulkan"})
"""Backends on which llama.cpp is not asked to select logits. Vulkan's ends the process unless each row of logits begins
at a multiple of 16 to 256 bytes, depending on the card (`ggml_vk_tensor_subbuffer` in ggml-vulkan.cpp). Where the rows
did, lavapipe crashed unless llama.cpp was kept from changing the order of operations."""
_SPLIT_MODES: Mapping[SplitMode, int] = {
    "none": llama_cpp.LLAMA_SPLIT_MODE_NONE,
    "layer": llama_cpp.LLAMA_SPLIT_MODE_LAYER,
    "tensor": llama_cpp.LLAMA_SPLIT_MODE_TENSOR,
}
_given: tuple[int, ...] = ()


def give_devices(numbers: Sequence[int]) -> None:
    """Let this process use only these devices, by their place in `list_devices`. Nothing given: it may use all."""
    global _given
    _given = tuple(numbers)


class Offload:
    """The part of llama.cpp's model parameters that is about devices. It must live until the model is loaded."""

    def __init__(self, gpu_layers: int, use: DeviceUse | None) -> None:
        """Choose the devices. Raise `LlamaError` if this process does not have what `use` asks for.

        Args:
            gpu_layers: number of layers to offload. -1: all. 0: no device is touched.
            use: the devices. None: all that there are.
        """
        self._layers, self._use = gpu_layers, use
        devices = _chosen(use) if gpu_layers else ()
        self.selects_logits = not any(one.facts.backend in _SELECTS_NO_LOGITS for one in devices)
        """True if the highest logits can be selected where they are made."""
        self._handles = (ctypes.c_void_p * (len(devices) + 1))(*(one.handle for one in devices), None)
        # Equal shares. llama.cpp's own shares follow the memory that is free at this moment.
        shares = [1.0 if number < len(devices) else 0.0 for number in range(llama_cpp.llama_max_devices())]
        self._shares = (ctypes.c_float * len(shares))(*shares)

    def set(self, params: Any) -> None:
        """Set the fields of a `llama_model_params`. The package's types of its pointers are not those of ctypes."""
        params.n_gpu_layers = self._layers
        params.devices = ctypes.cast(self._handles, ctypes.c_void_p)
        if self._layers and self._use is not None:
            params.split_mode = _SPLIT_MODES[self._use.split]
            params.main_gpu = 0
            params.tensor_split = ctypes.cast(self._shares, ctypes.POINTER(ctypes.c_float))


def _chosen(use: DeviceUse | None) -> Sequence[OpenDevice]:
    devices = _usable(open_devices())
    if use is None:
        return devices
    same = [one for one in devices if one.facts.description == use.kind]
    if len(same) < use.count:
        there = ", ".join(sorted({one.facts.description for one in devices})) or "no device"
        raise LlamaError(
            f"{use.count} x {use.kind} planned for this worker; it has {len(same)} (all its devices: {there}). "
            "Start the job again: the plan is then made from the devices that are there now"
        )
    return same[: use.count]


def _usable(devices: Sequence[OpenDevice]) -> list[OpenDevice]:
    """Return the devices that this process may use."""
    if not _given:
        return list(devices)
    return [one for number, one in enumerate(devices) if one.facts.backend in HIDES_OTHERS or number in _given]
