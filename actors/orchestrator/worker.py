"""A worker as the decisions of the orchestrator know it. `actor` has its process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from actors.errors import RoomFor
from actors.orchestrator.placed import Placed
from actors.orchestrator.rooms import Spot
from actors.orchestrator.units import Role, Unit


@dataclass(eq=False)
class Worker:
    """A worker that was hired and not dismissed."""

    role: Role
    hired_s: float
    """The time at which it was hired."""
    placed: Placed | None = None
    """What it takes. None: it only asks an endpoint."""
    spot: Spot | None = None
    """Where it was sent. None: Ray chooses the node."""
    started: bool = False
    """True once its process has answered."""
    loaded_arm: str | None = None
    """The arm of its latest unit, whose GGUF it still holds; or the judge."""
    units: tuple[Unit, ...] = ()
    """What it is working on: one unit, or the units of a pass. Empty if it is idle."""
    calls_left: int | None = None
    """How many calls of a judge its unit may make. None: no limit."""

    def take_units(self) -> tuple[Unit, ...]:
        """Return its units and make it idle."""
        units, self.units = self.units, ()
        return units

    @property
    def host_threads(self) -> int:
        """Threads of work whose results do not depend on their number."""
        return max(1, int(self.placed.cpus)) if self.placed else 1

    @property
    def on_devices(self) -> bool:
        """True if it holds GPUs."""
        return self.placed is not None and self.placed.gpus > 0


@dataclass(frozen=True)
class WorkError:
    """Why a worker returned no result."""

    kind: Literal["worker_died", "node_died", "no_room", "refused", "other"]
    """`no_room`: there was no memory for the weights, a KV cache, or a compute buffer. `refused`: by an endpoint, and
    another try changes nothing."""
    message: str
    log_tail: tuple[str, ...] = ()
    wanted_for: RoomFor | None = None
    """What the memory was for, if there was none. A device that has none while it computes ends the worker, too."""


def without_log(message: str) -> str:
    """Return a message without the log that may follow it. A failure keeps the log, if the last attempt fails, too."""
    return message.split("\n", 1)[0]
