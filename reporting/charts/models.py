"""Several models side by side: their means on each benchmark, and what they take in memory and time.

The bars of a model stand together, the reference above. Models are sorted by the mean of the reference, or, if each
model is a stage of one training, by the stages. A model with one side only has one bar, which is marked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from reporting.charts.bars import COLUMNS, Bar, BarGroup, BarPanel, bar_panel
from reporting.charts.efficiency import measured_arms, memory_bytes
from reporting.charts.layout import figure
from reporting.charts.points import Panel, Point, panels, unjudged_note
from reporting.charts.style import Specification
from reporting.escape import one_line
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, number, size_unit

_LOSSLESS = ("f32", "bf16", "f16")
_LABEL_CHARS = 40
_BESIDE = 1.04
"""The axis ends a little beyond the longest bar."""


def models_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart of the means; None for one model.

    Measured texts are left out: a loss per token says nothing across models with different tokenizers.
    """
    kinds = {benchmark["name"]: benchmark["metric"] for benchmark in findings.benchmarks}
    shown = [panel for panel in panels(findings, words) if kinds[panel.name] != "nll" and panel.points]
    if len(findings.models) < 2 or not shown:
        return None
    drawn = [bar_panel(_of_benchmark(findings, panel, words), words) for panel in shown]
    title = words.say("モデルごとの性能(量子化前と後)", "The models before and after quantization")
    left_out = unjudged_note(findings, words)
    order = words.say("基準の平均の順", "sorted by the mean of the reference")
    if in_stages(findings):
        order = words.say("学習段階の順", "in the order of the stages of training")
    subtitle = [
        words.say(
            f"無地: 基準(または量子化していないアームだけ)。斜線: 量子化後。{order}。",
            f"Plain: reference, or the only arm if it is not quantized. Hatched: quantized; {order}.",
        ),
        words.say(
            f"黒い線: 問題についての95%信頼区間。「比較なし」: 片側だけのモデル。{left_out}",
            f"Black bars: 95% interval over items. Not compared: a model with one side only.{left_out}",
        ),
    ]
    return figure(drawn, title, subtitle, columns=COLUMNS)


def models_cost_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart of memory and time per token of each model; None for one model, or if neither was measured."""
    measured = measured_arms(findings)
    sizes = {arm["name"]: memory_bytes(arm["performance"]) for arm in measured}
    times = {arm["name"]: arm["performance"]["batch_1"]["time_per_token_ms"] for arm in measured}
    unit = size_unit(max((size for size in sizes.values() if size), default=0))
    memory = {name: unit.of(size) for name, size in sizes.items() if size}
    seconds = {name: float(time) for name, time in times.items() if time}
    found = [
        (
            words.say("メモリ", "Memory in use"),
            f"{words.say('重み+KV+計算', 'weights, KV, compute')} ({unit.name})",
            memory,
        ),
        (
            words.say("1トークンの時間", "Time per token"),
            words.say("1系列だけの生成 (ms)", "one sequence alone (ms)"),
            seconds,
        ),
    ]
    kept = [(title, axis, values) for title, axis, values in found if values]
    if len(findings.models) < 2 or not kept:
        return None
    drawn = [bar_panel(_of_costs(findings, title, axis, values, words), words) for title, axis, values in kept]
    subtitle = [
        words.say(
            "無地: 基準(または量子化していないアームだけ)。斜線: 量子化後。",
            "Plain: reference, or the only arm if it is not quantized. Hatched: quantized.",
        ),
        words.say(
            "同じ短い処理で計測(方法の文書を参照)。", "Measured with the same short workload (see the methodology)."
        ),
    ]
    return figure(
        drawn, words.say("モデルごとのメモリと速度", "Memory and speed of the models"), subtitle, columns=COLUMNS
    )


def in_stages(findings: Findings) -> bool:
    """Return whether each model is a stage of one training, so that their order means something."""
    return all(model.get("stage") for model in findings.models)


def model_label(model: Json) -> str:
    """Return the name of a model, with its stage of training if it has one."""
    name = one_line(str(model["name"]), _LABEL_CHARS)
    return f"{name} [{one_line(str(model['stage']), _LABEL_CHARS)}]" if model.get("stage") else name


def is_plain(findings: Findings, arm: Json) -> bool:
    """Return whether an arm's bar is plain: it is a reference, or it is not compared and not known to be quantized."""
    role = findings.role(arm)
    return role == "reference" or (role == "alone" and (arm["recipe"] or _LOSSLESS[0]) in _LOSSLESS)


