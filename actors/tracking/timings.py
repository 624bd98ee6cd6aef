"""The metrics of a cell that come from the timings of its blocks: how long, how fast, and how much memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reporting.analysis.machine_load import is_quiet


def timing_metrics(timings: Sequence[Mapping[str, Any]], share: float) -> dict[str, float]:
    """Return the speeds of the cell's blocks, unless the machine was busy, and the memory that the arm's model takes.

    Args:
        timings: one entry per block.
        share: this cell's share of the records in these blocks. The seeds of a group are decoded together, so the
            wall time is divided by the number of records.
    """
    if not timings:
        return {}

    def total(key: str) -> float:
        return math.fsum(timing.get(key) or 0.0 for timing in timings)

    metrics = {"wall_s": total("wall_s") * share}
    for place in ("host", "device"):
        known = [timing["memory"] for timing in timings if timing.get("memory")]
        sizes = [sum(memory[f"{kind}_{place}_bytes"] for kind in ("weights", "kv", "compute")) for memory in known]
        metrics |= {f"memory_{place}_bytes": float(max(sizes))} if sizes else {}
    if not all(is_quiet(timing.get("machine")) for timing in timings):
        return metrics
    metrics["load_s"] = total("load_s")
    if total("prompt_s") > 0:
        metrics["prompt_tokens_per_s"] = total("prompt_tokens") / total("prompt_s")
    if total("decode_s") > 0:
        metrics["completion_tokens_per_s"] = total("completion_tokens") / total("decode_s")
    if total("wall_s") > 0:
        metrics["tokens_per_s"] = (total("prompt_tokens") + total("completion_tokens")) / total("wall_s")
    return metrics
