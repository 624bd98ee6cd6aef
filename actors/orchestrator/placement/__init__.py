"""Where the work of a plan runs: what models take in memory, on which devices they go, and how many workers fit.

`memory` estimates, `choose` decides for one model, `of_plan` for all units of a plan, `workers` counts side by side.
"""

from actors.orchestrator.placement.workers import (
    MEMORY_SHARE,
    WORKER_OVERHEAD_BYTES,
    Cluster,
    Placement,
    evaluation_bytes,
    judging_bytes,
    place,
)

__all__ = [
    "MEMORY_SHARE",
    "WORKER_OVERHEAD_BYTES",
    "Cluster",
    "Placement",
    "evaluation_bytes",
    "judging_bytes",
    "place",
]
