"""The cost of an arm against its performance: file size, memory, time per token.

Memory and time come from the short fixed workload that each arm is measured with. Results without it have no chart of
memory and speed.
"""

from __future__ import annotations

from reporting.charts.performance import empty_chart
from reporting.charts.points import ARM_LABEL_CHARS, panels
from reporting.charts.scatter import Cost, pareto_lines, scatter_panel
from reporting.charts.style import AnyChart, colours, figure, source_lines
from reporting.escape import one_line
from reporting.results_folder import Findings, Json
from reporting.wording import Words, size_unit

_KINDS_OF_MEMORY = ("weights_bytes", "kv_bytes", "compute_bytes")


def efficiency_chart(findings: Findings, words: Words) -> AnyChart:
    """Return the chart of file size against performance. Arms of unknown size (for example endpoints) are left out."""
    cost = _size_cost(
        {arm["name"]: arm["size_bytes"] for arm in findings.candidates}, words, "ファイルサイズ", "File size"
    )
    palette = colours(findings)
    drawn = [scatter_panel(panel, cost, palette, words) for panel in panels(findings, words)]
    title = [words.say("ファイルサイズと性能", "File size against performance")]
    return figure(
        [panel for panel in drawn if panel is not None] or [empty_chart(words)],
        title,
        [*source_lines(findings, words), *_bars(words), *pareto_lines(words)],
    )


def speed_chart(findings: Findings, words: Words) -> AnyChart | None:
    """Return the chart of memory and time per token against performance, one row per benchmark.

    Return None if neither was measured.
    """
    measured = {arm["name"]: arm["performance"] for arm in findings.candidates if arm.get("performance")}
    memory = _size_cost(
        {name: _memory_bytes(row) for name, row in measured.items()}, words, "メモリ(重み+KV+計算)", "Memory in use"
    )
    known = {name: row["batch_1"]["time_per_token_ms"] for name, row in measured.items()}
    times = {name: float(value) for name, value in known.items() if value is not None}
    time = Cost(words.say("1トークンの時間 (ms)", "Time per token (ms)"), times)
    palette = colours(findings)
    drawn = [scatter_panel(panel, cost, palette, words) for panel in panels(findings, words) for cost in (memory, time)]
    shown = [panel for panel in drawn if panel is not None]
    if not shown:
        return None
    title = [words.say("メモリ・速度と性能", "Memory and speed against performance")]
    n = max((row["batch_1"].get("time_per_token_ms_n") or 0 for row in measured.values()), default=0)
    rounds = words.say(f"({n}回)", f" ({n} rounds)") if n else ""
    subtitle = source_lines(findings, words) + words.lines(
        f"短い一定の負荷で測定{rounds}。時間は1系列だけを生成したときの値。",
        f"Measured with a short fixed workload{rounds}. The time is that of one sequence decoded alone.",
    )
    return figure(shown, title, [*subtitle, *_not_timed(known, words), *_bars(words), *pareto_lines(words)])


def _not_timed(times: dict[str, float | None], words: Words) -> list[str]:
    """Return a line that says which arms have no time because the machine was busy; nothing if all have one."""
    names = ", ".join(one_line(name, ARM_LABEL_CHARS) for name, value in times.items() if value is None)
    if not names:
        return []
    return words.lines(
        f"時間は未計測(マシンが他の処理中): {names}", f"Time not measured, because the machine was busy: {names}"
    )


def _bars(words: Words) -> list[str]:
    return words.lines(
        "縦線: 問題の抽出に対する95%信頼区間。菱形: 基準。",
        "Vertical bars: 95% confidence interval over items. Diamond: the reference.",
    )


def _size_cost(sizes: dict[str, int | None], words: Words, ja: str, en: str) -> Cost:
    known = {name: size for name, size in sizes.items() if size is not None}
    unit = size_unit(max(known.values(), default=0))
    return Cost(f"{words.say(ja, en)} ({unit.name})", {name: unit.of(size) for name, size in known.items()})


def _memory_bytes(row: Json) -> int | None:
    """Return the bytes of weights, KV cache and buffers, on the host and on devices; None if llama.cpp named none."""
    places = row.get("memory") or ()
    return sum(place[name] for place in places for name in _KINDS_OF_MEMORY) or None
