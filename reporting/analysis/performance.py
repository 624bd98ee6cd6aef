"""Speed and memory of each arm, from the timings of its blocks and from the fixed workload.

Estimand of a speed: total tokens over total seconds, over all blocks (or rounds of the workload) of this kind on this
quiet machine, so a long block counts more than a short one. Its interval is that of a ratio, with the blocks as the
sample: it holds the differences between blocks, not those between machines. Only what ran on a quiet machine counts
(`reporting.analysis.machine_load`); if nothing did, there is a reason in place of the number.

Many sequences are decoded side by side: tokens per second is the throughput of a worker, and time per token is its
inverse. Neither is the delay that a single reader would see; that is `batch_1` of the workload.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.machine_load import Company, Piece, company_of, withheld
from stats.clusters import clustered_ratio
from stats.intervals import Floats, Interval
from stats.reasons import Reason

Json = dict[str, Any]
_SPEEDS = {
    "prompt_tokens_per_second": ("prompt_tokens", "prompt_s", 1.0),
    "decode_tokens_per_second": ("completion_tokens", "decode_s", 1.0),
    "time_per_token_ms": ("decode_s", "completion_tokens", 1000.0),
    "load_s": ("load_s", "loads", 1.0),
}
"""Name of each number -> the columns whose totals are divided, and a factor for the unit."""


def performance_rows(arms: Sequence[Mapping[str, Any]], timings: pl.DataFrame) -> tuple[list[Json], list[Json | None]]:
    """Return one row per arm from its blocks, and one per arm from its workload, both in the order of the arms.

    Args:
        arms: the arms of the run, each with its raw `performance`, if that was measured.
        timings: one row per finished block.

    Returns:
        The rows from the blocks, each with one row per benchmark in `benchmarks`; and the rows from the workload, None
        for an arm that was not measured.
    """
    # An endpoint decodes on another machine, and nobody watched that one.
    remote = {arm["name"] for arm in arms if arm.get("endpoint")}
    blocks = [
        Piece(row["arm"], row["worker_pid"] or 0, None if row["arm"] in remote else row["machine"])
        for row in timings.select("arm", "worker_pid", "machine").iter_rows(named=True)
    ]
    measured = [arm for arm in arms if arm.get("performance")]
    works = [Piece(arm["name"], arm["performance"]["worker_pid"], arm["performance"]["machine"]) for arm in measured]
    company = company_of([*blocks, *works])
    of_blocks, of_works = company[: len(blocks)], company[len(blocks) :]
    timed = _with_reasons(timings, withheld(blocks, of_blocks), of_blocks)
    reasons = withheld(works, of_works)
    by_workload = {
        arm["name"]: _workload(arm["performance"], reason) for arm, reason in zip(measured, reasons, strict=True)
    }
    rows = []
    for arm in arms:
        own = timed.filter(pl.col("arm") == arm["name"])
        parts = own.sort("benchmark").partition_by("benchmark", maintain_order=True)
        benchmarks = [{"benchmark": part["benchmark"][0], **_measures(part)} for part in parts]
        rows.append({"arm": arm["name"], **_measures(own), "benchmarks": benchmarks})
    return rows, [by_workload.get(arm["name"]) for arm in arms]


def _with_reasons(
    timings: pl.DataFrame, reasons: Sequence[Reason | None], company: Sequence[Company | None]
) -> pl.DataFrame:
    others = [None if one is None else (one.elsewhere * one.cpu_s, one.side_by_side * one.cpu_s) for one in company]
    return timings.with_columns(
        pl.Series("withheld", [reason and reason.value for reason in reasons], pl.String),
        pl.Series("elsewhere_s", [one and one[0] for one in others], pl.Float64),
        pl.Series("side_by_side_s", [one and one[1] for one in others], pl.Float64),
        pl.Series("cpu_s", [one and one.cpu_s for one in company], pl.Float64),
        loads=pl.when(pl.col("load_s") > 0).then(1.0).otherwise(0.0),
    )


def _measures(timings: pl.DataFrame) -> Json:
    """Return speeds and memory of these blocks (the unit is in each name); null, with its reason, if not measured."""
    row: Json = {}
    for name, (above, below, factor) in _SPEEDS.items():
        timed = timings.filter((pl.col(above) > 0) & (pl.col(below) > 0))
        quiet = timed.filter(pl.col("withheld").is_null())
        row |= _speed(name, quiet[above].to_numpy() * factor, quiet[below].to_numpy(), _why_none(timed))
    memory = [one for one in timings["memory"] if one is not None and None not in one.values()]
    cpu_s = float(timings["cpu_s"].sum())
    return row | {
        "memory": max(memory, key=lambda one: sum(one.values()), default=None),
        "memory_reason": None if memory else Reason.NOT_MEASURED.value,
        "n_blocks": timings.height,
        "n_blocks_quiet": timings["withheld"].null_count(),
        "cpu_share_elsewhere": float(timings["elsewhere_s"].sum()) / cpu_s if cpu_s else None,
        "cpu_share_side_by_side": float(timings["side_by_side_s"].sum()) / cpu_s if cpu_s else None,
        "wall_s": float(timings["wall_s"].sum()),
    }


def _why_none(timed: pl.DataFrame) -> Reason:
    """Return why none of these blocks gives a number: the machine was busy, if that is known of any of them."""
    if timed.is_empty():
        return Reason.NOT_MEASURED
    busy = (timed["withheld"] == Reason.MACHINE_BUSY.value).any()
    return Reason.MACHINE_BUSY if busy else Reason.MACHINE_NOT_WATCHED


def _speed(name: str, above: Floats, below: Floats, why_none: Reason) -> Json:
    """Return Σ above / Σ below with its interval and the number of blocks, as fields that begin with `name`."""
    found = clustered_ratio(above.astype(np.float64), below.astype(np.float64))
    if isinstance(found, Reason):
        value, ci95, value_reason, interval_reason = None, None, why_none.value, why_none.value
    elif isinstance(found.interval, Interval):
        ci95 = [max(0.0, found.interval.low), found.interval.high]
        value, value_reason, interval_reason = found.estimate, None, None
    else:
        reason = Reason.ONE_BLOCK if found.interval is Reason.ONE_ITEM else found.interval
        value, ci95, value_reason, interval_reason = found.estimate, None, None, reason.value
    return {
        name: value,
        f"{name}_reason": value_reason,
        f"{name}_ci95": ci95,
        f"{name}_ci95_reason": interval_reason,
        f"{name}_n": int(above.size),
    }


def _workload(raw: Mapping[str, Any], reason: Reason | None) -> Json:
    """Return speed and memory in the fixed workload, from the file that the worker wrote."""
    return {
        "load_s": None if reason else raw["load_s"],
        "load_s_reason": reason and reason.value,
        "batch_1": _batch(raw["batch_1"], reason),
        "batched": _batch(raw["batched"], reason),
        "memory": raw["memory"],
        **{name: raw[name] for name in ("file_bytes", "threads", "n_ctx")},
    }


def _batch(rounds: Mapping[str, Any], reason: Reason | None) -> Json:
    prompt_s, decode_s = np.array(rounds["prompt_s"], np.float64), np.array(rounds["decode_s"], np.float64)
    prompt_tokens = np.full(prompt_s.size, float(rounds["prompt_tokens"]))
    answer_tokens = np.full(decode_s.size, float(rounds["answer_tokens"]))
    if reason is not None:
        prompt_s, decode_s, prompt_tokens, answer_tokens = (np.array([]) for _ in range(4))
    why_none = reason or Reason.NOT_MEASURED
    return {
        "sequences": rounds["sequences"],
        **_speed("prompt_tokens_per_second", prompt_tokens, prompt_s, why_none),
        **_speed("decode_tokens_per_second", answer_tokens, decode_s, why_none),
        **_speed("time_per_token_ms", 1000.0 * rounds["sequences"] * decode_s, answer_tokens, why_none),
    }


def workload_is_readable(raw: Any) -> bool:
    """Return whether this is the content of a workload's file, as far as the results need it."""
    try:
        company_of([Piece("", int(raw["worker_pid"]), raw["machine"])])
        _workload(raw, None)
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError):
        return False
    return True
