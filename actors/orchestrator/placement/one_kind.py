"""Places all models of a comparison on devices of one kind, so that no difference comes from the devices. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from actors.nodes import NodeFacts
from actors.orchestrator.placement.choose import MOST_DEVICES, RAY_SHARE, Fit, Group, Load, best_fit, place_on_host
from conf.faults import BadInput, Fault


def fit_together(nodes: Sequence[NodeFacts], groups: Sequence[Group], loads: Mapping[str, Load]) -> dict[str, Fit]:
    """Return how each load fits on devices of one kind; nothing if they have to run on the CPU.

    Of several kinds, the one counts that holds the most loads whole; then the one of which a worker needs the fewest,
    because devices that share a model take turns; then the one with the most memory.

    Args:
        nodes: the machines.
        groups: their devices.
        loads: what each worker holds, by a name of the caller's.

    Raises:
        BadInput: some load fits nowhere. The message says what it needs.
    """
    chosen: dict[str, Fit] = {}
    best = (-1, 0, 0)
    for kind in dict.fromkeys(group.kind for group in groups):
        own = [group for group in groups if group.kind == kind]
        fits = {name: fit for name, load in loads.items() if (fit := best_fit(own, load))}
        whole = sum(fit.layers == loads[name].all_layers for name, fit in fits.items())
        widest = max((fit.count for fit in fits.values()), default=0)
        score = (whole, -widest, sum(group.count * group.device_bytes for group in own))
        if len(fits) == len(loads) and score > best:
            chosen, best = fits, score
    if chosen or not loads:
        return chosen
    refused = [
        load for load in loads.values() if best_fit(groups, load) is None and place_on_host(nodes, load) is None
    ] or [load for load in loads.values() if place_on_host(nodes, load) is None]
    if refused:
        raise BadInput(_fault(nodes, groups, load) for load in refused)
    return {}


def _fault(nodes: Sequence[NodeFacts], groups: Sequence[Group], load: Load) -> Fault:
    host = load.on_host((0,) * len(load.needs))
    got = f"{load.name} with {_gib(host.weights_bytes)} of weights"
    needed = [f"{_gib(host.total_bytes)} of memory"]
    has = [f"{_gib(max((node.memory_bytes for node in nodes), default=0.0) / RAY_SHARE)} of memory"]
    if groups:
        widest = max(groups, key=lambda group: group.count * group.device_bytes)
        has.insert(0, f"{_sizes(widest)} ({widest.kind})")
        count = _devices_needed(widest, load)
        needed[:0] = [f"{count} x {_size(widest)} of such devices"] if count else []
    allowed = f"what one node holds: it needs {' or '.join(needed)}; the nodes have at most {' and '.join(has)}"
    step = "Give a smaller reference (such as q8_0) or smaller quantizations, or nodes with as much."
    return Fault("--quantizations", got, allowed, step)


def _gib(n_bytes: float) -> str:
    return f"{n_bytes / 2**30:.1f} GiB"


def _size(group: Group) -> str:
    return f"{math.ceil(min(_all_bytes(group)) / 2**30)} GiB"


def _sizes(group: Group) -> str:
    """Return the devices of a group in words: `2 x 80 GiB`."""
    counts = Counter(math.ceil(size / 2**30) for size in sorted(_all_bytes(group))[-group.count :])
    return " and ".join(f"{n} x {gib} GiB" for gib, n in sorted(counts.items()))


def _all_bytes(group: Group) -> list[int]:
    return [device.total_bytes for device in group.node.devices if device.description == group.kind]


def _devices_needed(group: Group, load: Load) -> int | None:
    """Return how many devices of this kind would hold a load; None if no number does."""
    for count in range(1, MOST_DEVICES + 1):
        if load.on_each(load.all_layers, count) <= group.device_bytes:
            return count
    return None
