"""What follows if there was no memory: which plan can be smaller, and which units would only fail again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from actors.errors import RoomFor
from actors.llama.devices import DeviceUse
from actors.llama.layout import EngineLayout
from actors.orchestrator.memory_limits import Loaded, MemoryLimits, Shortage, ShortOf, smaller_share
from actors.orchestrator.plan import Plan
from actors.orchestrator.units import Unit, units_of
from actors.orchestrator.worker import Worker

OUT_OF_MEMORY_ADVICE = (
    ". Finished groups are kept: run the same command again to continue with the others. --max-workers 1 needs the "
    "least memory, and a smaller --dataset-size has fewer groups"
)


class Shortages:
    """What found no memory and waits for a smaller plan, and what no smaller plan helps."""

    def __init__(self, *, asks: bool) -> None:
        """`asks`: whether somebody can make a smaller plan."""
        self._asks = asks
        self._open: dict[Loaded, Shortage] = {}
        self._smallest: set[Loaded] = set()

    def add(self, unit: Unit, worker: Worker, wanted_for: RoomFor | None) -> bool:
        """Note what a unit found no memory for. Return whether it waits for a smaller plan."""
        short_of = can_be_smaller(worker, wanted_for)
        if not self._asks or unit.loaded is None or unit.loaded in self._smallest or short_of is None:
            return False
        self._open[unit.loaded] = Shortage(unit.loaded, short_of)
        return True

    def next(self, running: Iterable[Unit]) -> Shortage | None:
        """Return one for which a smaller plan should be made now; None if there is none.

        What is still at work with the old plan ends first.
        """
        busy = {unit.loaded for unit in running}
        return next((one for loaded, one in self._open.items() if loaded not in busy), None)

    def end(self, loaded: Loaded, *, is_smaller: bool) -> None:
        """Note that a smaller plan was made for something, or that there is none."""
        self._open.pop(loaded, None)
        if not is_smaller:
            self._smallest.add(loaded)

    def units_of(self, units: Iterable[Unit]) -> set[str]:
        """Return those of these units that wait for a smaller plan."""
        return {unit.id for unit in units if unit.loaded in self._open}


def can_be_smaller(worker: Worker, wanted_for: RoomFor | None) -> ShortOf | None:
    """Return where a smaller plan would need less, after a worker found no memory. None: no plan helps.

    On devices a plan can use more of them, smaller KV caches, or the CPU for some layers. On the host only KV caches
    can be smaller. Quantizing and collecting a matrix have none.
    """
    if worker.on_devices:
        return "devices"
    return None if wanted_for == "weights" or worker.role == "quantization" else "host"


def smaller_limits(limits: MemoryLimits, plan: Plan, shortage: Shortage) -> MemoryLimits | None:
    """Return the limits with the next smaller one for what found no memory; None if no smaller one is sensible.

    On devices that is a smaller share of their memory, on the host half of its largest KV cache.
    """
    loaded = shortage.loaded
    if shortage.short_of == "devices":
        share = smaller_share(limits.share_of(loaded))
        return None if share is None else limits.with_share(loaded, share)
    mib = max(_cache_bytes(plan, loaded), default=0) // 2 // 2**20
    return limits.with_cache(loaded, mib) if mib else None


def is_smaller(plan: Plan, before: Plan, loaded: Loaded) -> bool:
    """Return whether something is loaded in another way than in the plan before. If not, it would only fail again."""
    return set(_ways(plan, loaded)) != set(_ways(before, loaded))


def _cache_bytes(plan: Plan, loaded: Loaded) -> Iterator[int]:
    """Yield the sizes of the KV caches with which something is loaded."""
    per_cell = {model.name: model.kv_bytes_per_cell for model in plan.models}
    for block in plan.blocks:
        if (loaded.kind, loaded.name) == ("passes" if block.shared_pass else "arms", block.arm):
            yield block.layout.n_ctx * per_cell[block.model]
    for judge in plan.judges:
        if loaded == Loaded("judges", judge.name) and judge.layout is not None:
            yield judge.cache_bytes


def _ways(plan: Plan, loaded: Loaded) -> Iterator[tuple[EngineLayout | None, int, DeviceUse | None]]:
    """Yield how something is loaded: the layout if it has one, layers on devices, and the devices."""
    layouts: dict[str, EngineLayout | None] = {block.unit: block.layout for block in plan.blocks}
    layouts |= {one.unit: one.order.layout for one in plan.performances}
    layouts |= {one.unit: one.judge.layout for one in plan.judgings}
    for unit in units_of(plan):
        if unit.loaded == loaded:
            placed = plan.placed.get(unit.id)
            layers, devices = (placed.gpu_layers, placed.devices) if placed else (0, None)
            yield layouts.get(unit.id), layers, devices


def with_same_weights(failed: Unit, waiting: Iterable[Unit]) -> list[str]:
    """Return the waiting units that load exactly what a unit has failed to load.

    In a pass a reference is loaded beside the arm. So an arm that has no room there may have room alone.
    """
    return [unit.id for unit in waiting if failed.loaded is not None and unit.loaded == failed.loaded]
