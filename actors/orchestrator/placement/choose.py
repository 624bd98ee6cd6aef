"""Decides where models run: on a share of a GPU, on one, on several of one node, partly on them, or on the CPU. Pure.

It counts with a device's whole memory, not with what happens to be free: the choice is in the records' key, and must
not change because another program came or went.

A model is split by layers, and its devices take turns. Splitting each layer (`tensor`) would let them work at the same
time, but llama.cpp has it as an experiment for some builds and models, and no measurement of ours shows a gain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from actors.llama.device_list import RPC_KIND
from actors.llama.devices import Device, DeviceUse
from actors.llama.offload import HIDES_OTHERS
from actors.nodes import NodeFacts
from actors.orchestrator.placed import Memory, Placed
from actors.orchestrator.placement.memory import Need, summed
from actors.orchestrator.placement.workers import WORKER_OVERHEAD_BYTES
from conf.faults import BadInput, Fault

USABLE_SHARE = 0.95
"""Share of a device's memory that is planned with. The driver, a screen and the gaps between allocations take the rest,
and estimates may be a little too low."""
PROCESS_BYTES = 768 * 2**20
"""What a process takes on each device beside its buffers: the context of the driver, and the working memory of matrix
products. An assumption: it was not measured on real cards."""
MOST_SHARES = 4
"""Most workers on one device. They share its speed, so more of them gain little."""
RAY_SHARE = 0.7
"""Ray offers this share of a machine's memory. Weights on the host are mapped from the file, so they may lie in the
rest, too."""
MOST_DEVICES = 16
"""llama.cpp uses no more devices for one model."""
_STEP = 10_000  # Ray counts GPUs in ten-thousandths


@dataclass(frozen=True)
class Group:
    """The devices of one kind on one node, as a worker may use them."""

    node: NodeFacts
    kind: str
    count: int
    device_bytes: int
    """What models and processes may fill on each of them."""
    divisible: bool
    """False: a worker uses the node's devices alone. Ray counts other GPUs there, or devices of other kinds, or they
    are those of RPC servers."""
    wanted: float | None = None
    """GPUs per worker that the user wants. None: as few as hold the load."""
    shared: bool = True
    """False: a worker has its devices alone, because there was no memory beside others."""

    @property
    def counts(self) -> range:
        """Numbers of devices that a worker may have."""
        return range(self.count if self.wanted is not None else 1, self.count + 1)


@dataclass(frozen=True)
class Load:
    """What one worker holds at the same time: one model, or the models of a pass."""

    name: str
    """For messages."""
    needs: tuple[Need, ...]
    threads: int

    def on_each(self, gpu_layers: Sequence[int], count: int) -> int:
        """Return the bytes on the fullest of `count` devices, with those of the process."""
        models = sum(need.fullest_device(n, count) for need, n in zip(self.needs, gpu_layers, strict=True))
        return models + PROCESS_BYTES

    @property
    def all_layers(self) -> tuple[int, ...]:
        return tuple(need.n_layers for need in self.needs)

    def on_host(self, gpu_layers: Sequence[int]) -> Memory:
        """Return what the host holds, with the worker's own memory among the compute buffers."""
        models = summed([need.on_host(n) for need, n in zip(self.needs, gpu_layers, strict=True)])
        return summed([models, Memory(0, 0, WORKER_OVERHEAD_BYTES)])


def groups_of(nodes: Iterable[NodeFacts], wanted: float | None = None) -> tuple[Group, ...]:
    """Return the devices that workers can use, by node and kind. Devices that Ray does not know of cannot be used.

    Args:
        nodes: the machines.
        wanted: GPUs per worker that the user wants. None: as few as hold the load.
    """
    found = []
    for node in nodes:
        kinds: dict[str, list[Device]] = {}
        for device in node.devices:
            kinds.setdefault(device.description, []).append(device)
        for kind, own in kinds.items():
            counted = node.gpus == len(own) or all(device.backend in HIDES_OTHERS for device in own)
            # An RPC server serves one process at a time, and several devices may be of one server.
            divisible = counted and len(kinds) == 1 and not (kind == RPC_KIND and len(own) > 1)
            count = min(len(own), MOST_DEVICES, int(node.gpus) if divisible else len(own))
            smallest = min(device.total_bytes for device in own)
            if wanted is not None:
                count = min(count, math.ceil(wanted))
            if node.gpus >= 1 and count:
                found.append(Group(node, kind, count, int(USABLE_SHARE * smallest), divisible, wanted))
    return tuple(found)


def check_wanted(nodes: Iterable[NodeFacts], wanted: float | None) -> None:
    """Raise `BadInput` if the user wants more GPUs per worker than any node has that llama.cpp can use."""
    widest = max(groups_of(nodes), key=lambda group: group.count, default=None)
    if wanted is None or (widest is not None and wanted <= widest.count):
        return
    allowed = "nothing here, because no node has a GPU that llama.cpp and Ray know of"
    if widest is not None:
        allowed = f"at most {widest.count}: no node has more ({widest.count} x {widest.kind} on {widest.node.host})"
    step = "Lower it, or leave it out: a worker then gets as few as hold its models. Or use nodes with more GPUs."
    raise BadInput(Fault("execution.gpus_per_worker", round(wanted) if wanted >= 1 else wanted, allowed, step))


def limited(groups: Iterable[Group], part: float) -> tuple[Group, ...]:
    """Return the groups for a load that may fill only a part of each device; unchanged if that is all of it."""
    if part == 1.0:
        return tuple(groups)
    return tuple(replace(group, device_bytes=int(part * group.device_bytes), shared=False) for group in groups)