def _arms_of(findings: Findings, model: str) -> list[Json]:
    """Return the arms of a model, the reference first."""
    own = [arm for arm in findings.candidates if arm["model"] == model]
    return sorted(own, key=lambda arm: not is_plain(findings, arm))


def _of_benchmark(findings: Findings, panel: Panel, words: Words) -> BarPanel:
    points = {point.arm: point for point in panel.points}
    low, high = panel.possible
    base = low if math.isfinite(low) else min(0.0, *(point.mean for point in panel.points))
    most = max(max(point.mean, point.high or point.mean) for point in panel.points)
    end = min(base + (most - base) * _BESIDE, high)
    groups = {
        model["name"]: [
            _mean_bar(findings, arm, points.get(arm["name"]), words) for arm in _arms_of(findings, model["name"])
        ]
        for model in findings.models
    }
    return BarPanel(
        title=panel.title,
        subtitle=panel.subtitle,
        axis_title=panel.axis_title,
        base=base,
        end=end if end > base else base + 1.0,
        groups=_sorted_groups(findings, groups, largest_first=panel.higher_is_better),
        percent=panel.scale.percent,
    )


def _mean_bar(findings: Findings, arm: Json, point: Point | None, words: Words) -> Bar:
    name, alone = own_name(arm), findings.role(arm) == "alone"
    if point is None:
        text = f"{name} {words.say('結果なし', 'no result')}"
        return Bar(arm["name"], not is_plain(findings, arm), None, None, None, text, DASH, DASH, DASH)
    mark = words.say("(比較なし)", " (not compared)") if alone else ""
    text = " ".join(filter(None, (name, point.value, point.interval if point.low is not None else ""))) + mark
    return Bar(
        arm=arm["name"],
        hatched=not is_plain(findings, arm),
        value=point.mean,
        low=point.low,
        high=point.high,
        text=text,
        shown=point.value,
        interval=point.interval,
        n=point.n,
    )


def own_name(arm: Json) -> str:
    """Return an arm's name without that of its model."""
    return one_line(str(arm["name"]).removeprefix(f"{arm['model']}~"), _LABEL_CHARS)


def _of_costs(findings: Findings, title: str, axis: str, values: Mapping[str, float], words: Words) -> BarPanel:
    groups = {
        model["name"]: [
            _cost_bar(findings, arm, values[arm["name"]])
            for arm in _arms_of(findings, model["name"])
            if arm["name"] in values
        ]
        for model in findings.models
    }
    end = max(values.values()) * _BESIDE
    n = words.say(f"{len(values)} 個のアーム", f"{len(values)} arms")
    return BarPanel(title, n, axis, 0.0, end, _sorted_groups(findings, groups, largest_first=True))


def _cost_bar(findings: Findings, arm: Json, value: float) -> Bar:
    shown = number(value, 1 if value >= 10 else 2)
    hatched = not is_plain(findings, arm)
    return Bar(arm["name"], hatched, value, None, None, f"{own_name(arm)} {shown}", shown, DASH, DASH)


def _sorted_groups(
    findings: Findings, groups: Mapping[str, Sequence[Bar]], *, largest_first: bool
) -> tuple[BarGroup, ...]:
    """Return the models with bars, sorted by their first bar, which is the reference's; those without a value last."""
    labels = {model["name"]: model_label(model) for model in findings.models}
    shown = [(labels[name], tuple(bars)) for name, bars in groups.items() if bars]

    def place(group: tuple[str, tuple[Bar, ...]]) -> float:
        first = next((bar.value for bar in group[1] if bar.value is not None), None)
        return math.inf if first is None else -first if largest_first else first

    ordered = shown if in_stages(findings) else sorted(shown, key=place)
    return tuple(BarGroup(label, bars) for label, bars in ordered)
