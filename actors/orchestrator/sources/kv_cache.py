"""The KV cache of each benchmark: how many cells the memory budget allows.

`actors.evaluation.kv_cache` then chooses a cache with at most that many cells.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import psutil

from actors.evaluation.contract import BenchmarkData
from actors.evaluation.kv_cache import Cache, CacheNeed, cache_need, choose_cache
from actors.items import TemplateUse
from actors.llama.layout import EngineLayout
from actors.llama.model import Model
from actors.llama.shape import ModelShape, Weights
from actors.nodes import NodeFacts
from actors.orchestrator.memory_limits import Loaded, MemoryLimits
from actors.orchestrator.placement.cells import cell_limits
from actors.orchestrator.placement.choose import RAY_SHARE, Group, limited
from actors.orchestrator.sources.inputs import KnownWeights, SourceArm, SourceModel
from conf.faults import BadInput, Fault
from conf.schema.pipeline import PipelineConfig

CACHE_SHARE = 0.25
"""Share of the machine's memory for a worker's KV cache on the CPU if `layout.kv_cache_mib` is not set."""
ENOUGH_SEQUENCES = 0.5
"""Share of `layout.sequences` for which no further device is taken. Devices that share a model take turns, so two
workers with half of the sequences do more than one with all of them."""


@dataclass(frozen=True)
class DeviceRoom:
    """What is left for a KV cache on devices."""

    groups: tuple[Group, ...]
    """The devices of all machines."""
    shape: ModelShape
    weights: Weights
    """The largest weights that are decoded with the cache."""

    def limits(self, layout: EngineLayout) -> list[int]:
        """Return the most cells on 1, 2, ... devices of a node; nothing if no node's devices hold the weights."""
        return cell_limits(self.groups, self.shape, self.weights, layout)


@dataclass(frozen=True)
class CacheRoom:
    """What is left for a KV cache."""

    host_bytes: float
    """In the memory of the machine that decodes with it."""
    devices: DeviceRoom | None
    """None: no worker decodes on devices."""

    def host_cells(self, bytes_per_cell: int) -> int:
        """Return the most cells in the memory of the machine."""
        return int(self.host_bytes) // bytes_per_cell


def cache_room(
    nodes: Sequence[NodeFacts],
    groups: tuple[Group, ...],
    known: KnownWeights,
    model: str,
    arms: Iterable[SourceArm],
) -> CacheRoom:
    """Return what is left for KV caches beside the largest arm of a model: one made from it, or one of these."""
    if not groups:
        return CacheRoom(host_cache_bytes(nodes, groups), None)
    made = [weights for (owner, *_), weights in known.made.items() if owner == model]
    given = [known.given[arm.name] for arm in arms if arm.name in known.given]
    largest = max([*made, *given], key=lambda one: one.device_bytes, default=known.shapes[model].weights)
    return CacheRoom(host_cache_bytes(nodes, groups), DeviceRoom(groups, known.shapes[model], largest))


def caches_for(
    config: PipelineConfig,
    data: BenchmarkData,
    model: SourceModel,
    vocabulary: Model,
    uses: Sequence[TemplateUse | None],
    *,
    share: bool,
    room: CacheRoom,
    limits: MemoryLimits,
) -> tuple[Cache, dict[Loaded, Cache]]:
    """Choose the KV cache for a benchmark's blocks, and those of the arms and passes that have a limit of their own.

    Args:
        uses: how the arms of the model use its chat template. One cache is right for all of them.
        share: True if sequences can share a prefix, that is, if the model's memory can be forked.
        room: what is left for it.
        limits: how much memory may be filled.

    Raises:
        BadInput: the memory does not even hold the sequences of one question.
    """
    needs = [cache_need(data, sampling=config.sampling, vocabulary=vocabulary, chat_template=use) for use in uses]
    wanted = _Wanted(config, data, model, functools.reduce(CacheNeed.or_more, needs), share)
    cache, smaller = _choose(wanted, room, config.layout.kv_cache_mib), {}
    for loaded in limits.limited("arms", "passes"):
        part, mib = limits.part_of(loaded), limits.cache_mib(loaded, config.layout.kv_cache_mib)
        # Whose arm it is is not known here. If another model has no cache within its limit, that is no fault; and if
        # its own has none, it keeps the one that it has, and the plan is not smaller.
        with contextlib.suppress(BadInput):
            devices = room.devices and replace(room.devices, groups=limited(room.devices.groups, part))
            own = replace(room, devices=devices)
            smaller[loaded] = _choose(wanted, own, mib)
    return cache, smaller


