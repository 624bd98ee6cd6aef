"""The batch layout of an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from actors.llama.devices import DeviceUse


@dataclass(frozen=True)
class EngineLayout:
    """The layout settings that can change an output's last bits. All of them are part of the records' key."""

    threads: int
    sequences: int
    n_batch: int
    n_ubatch: int
    n_ctx: int
    kv_unified: bool
    """True: all sequences share one pool of KV cells. False: each sequence has `n_ctx / (sequences + 2)` cells."""
    flash_attention: bool
    gpu_layers: int
    """Number of layers on the GPU. 0: none. -1: all."""
    share_prefixes: bool = True
    """False: each sequence decodes its whole prompt, because the model's memory cannot be forked."""
    devices: DeviceUse | None = None
    """The devices that hold the `gpu_layers`. None: there are none."""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that changes the output. A layout without devices has no entry for them, as in earlier keys."""
        content = asdict(self)
        if self.devices is None:
            del content["devices"]
        return content

    @classmethod
    def of(cls, identity: Mapping[str, Any]) -> EngineLayout:
        """Return the layout with this identity."""
        use = identity.get("devices")
        return cls(**{**identity, "devices": DeviceUse(**use) if use else None})
