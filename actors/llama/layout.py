"""The batch layout of an engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineLayout:
    """What of the batch layout changes outputs in their last bits: all of it stands in the records' key."""

    threads: int
    sequences: int
    n_batch: int
    n_ubatch: int
    n_ctx: int
    kv_unified: bool
    """True: one run of KV cells for all sequences. False: each has `n_ctx` by their number, two more counted in."""
    flash_attention: bool
    gpu_layers: int
    """0: CPU; -1: all layers offloaded."""
    share_prefixes: bool = True
    """False: each sequence decodes its whole prompt, for the model's memory cannot be forked."""
