"""The result of one of the doctor's checks, and devices in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.llama.devices import Device

GIB = 2**30


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    found: str
    fix: str | None = None
    """What to do; None if nothing is wrong."""


def devices_text(devices: Sequence[Device], driver: str | None) -> str:
    """Return the devices in words, with their memory and the driver."""
    kinds: dict[tuple[str, int], list[Device]] = {}
    for one in devices:
        kinds.setdefault((one.description, one.total_bytes), []).append(one)
    listed = "; ".join(map(_alike, kinds.values())) or "none, models run on the processor"
    return f"{listed} ({driver})" if driver else listed


def _alike(devices: Sequence[Device]) -> str:
    """Return devices of one kind and size in words."""
    first, size = devices[0], f"{devices[0].total_bytes / GIB:.1f} GiB free"
    if len(devices) == 1:
        return f"{first.name} {first.description}, {first.free_bytes / GIB:.1f} of {size}"
    least, most = (f"{choice(one.free_bytes for one in devices) / GIB:.1f}" for choice in (min, max))
    free = least if least == most else f"{least} to {most}"
    return f"{len(devices)} x {first.description} ({first.name} to {devices[-1].name}), {free} of {size} each"
