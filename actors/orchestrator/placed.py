"""Where an arm runs in one role, and what it takes there. `placement` decides it, `loop` and `actor` use it."""

from __future__ import annotations

from dataclasses import dataclass

from actors.llama.devices import DeviceUse


@dataclass(frozen=True)
class Memory:
    """Estimated memory of one model in one layout, in bytes."""

    weights_bytes: int
    kv_bytes: int
    """The KV cache, and the states of recurrent layers."""
    compute_bytes: int
    """Compute buffers and logits."""

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.compute_bytes


@dataclass(frozen=True)
class Ask:
    """What a worker asks Ray for. It keeps this as long as it lives, whatever it loads."""

    cpus: float
    gpus: float
    accelerator_type: str | None
    nodes: frozenset[str] | None


@dataclass(frozen=True)
class Placed:
    """The place of a worker that loads one arm (or one judge, or the models of one pass) in one role."""

    cpus: float
    """CPUs that the worker asks Ray for. Its host work may use as many threads."""
    gpus: float
    """GPUs that the worker asks Ray for: 0, a share of one, or a whole number."""
    devices: DeviceUse | None
    """None: everything is decoded on the CPU."""
    gpu_layers: int
    """Layers on the devices: 0 none, -1 all, else as llama.cpp counts them."""
    host: Memory
    device: Memory
    """The memory on all its devices together."""
    accelerator_type: str | None = None
    """Ray's label of the nodes that it may run on. None: any node."""
    nodes: frozenset[str] | None = None
    """Ids of the nodes that it may run on, for example those with one build of llama.cpp. None: any node."""
    shares_host: bool = False
    """True: its devices are inside processors, so `device` is memory of the host, too."""

    @property
    def node_bytes(self) -> int:
        """What it takes of the memory of its node."""
        return self.host.total_bytes + (self.device.total_bytes if self.shares_host else 0)

    @property
    def ask(self) -> Ask:
        return Ask(self.cpus, self.gpus, self.accelerator_type, self.nodes)
