"""The table of speed and memory.

A speed stands with its interval and the number of blocks that it is taken over. If the machine was busy, or nobody
watched it, the reason stands in its place.
"""

from __future__ import annotations

from reporting.documents.phrases import dash_with_reason
from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, header, number, size_unit

_UNMEASURED: Json = {"batch_1": {"time_per_token_ms_reason": "not_measured"}}


def performance_table(findings: Findings, words: Words) -> Table:
    """Return speed and memory, one row per arm. Memory of devices has a column if any arm takes some."""
    speeds = {arm["name"]: findings.performance(arm["name"]) or {} for arm in findings.arms}
    # The workload of one sequence is what charts show. Older results have only the blocks, decoded side by side.
    alone = any(arm.get("performance") for arm in findings.arms)
    on_devices = any(_sizes(row.get("memory"), "device") for row in speeds.values())
    places = {"host": words.say("ホストのメモリ", "Host memory")}
    if on_devices:
        places["device"] = words.say("GPUのメモリ", "Device memory")
    parts = words.say("(重み+KVキャッシュ+計算用)", "(weights + KV cache + buffers)")
    columns = [
        (header(words, "arm"), False),
        (words.say("プロンプト処理 tok/s", "Prompt tok/s"), True),
        (words.say("生成 tok/s", "Decode tok/s"), True),
        (
            words.say("ms/トークン", "ms/token") + (words.say("\n(1系列だけ)", "\n(one sequence)") if alone else ""),
            True,
        ),
        (words.say("読み込み (s)", "Load (s)"), True),
        *((f"{title}\n{parts}", True) for title in places.values()),
        (words.say("量子化 (s)", "Quantize (s)"), True),
    ]
    rows = []
    for arm in findings.arms:
        row = speeds[arm["name"]]
        cells = (
            str(arm["name"]),
            _speed(words, row, "prompt_tokens_per_second", 1),
            _speed(words, row, "decode_tokens_per_second", 1),
            _speed(words, (arm.get("performance") or _UNMEASURED)["batch_1"] if alone else row, "time_per_token_ms", 2),
            _speed(words, row, "load_s", 2),
            *(_memory(row.get("memory"), place) for place in places),
            number(arm["quantize_seconds"], 1),
        )
        rows.append(cells)
    return make_table(columns, rows)


def _speed(words: Words, row: Json, name: str, digits: int) -> str:
    """Return a speed with its interval and the number of blocks, or why there is none."""
    if row.get(name) is None:
        # On lines of its own: the reason is longer than any speed, and four columns of it are wider than a page.
        return dash_with_reason(words, row, name).replace(" (", "\n(").replace(": ", ":\n")
    ends = row.get(f"{name}_ci95")
    interval = f"\n[{number(ends[0], digits)}, {number(ends[1], digits)}]" if ends else ""
    blocks = f"\nn = {row[f'{name}_n']}" if f"{name}_n" in row else ""
    return number(row[name], digits) + interval + blocks


def _memory(memory: Json | None, place: str) -> str:
    """Return the memory on the host or on devices, in all and by what takes it; a dash if it is not known, or none."""
    sizes = _sizes(memory, place)
    if not sizes:
        return DASH
    unit = size_unit(sum(sizes))
    return f"{unit.text(sum(sizes))}\n({' + '.join(number(unit.of(size), 1) for size in sizes)})"


def _sizes(memory: Json | None, place: str) -> list[int]:
    """Return the bytes of weights, KV cache and buffers; an empty list if they are not known, or all zero."""
    sizes = [memory[f"{kind}_{place}_bytes"] for kind in ("weights", "kv", "compute")] if memory else []
    return sizes if any(sizes) else []
