"""Places and a room for a number of equal workers that use one CPU each and no memory."""

from __future__ import annotations

import math

from actors.orchestrator.placed import Memory, Placed
from actors.orchestrator.places import Places
from actors.orchestrator.rooms import Room
from actors.orchestrator.units import PLACED

NOTHING = Memory(0, 0, 0)
ONE_ROOM = (Room("here", cpus=1000, gpus=0, memory_bytes=math.inf),)


def equal_workers(most: int) -> Places:
    """Return places for at most so many workers side by side."""
    placed = Placed(cpus=1.0, gpus=0.0, devices=None, gpu_layers=0, host=NOTHING, device=NOTHING)
    return Places(dict.fromkeys(PLACED, placed), max_workers=most)
