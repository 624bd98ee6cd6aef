"""What one loaded model takes in memory: its weights, its KV cache and its compute buffers, on each device.

The sizes are those that llama.cpp logs while it loads, so they are of this model and this context only, whatever else
the process holds. Weights on the host are mapped from the file: they count here although the system may share or drop
their pages. If only some layers are on a device, the part on the host is the stretch of the file from the first to the
last tensor there, which can be more than its tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SIZE = re.compile(r"(\S+)\s+(model|KV|RS|compute|output) buffer size\s*=\s*([\d.]+) MiB")
_KINDS = {"model": "weights", "KV": "kv", "RS": "kv", "compute": "compute", "output": "compute"}
"""What llama.cpp's kinds of buffers count as. RS: the states of recurrent layers. output: the logits."""
_MAPPED = "_Mapped"
_HOST = re.compile(r"CPU|AMX|\w+_Host")
"""Names of buffers in the memory of the host. `CUDA_Host` is memory of the host that a device can read."""


@dataclass(frozen=True)
class Buffers:
    """The sizes of the buffers in one place, in bytes."""

    place: str
    """llama.cpp's name of the device or of the host's memory, such as `CUDA0` or `CPU`."""
    on_host: bool
    weights_bytes: int
    kv_bytes: int
    """The KV cache, and the states of recurrent layers."""
    compute_bytes: int
    """The compute buffers, and the buffer for logits."""


def size_lines(log: Iterable[str]) -> tuple[str, ...]:
    """Return the lines of a log that tell sizes."""
    return tuple(line for line in log if _SIZE.search(line))


def read_buffers(log: Iterable[str]) -> tuple[Buffers, ...]:
    """Return the sizes by place, from the lines that llama.cpp logs while it loads; nothing if it logs no size."""
    found: dict[str, dict[str, int]] = {}
    for line in log:
        for name, kind, mebibytes in _SIZE.findall(line):
            sizes = found.setdefault(name.removesuffix(_MAPPED), dict.fromkeys(("weights", "kv", "compute"), 0))
            sizes[_KINDS[kind]] += round(float(mebibytes) * 2**20)
    return tuple(
        Buffers(place, _HOST.match(place) is not None, sizes["weights"], sizes["kv"], sizes["compute"])
        for place, sizes in found.items()
    )


@dataclass(frozen=True)
class MemoryUse:
    """What a model takes on the host and on all devices together, in bytes."""

    weights_host_bytes: int
    weights_device_bytes: int
    kv_host_bytes: int
    kv_device_bytes: int
    compute_host_bytes: int
    compute_device_bytes: int


def memory_use(buffers: Sequence[Buffers]) -> MemoryUse | None:
    """Return the sums over the host and over the devices; None if no size is known."""
    if not buffers:
        return None
    host = [one for one in buffers if one.on_host]
    device = [one for one in buffers if not one.on_host]
    return MemoryUse(
        sum(one.weights_bytes for one in host),
        sum(one.weights_bytes for one in device),
        sum(one.kv_bytes for one in host),
        sum(one.kv_bytes for one in device),
        sum(one.compute_bytes for one in host),
        sum(one.compute_bytes for one in device),
    )
