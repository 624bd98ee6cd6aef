"""The cost of an arm against its performance: file size, memory, time per token.

Memory and time come from the short fixed workload that each arm is measured with. Results without it have no charts of
memory and speed.
"""

from __future__ import annotations

from dataclasses import replace

from reporting.charts.labels import arm_text
from reporting.charts.layout import figure
from reporting.charts.performance import empty_chart
from reporting.charts.points import Panel, panels, unjudged_note
from reporting.charts.scatter import Cost, scatter_panels
from reporting.charts.style import Specification, colours, models_text
from reporting.escape import one_line
from reporting.results_folder import Findings, Json
from reporting.wording import Words, listed, size_unit

_MOST_NAMES_CHARS = 40
MOST_LABELLED_MODELS = 3
"""With more models, points are named by their models, not by their arms."""
_MODEL_CHARS = 24
_KINDS_OF_MEMORY = ("weights_bytes", "kv_bytes", "compute_bytes")


def efficiency_chart(findings: Findings, words: Words) -> Specification:
    """Return the chart of file size against performance. Arms of unknown size (for example endpoints) are left out."""
    cost = size_cost(findings, words)
    title = words.say("ファイルサイズと性能", "File size against performance")
    chart = _against_performance(findings, words, cost, title)
    return chart or figure([empty_chart(words)], title, [models_text(findings, words)])


def memory_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart of memory against performance; None if memory was not measured."""
    sizes = {arm["name"]: memory_bytes(arm["performance"]) for arm in measured_arms(findings)}
    cost = _bytes_cost(sizes, words, "メモリ(重み+KV+計算)", "Memory in use")
    return _against_performance(findings, words, cost, words.say("メモリと性能", "Memory against performance"))


def speed_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart of time per token against performance; None if time was not measured.

    The time is that of one sequence decoded alone.
    """
    known = {arm["name"]: arm["performance"]["batch_1"] for arm in measured_arms(findings)}
    times = {name: float(row["time_per_token_ms"]) for name, row in known.items() if row["time_per_token_ms"]}
    cost = Cost(words.say("1トークンの時間 (ms)", "Time per token (ms)"), times)
    title = words.say("速度と性能", "Speed against performance")
    n = max((row.get("time_per_token_ms_n") or 0 for row in known.values()), default=0)
    rounds = words.say(f"(測定 {n} 回)", f" ({n} rounds)") if n else ""
    note = words.say(f"時間: 1系列だけの生成{rounds}。", f" Time: one sequence alone{rounds}.")
    untimed = one_line(listed(words, (name for name in known if name not in times)), _MOST_NAMES_CHARS)
    if untimed:
        note += words.say(f"計測なし(マシンが他の処理中): {untimed}。", f" Not timed, the machine was busy: {untimed}.")
    return _against_performance(findings, words, cost, title, note)


def size_cost(findings: Findings, words: Words) -> Cost:
    """Return the size of each arm's file. Arms of unknown size (for example endpoints) are not in it."""
    sizes = {arm["name"]: arm["size_bytes"] for arm in findings.candidates}
    return _bytes_cost(sizes, words, "ファイルサイズ", "File size")


def _against_performance(
    findings: Findings, words: Words, cost: Cost, title: str, note: str = ""
) -> Specification | None:
    wanted, joined = panels(findings, words), dict[str, str]()
    if len(findings.models) > MOST_LABELLED_MODELS:
        wanted, joined = [_named_by_model(findings, panel) for panel in wanted], _arm_to_reference(findings)
        note += words.say("破線: 同じモデルのアーム。", " Dashed: arms of the same model.")
    drawn, columns = scatter_panels(wanted, cost, colours(findings), words, joined)
    if not drawn:
        return None
    models, left_out = models_text(findings, words), unjudged_note(findings, words)
    bars = words.say(
        "縦線: 問題についての95%信頼区間(n は各パネル)。", "Bars: 95% interval over items; n above each panel."
    )
    subtitle = [
        words.say(
            f"{models}: 各アームの平均(菱形: 基準)",
            f"{models}: mean of each arm (diamond: reference)",
        ),
        bars + note + left_out,
    ]
    return figure(drawn, title, subtitle, columns=columns)


def _named_by_model(findings: Findings, panel: Panel) -> Panel:
    """Return a panel whose labels are names of models, one for each: there is no room for the name of every arm."""
    models = {arm["name"]: str(arm["model"]) for arm in findings.arms}
    compared = {arm["name"] for arm in findings.arms if findings.role(arm) == "compared"}
    points = tuple(
        replace(point, label="" if point.arm in compared else arm_text(models[point.arm], _MODEL_CHARS))
        for point in panel.points
    )
    return replace(panel, points=points)


def _arm_to_reference(findings: Findings) -> dict[str, str]:
    return {arm["name"]: arm["reference"] for arm in findings.arms if arm["reference"] is not None}


def measured_arms(findings: Findings) -> list[Json]:
    """Return the arms whose memory and speed were measured."""
    return [arm for arm in findings.candidates if arm.get("performance")]


def _bytes_cost(sizes: dict[str, int | None], words: Words, ja: str, en: str) -> Cost:
    known = {name: size for name, size in sizes.items() if size is not None}
    unit = size_unit(max(known.values(), default=0))
    return Cost(f"{words.say(ja, en)} ({unit.name})", {name: unit.of(size) for name, size in known.items()})


def memory_bytes(row: Json) -> int | None:
    """Return the bytes of weights, KV cache and buffers, on the host and on devices; None if llama.cpp named none."""
    places = row.get("memory") or ()
    return sum(place[name] for place in places for name in _KINDS_OF_MEMORY) or None