@dataclass(frozen=True)
class Fit:
    """A load on devices of one group."""

    group: Group
    count: int
    """Number of devices that a worker has."""
    layers: tuple[int, ...]
    """Layers on devices, for each model of the load, as llama.cpp counts them."""

    def use(self, layers: int) -> DeviceUse:
        """Return how a model with this many layers on devices uses them."""
        used = min(self.count, layers)
        return DeviceUse(self.group.kind, used, "layer" if used > 1 else "none")


def fit_fully(group: Group, load: Load) -> Fit | None:
    """Return the fewest devices of a group that hold all layers, or those that the user wants; None if they do not."""
    if not host_has_room(group.node, load, load.all_layers):
        return None
    for count in group.counts:
        if load.on_each(load.all_layers, count) <= group.device_bytes:
            return Fit(group, count, load.all_layers)
    return None


def fit_partly(group: Group, load: Load) -> Fit | None:
    """Return all devices of a group with as many layers as they hold; None if they hold none.

    Each of several models gets the same share of its layers.
    """
    most = max(load.all_layers)
    for kept in range(1, most):
        layers = tuple(max(1, n * (most - kept) // most) for n in load.all_layers)
        if load.on_each(layers, group.count) <= group.device_bytes:
            return Fit(group, group.count, layers) if host_has_room(group.node, load, layers) else None
    return None


def fits(fit: Fit, load: Load, group: Group) -> bool:
    """Return whether a load fits in the same way on a group, which may be another one of the same kind."""
    return (
        group.kind == fit.group.kind
        and group.count >= fit.count
        and load.on_each(fit.layers, fit.count) <= group.device_bytes
        and host_has_room(group.node, load, fit.layers)
    )


def best_fit(groups: Sequence[Group], load: Load) -> Fit | None:
    """Return the fit on the fewest devices of one of these groups; else the one with the most layers on devices."""
    full = [fit for group in groups if (fit := fit_fully(group, load))]
    if full:
        return min(full, key=lambda fit: fit.count)
    partly = [fit for group in groups if (fit := fit_partly(group, load))]
    return max(partly, key=lambda fit: fit.layers, default=None)


def host_has_room(node: NodeFacts, load: Load, gpu_layers: Sequence[int]) -> bool:
    """Return whether a node's own memory holds what is not on devices."""
    host = load.on_host(gpu_layers)
    buffers = host.kv_bytes + host.compute_bytes
    return buffers <= node.memory_bytes and host.total_bytes <= node.memory_bytes / RAY_SHARE


def place_on_devices(fit: Fit, load: Load, groups: Sequence[Group]) -> Placed:
    """Return the place of a load that fits on devices.

    Args:
        fit: how it fits.
        load: what the worker holds.
        groups: all groups of the cluster: the worker may run on each where the load fits in the same way.
    """
    suited = [group for group in groups if fits(fit, load, group)]
    on_devices = summed([need.on_devices(n, fit.count) for need, n in zip(load.needs, fit.layers, strict=True)])
    label, nodes = _bounds(suited, groups)
    return Placed(
        cpus=min(float(load.threads), *(group.node.cpus for group in suited)),
        gpus=min(_gpus(fit, load, group) for group in suited) if fit.group.divisible else fit.group.node.gpus,
        devices=fit.use(fit.layers[0]),
        gpu_layers=-1 if fit.layers[0] == load.needs[0].n_layers else fit.layers[0],
        host=load.on_host(fit.layers),
        device=summed([on_devices, Memory(0, 0, fit.count * PROCESS_BYTES)]),
        accelerator_type=label,
        nodes=nodes,
    )


def place_on_host(nodes: Sequence[NodeFacts], load: Load) -> Placed | None:
    """Return the place on the CPU of any node whose memory is large enough; None if there is none."""
    layers = (0,) * len(load.needs)
    able = [node for node in nodes if host_has_room(node, load, layers)]
    if not able:
        return None
    cpus = min(float(load.threads), max(node.cpus for node in able))
    held = None if len(able) == len(nodes) else frozenset(node.node_id for node in able)
    return Placed(cpus, 0.0, None, 0, load.on_host(layers), Memory(0, 0, 0), nodes=held)


def _gpus(fit: Fit, load: Load, group: Group) -> float:
    """Return the GPUs that a worker asks for: a share of one if several workers fit on it."""
    if not group.shared:
        return float(fit.count)
    if group.wanted is not None:
        return min(group.wanted, float(fit.count))
    if fit.count > 1 or group.kind == RPC_KIND:  # an RPC server serves one process at a time; the next one waits
        return float(fit.count)
    shares = min(MOST_SHARES, group.device_bytes // load.on_each(fit.layers, 1))
    return 1.0 if shares < 2 else math.floor(_STEP / shares) / _STEP


def _bounds(suited: Sequence[Group], groups: Sequence[Group]) -> tuple[str | None, frozenset[str] | None]:
    """Return what keeps a worker on the suited groups: a label of Ray that only they have, else the ids of their nodes.

    Both are None if the cluster has no other groups.
    """
    others = [group for group in groups if group not in suited]
    labels = {group.node.accelerator_type for group in suited}
    if len(labels) == 1 and not labels & {group.node.accelerator_type for group in others}:
        return next(iter(labels)), None
    return (None, frozenset(group.node.node_id for group in suited)) if others else (None, None)
