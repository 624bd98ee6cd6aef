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
    listed = "; ".join(
        f"{one.name} {one.description}, {one.free_bytes / GIB:.1f} of {one.total_bytes / GIB:.1f} GiB free"
        for one in devices
    )
    listed = listed or "none, models run on the processor"
    return f"{listed} ({driver})" if driver else listed
