"""How much memory a plan may fill, as missing memory has shown it: for each thing that was loaded, and where.

How much memory is left is known only when llama.cpp asks for it. If it gets too little, what was to be loaded gets a
smaller plan: a smaller share of each device's memory, or half of its largest KV cache if it was the host's memory.
Everything else keeps its plan. The run directory keeps the limits. Pure except `read_limits` and `write_limits`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from actors.llama.devices import Device
from actors.nodes import NodeFacts
from actors.store import RunDirectory
from conf.files import read_object, write_json
from reporting.notices import Notice

ShortOf = Literal["devices", "host"]
"""Where memory was missing."""
LoadedKind = Literal["arms", "passes", "judges", "matrices"]
DEVICE_STEP = 0.85
"""Each new plan after missing memory on a device fills this part of what the plan before it filled."""
LEAST_DEVICE_SHARE = 0.5
"""If a plan that leaves half of each device free finds no memory, another program holds it."""
_SHARE = "share"
_CACHE = "kv_cache_mib"


@dataclass(frozen=True)
class Loaded:
    """What a worker holds at the same time: one model, or an arm beside its reference."""

    kind: LoadedKind
    name: str
    """The arm, alone or in a pass; the judge; or the model on which a matrix is collected."""


@dataclass(frozen=True)
class Shortage:
    """Something for which llama.cpp got no memory."""

    loaded: Loaded
    short_of: ShortOf


@dataclass(frozen=True)
class MemoryLimits:
    """The limits of one run. Nothing that is not named here is limited."""

    share: float = 1.0
    """Share of each device's memory that everything may fill. Earlier versions had one limit for the whole run."""
    shares: Mapping[Loaded, float] = field(default_factory=dict, hash=False)
    """The same, for what has a smaller one of its own."""
    caches_mib: Mapping[Loaded, int] = field(default_factory=dict, hash=False)
    """Largest KV cache in MiB, for what has a limit of its own."""

    def share_of(self, loaded: Loaded) -> float:
        """Return the share of each device's memory that something may fill."""
        return min(self.share, self.shares.get(loaded, 1.0))

    def part_of(self, loaded: Loaded) -> float:
        """Return the part that something may fill of what everything may fill; 1 if it has no limit of its own."""
        return self.share_of(loaded) / self.share

    def cache_mib(self, loaded: Loaded, given: int | None) -> int | None:
        """Return the largest KV cache in MiB: that of the configuration, or a smaller limit. None: no limit."""
        found = [mib for mib in (given, self.caches_mib.get(loaded)) if mib is not None]
        return min(found, default=None)

    def limited(self, *kinds: LoadedKind) -> Iterator[Loaded]:
        """Yield everything of these kinds that has a limit of its own."""
        yield from (one for one in {**self.shares, **self.caches_mib} if one.kind in kinds)

    def with_share(self, loaded: Loaded, share: float) -> MemoryLimits:
        """Return the limits with a share of its own for something."""
        return replace(self, shares={**self.shares, loaded: share})

    def with_cache(self, loaded: Loaded, mib: int) -> MemoryLimits:
        """Return the limits with a largest KV cache of its own for something."""
        return replace(self, caches_mib={**self.caches_mib, loaded: mib})


NO_LIMITS = MemoryLimits()


def smaller_share(share: float) -> float | None:
    """Return the next smaller share; None if no smaller one is sensible."""
    smaller = round(share * DEVICE_STEP, 3)
    return smaller if smaller >= LEAST_DEVICE_SHARE else None


def read_limits(run: RunDirectory) -> MemoryLimits:
    """Return the limits that earlier starts of a run have kept. A damaged entry is no limit: it is then found again."""
    of_devices = read_object(run.device_limit) or {}
    shares = {one: value for one, value in _entries(of_devices) if _is_share(value)}
    caches = {one: value for one, value in _entries(read_object(run.cache_limit) or {}) if _is_cache_limit(value)}
    share: Any = of_devices.get(_SHARE)
    return MemoryLimits(share if _is_share(share) else 1.0, shares, caches)


def write_limits(run: RunDirectory, limits: MemoryLimits) -> None:
    """Keep the limits for the next start. What the files have besides them stays."""
    if limits.shares:
        common = {} if limits.share == 1.0 else {_SHARE: limits.share}
        write_json(run.device_limit, common | _by_kind(limits.shares))
    if limits.caches_mib:
        before = kept_cache_mib(run)
        whole_run = {} if before is None else {_CACHE: before}
        write_json(run.cache_limit, whole_run | _by_kind(limits.caches_mib))


def kept_cache_mib(run: RunDirectory) -> int | None:
    """Return the limit on all KV caches of a run that an earlier version has kept, in MiB."""
    kept: Any = (read_object(run.cache_limit) or {}).get(_CACHE)
    return kept if _is_cache_limit(kept) else None


def _is_cache_limit(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_share(value: Any) -> bool:
    return isinstance(value, float) and LEAST_DEVICE_SHARE <= value < 1.0


def _entries(content: Mapping[str, Any]) -> Iterator[tuple[Loaded, Any]]:
    for kind in get_args(LoadedKind):
        own = content.get(kind)
        yield from ((Loaded(kind, name), value) for name, value in (own if isinstance(own, dict) else {}).items())


def _by_kind(limits: Mapping[Loaded, float]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for loaded, value in sorted(limits.items(), key=lambda one: (one[0].kind, one[0].name)):
        found.setdefault(loaded.kind, {})[loaded.name] = value
    return found


def with_device_share(nodes: Iterable[NodeFacts], share: float) -> tuple[NodeFacts, ...]:
    """Return the machines as if their devices had only this share of their memory."""
    return tuple(replace(node, devices=tuple(_part_of(one, share) for one in node.devices)) for node in nodes)


def _part_of(device: Device, share: float) -> Device:
    return replace(device, total_bytes=int(share * device.total_bytes), free_bytes=int(share * device.free_bytes))


def limit_notices(limits: MemoryLimits, *, on_devices: bool) -> Iterator[Notice]:
    """Yield what people should know about the limits. `on_devices`: whether the plan has devices."""
    if on_devices and limits.share < 1.0:
        yield Notice("device_share", percent=round(100 * limits.share))
    for loaded in limits.shares if on_devices else ():
        yield Notice("own_device_share", load=_told(loaded), percent=round(100 * limits.share_of(loaded)))
    for loaded, mib in limits.caches_mib.items():
        yield Notice("own_cache_limit", load=_told(loaded), mib=mib)


def _told(loaded: Loaded) -> str:
    if loaded.kind == "passes":
        return Notice("in_text_benchmarks", arm=loaded.name)
    return Notice("matrix_of", model=loaded.name) if loaded.kind == "matrices" else loaded.name
