"""Speed and memory of each arm, from the timings of its blocks.

A rate is total tokens over total seconds, so a long block counts more than a short one. Many sequences are decoded side
by side: tokens per second is the throughput of a worker, and time per token is its inverse. Neither is the delay that a
single reader would see.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from stats.reasons import Reason


def performance_rows(arms: Iterable[str], timings: pl.DataFrame) -> list[dict[str, Any]]:
    """Return one row per arm, in the given order, each with one row per benchmark in `benchmarks`."""
    rows = []
    for arm in arms:
        own = timings.filter(pl.col("arm") == arm)
        parts = own.sort("benchmark").partition_by("benchmark", maintain_order=True)
        benchmarks = [{"benchmark": part["benchmark"][0], **_measures(part)} for part in parts]
        rows.append({"arm": arm, **_measures(own), "benchmarks": benchmarks})
    return rows


def _measures(timings: pl.DataFrame) -> dict[str, Any]:
    """Return rates, times and memory (the unit is in each name); null, with its reason, if not measured."""
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
