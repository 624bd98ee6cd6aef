"""The batch layout of an engine."""

from __future__ import annotations

from dataclasses import dataclass


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
