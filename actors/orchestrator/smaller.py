"""What follows if there was no memory: what waits for a smaller plan, and which units would only fail again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from actors.errors import RoomFor
from actors.llama.devices import DeviceUse
from actors.llama.layout import EngineLayout
from actors.orchestrator.memory_limits import Loaded, MemoryLimits, Shortage, ShortOf, smaller_share
from actors.orchestrator.plan import Plan
from actors.orchestrator.schedule import Schedule
from actors.orchestrator.staff import Staff
from actors.orchestrator.units import Unit, units_of
from actors.orchestrator.worker import Worker, WorkError, without_log
from reporting.notices import Notice

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

    def follow(
        self, worker: Worker, units: Sequence[Unit], error: WorkError, schedule: Schedule, staff: Staff
    ) -> list[Notice] | None:
        """Decide what follows from units that found no memory. Return notices if they are just tried again, else None.

        A model that shares a card gets one of its own. A pass holds several models: its blocks are tried one by one.
        If neither helps, all units that load the same wait until a smaller plan is made. All others go on.
        """
        shared = [staff.wants_whole_card(unit) for unit in units]
        if len(units) > 1:
            schedule.separate(unit.id for unit in units)
            return [Notice("failed_once", unit=unit.id, error=without_log(error.message)) for unit in units]
        if any(shared):
            return [Notice("gets_own_card", unit=units[0].id)]
        short_of = can_be_smaller(worker, error.wanted_for)
        loaded = units[0].loaded if units else None
        if not self._asks or loaded is None or loaded in self._smallest or short_of is None:
            return None
        self._open[loaded] = Shortage(loaded, short_of)
        self._set_aside(schedule)
        return []

    def next(self, running: Iterable[Unit]) -> Shortage | None:
        """Return one for which a smaller plan should be made now; None if there is none.

        What is still at work with the old plan ends first.
        """
        busy = {unit.loaded for unit in running}
        return next((one for loaded, one in self._open.items() if loaded not in busy), None)

    def end(self, loaded: Loaded, schedule: Schedule, *, is_smaller: bool) -> None:
        """Note that a smaller plan was made for something, or that there is none. `schedule`: that of the plan now."""
        self._open.pop(loaded, None)
        if not is_smaller:
            self._smallest.add(loaded)
        self._set_aside(schedule)

    def _set_aside(self, schedule: Schedule) -> None:
        schedule.set_aside(unit.id for unit in schedule.units.values() if unit.loaded in self._open)


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
