"""Where the work of a plan runs: what models take in memory, and on which devices they go.

`memory` estimates, `choose` decides for one worker, `one_kind` for the arms of a comparison, `single` for other work.
`cells` says how large KV caches may be, and `workers` what workers on the CPU need.
"""

from actors.orchestrator.placement.workers import MEMORY_SHARE, WORKER_OVERHEAD_BYTES, evaluation_bytes, judging_bytes

__all__ = ["MEMORY_SHARE", "WORKER_OVERHEAD_BYTES", "evaluation_bytes", "judging_bytes"]
