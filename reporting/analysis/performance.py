"""Speed and memory of each arm, out of the blocks' timings.

Rates are totals over totals, so that a long block counts for more than a short one. Decoding goes side by
side in many sequences: tokens per second is the worker's throughput, and time per token its inverse, not
the delay that one reader would see.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from stats.reasons import Reason


def performance_rows(arms: Iterable[str], timings: pl.DataFrame) -> list[dict[str, Any]]:
    """One row an arm, in the given order, each with its benchmarks' rows in `benchmarks`."""
    rows = []
    for arm in arms:
        own = timings.filter(pl.col("arm") == arm)
        parts = own.sort("benchmark").partition_by("benchmark", maintain_order=True)
        benchmarks = [{"benchmark": part["benchmark"][0], **_measures(part)} for part in parts]
        rows.append({"arm": arm, **_measures(own), "benchmarks": benchmarks})
    return rows


def _measures(timings: pl.DataFrame) -> dict[str, Any]:
    """Rates in tokens per second, times in seconds or milliseconds, memory in bytes; null with its reason."""
    loads = timings["load_s"].drop_nulls()
    loads = loads.filter(loads > 0)
    decode_per_s = _rate(timings, "completion_tokens", "decode_s")
    values: dict[str, float | int | None] = {
        "prompt_tokens_per_second": _rate(timings, "prompt_tokens", "prompt_s"),
        "decode_tokens_per_second": decode_per_s,
        "time_per_token_ms": 1000 / decode_per_s if decode_per_s else None,
        "load_s": float(loads.to_numpy().mean()) if loads.len() else None,
        "peak_rss_bytes": int(timings["peak_rss_bytes"].max() or 0) or None,  # type: ignore[arg-type]
    }
    row: dict[str, Any] = {}
    for name, value in values.items():
        row |= {name: value, f"{name}_reason": None if value is not None else Reason.NOT_MEASURED.value}
    return row | {"n_blocks": timings.height, "wall_s": float(timings["wall_s"].sum())}


def _rate(timings: pl.DataFrame, tokens: str, seconds: str) -> float | None:
    total_s = float(timings[seconds].sum())
    total_tokens = int(timings[tokens].sum())
    return total_tokens / total_s if total_s > 0 and total_tokens > 0 else None
