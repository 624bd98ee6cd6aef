"""What is known about the machines of a cluster. Plain data.

The facts are read on each machine (`actors.nodes_reading`), never on the driver's machine for another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from actors.llama.devices import Device
from conf.faults import BadInput, Fault
from reporting.notices import Notice

_VERSION = "llama_cpp_python"
"""The entry of a build that is the same on all nodes."""


@dataclass(frozen=True)
class NodeFacts:
    """The facts of one machine."""

    node_id: str
    """Ray's id of the node. Empty for this machine without a cluster."""
    host: str
    cpus: float
    """CPUs that Ray may give away there."""
    memory_bytes: float
    """Memory that Ray may give away there."""
    gpus: float
    """GPUs that Ray may give away there. Ray counts cards of some makers only, and takes any number that it is told."""
    devices: tuple[Device, ...]
    """The devices that llama.cpp's build there can use. Empty: it decodes on the CPU."""
    build: Mapping[str, str] = field(hash=False)
    """`actors.llama.library.build()` of that machine, which is in the keys of what it makes."""
    accelerator_type: str | None = None
    """Ray's label `ray.io/accelerator-type`. None: the node has none."""
    driver: str | None = None
    """Versions of the GPU's driver and of CUDA, in words. None: unknown."""
    cards: int = 0
    """Cards that NVIDIA's driver shows, whether or not llama.cpp was built for them."""
    missing_paths: tuple[str, ...] = ()
    """Paths of the plan (storage, models, data) that this machine does not see."""


@dataclass(frozen=True)
class Nodes:
    """The machines that a job may use, and those that it must not use."""

    usable: tuple[NodeFacts, ...]
    """At least one."""
    avoided: tuple[str, ...] = ()
    """Ray's ids of the nodes on which no worker may be placed."""
    notices: tuple[str, ...] = ()


def build_of(nodes: Iterable[NodeFacts], kind: str | None) -> dict[str, str]:
    """Return the build of llama.cpp for keys of what is made on these nodes.

    If the nodes have different builds, each entry names all of them, because any of these nodes may do the work. Keys
    therefore change when a node with another build joins, and not when one with a known build does.

    Args:
        nodes: the usable nodes.
        kind: description of the devices that the work needs: only nodes that have them count. None: it runs on the CPU,
            on any node.
    """
    able = [one for one in nodes if kind is None or any(device.description == kind for device in one.devices)]
    names = dict.fromkeys(name for one in able for name in one.build)
    return {name: " | ".join(sorted({one.build.get(name, "") for one in able})) for name in names}


def check_builds(nodes: Iterable[NodeFacts]) -> tuple[str, ...]:
    """Return a notice if the nodes have different builds of one version.

    Raises:
        BadInput: they have different versions of llama.cpp, which make different files and different answers.
    """
    hosts: dict[str, dict[str, list[str]]] = {}
    for one in nodes:
        features = ", ".join(value for name, value in sorted(one.build.items()) if name != _VERSION)
        hosts.setdefault(one.build.get(_VERSION, "?"), {}).setdefault(features, []).append(one.host)
    if len(hosts) > 1:
        found = "; ".join(
            f"{version} on {', '.join(sorted(host for names in builds.values() for host in names))}"
            for version, builds in sorted(hosts.items())
        )
        step = "Run `make setup` with the same requirements.lock on every node, and start Ray there again."
        raise BadInput(Fault("llama-cpp-python", found, "one version on all nodes of the cluster", step))
    builds = next(iter(hosts.values()), {})
    if len(builds) < 2:
        return ()
    listed = "; ".join(f"{', '.join(sorted(names))}: {features}" for features, names in sorted(builds.items()))
    return (Notice("builds_differ", builds=listed),)


def unused_cards(node: NodeFacts) -> str | None:
    """Return a notice if a machine has cards, but its llama.cpp can use no device; None if all is well."""
    if node.devices or not node.cards:
        return None
    return (
        f"{node.host} has {node.cards} NVIDIA card{'s' if node.cards > 1 else ''} ({node.driver}), but llama.cpp was "
        "built for the processor there. `CMAKE_ARGS=auto make setup`, run there, builds it for the cards, or says what "
        "is missing for that."
    )