@dataclass(frozen=True)
class _Wanted:
    """What a KV cache is for."""

    config: PipelineConfig
    data: BenchmarkData
    model: SourceModel
    need: CacheNeed
    share: bool
    """See `caches_for`."""


def _choose(wanted: _Wanted, room: CacheRoom, cache_mib: int | None) -> Cache:
    """Choose a KV cache of at most `cache_mib` MiB; None: of what memory allows. Raise `BadInput` if none fits."""
    config, data, model, need, share = wanted.config, wanted.data, wanted.model, wanted.need, wanted.share
    layout = EngineLayout(
        config.layout.threads,
        config.layout.sequences,
        config.layout.n_batch,
        config.layout.n_ubatch,
        0,
        kv_unified=True,
        flash_attention=config.layout.flash_attention and data.spec.kind != "choose",
        gpu_layers=-1,
    )
    limits = cells_allowed(cache_mib, model.kv_bytes_per_cell, layout, room)
    if need.at_once > config.layout.sequences:
        allowed = f"at least {need.at_once}, the number of choices per question of {data.spec.name}"
        raise BadInput(Fault("layout.sequences", config.layout.sequences, allowed))
    cache = None
    for most_cells in limits:
        cache = choose_cache(need, config.layout.sequences, share=share, most_cells=most_cells)
        if cache is not None and cache.sequences >= ENOUGH_SEQUENCES * config.layout.sequences:
            break
    if cache is None and room.devices is not None and cache_mib is None:
        # The weights fit on devices, but leave nothing for a cache there: some layers then stay on the host.
        limits = [room.host_cells(model.kv_bytes_per_cell)]
        cache = choose_cache(need, config.layout.sequences, share=share, most_cells=limits[0])
    if cache is None:
        # Without a budget there always is a cache.
        got_mib = (limits[-1] or 0) * model.kv_bytes_per_cell // 2**20
        least = need.unified_cells(need.at_once) if share else need.cells_by_sequence(need.at_once)
        least_mib = -(-least * model.kv_bytes_per_cell // 2**20)
        raise BadInput(
            Fault(
                "layout.kv_cache_mib",
                got_mib,
                f"at least {least_mib} MiB, for the longest sequence of {data.spec.name} with {model.name}",
                "Raise it, use a machine with more memory, or lower --max-tokens (or chat.NAME.thinking_tokens).",
            )
        )
    return cache


def cells_allowed(
    cache_mib: int | None, bytes_per_cell: int, layout: EngineLayout, room: CacheRoom
) -> list[int] | list[None]:
    """Return how many cells a KV cache may have: on one device, on two, and so on. None: any number.

    On the CPU, and if no node's devices hold the whole model, there is one limit. `cache_mib`: the largest cache, in
    MiB; None: what memory allows.
    """
    if not bytes_per_cell:
        return [None]
    if cache_mib is not None:
        return [cache_mib * 2**20 // bytes_per_cell]
    on_devices = room.devices.limits(layout) if room.devices else []
    return on_devices or [room.host_cells(bytes_per_cell)]


def host_cache_bytes(nodes: Sequence[NodeFacts], groups: Sequence[Group]) -> float:
    """Return how much a KV cache may take in the memory of the machine that decodes with it.

    What Ray offers is fixed when a node is started. On this machine it is not, so its whole memory counts. A worker on
    the CPU may run on any node, so the smallest counts. Beside devices the largest node with devices counts, because
    placement looks for one that holds the cache.
    """
    on_nodes = [node.memory_bytes for node in nodes if node.node_id]
    if not on_nodes:
        return CACHE_SHARE * psutil.virtual_memory().total
    beside_devices = [group.node.memory_bytes for group in groups]
    return CACHE_SHARE * (max(beside_devices) if beside_devices else min(on_nodes)) / RAY_SHARE
