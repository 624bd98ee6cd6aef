"""Difference of each arm from its reference, with its interval: one forest plot per benchmark.

If an interval includes 0, no difference is shown. The plot therefore marks 0 with a line.
"""

from __future__ import annotations

from typing import Any

import altair as alt

from reporting.charts.points import domain
from reporting.charts.style import PALETTE, PANEL_WIDTH_PX, AnyChart, Panelled, chart_of, figure, haloed, source_lines
from reporting.escape import one_line
from reporting.results_folder import Findings, Json, unscored_of
from reporting.wording import Scale, Words, benchmark_title, difference_scale, metric_title, verdict_word

ROW_PX = 42


def difference_chart(findings: Findings, words: Words) -> AnyChart | None:
    """Return the chart; None if there is no comparison to draw."""
    drawn: list[Any] = []
    for benchmark in findings.benchmarks:
        rows = [row for row in findings.compared(benchmark["name"]) if row["difference"] is not None]
        if rows:
            drawn.append(_panel_chart(benchmark, rows, words))
    if not drawn:
        return None
    title = [words.say("基準との差", "Difference from the reference")]
    subtitle = source_lines(findings, words) + words.lines(
        "線: 問題の抽出に対する、対応のある差の95%信頼区間(多重性の補正なし)。線が0を含むとき、差があるとは言えない。",
        "Bars: 95% interval of the paired difference over items, uncorrected. If it includes 0, no difference shows.",
    )
    if any(row.get("margin") is not None for row in findings.comparisons):
        subtitle += words.lines(
            "破線: 許容幅。区間全体が破線より良い側にあれば「許容内」。",
            "Dashed: the margin. An arm is no worse if its whole interval lies on the better side of it.",
        )
    return figure(drawn, title, subtitle)


def axis_title(words: Words, metric: str, higher_is_better: bool, percent: bool) -> str:
    """Return the axis title: what the difference is, and which direction is worse."""
    if metric == "nll":
        what = words.say("ln PPL の差", "Difference of ln PPL")
    else:
        what = words.say("差", "Difference") + (" (pp)" if percent else "")
    if higher_is_better:
        return f"{what} ({words.say('負は低下', 'negative: worse')})"
    return f"{what} ({words.say('正は悪化', 'positive: worse')})"


def _panel_chart(benchmark: Json, rows: list[Json], words: Words) -> Panelled:
    scale = difference_scale(rows)
    factor = 100 if scale.percent else 1
    values = [_row(row, scale, factor, words) for row in rows]
    bounds = [value for row in values for value in (row["low"], row["high"], row["difference"]) if value is not None]
    margin = _margin(benchmark, rows, factor)
    bounds += [] if margin is None else [margin]
    x_scale = alt.Scale(domain=domain([*bounds, 0.0], margin=0.2), nice=False)
    order = list(dict.fromkeys(row["label"] for row in values))
    title = axis_title(words, rows[0]["metric"], benchmark["higher_is_better"], scale.percent)
    x = alt.X("difference:Q", scale=x_scale, axis=alt.Axis(title=title, format="~f", tickCount=5))
    base = chart_of(values).encode(y=alt.Y("label:N", sort=order, axis=alt.Axis(title=None, ticks=False)))
    zero = chart_of([{"zero": 0}]).mark_rule(color="#444444").encode(x=alt.X("zero:Q", scale=x_scale))
    limit = chart_of([] if margin is None else [{"margin": margin}]).mark_rule(strokeDash=[5, 3], color=PALETTE[1])
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.8, color=PALETTE[0])
    marks = base.mark_point(filled=True, size=70, opacity=1, color=PALETTE[0]).encode(x=x)
    # At the right end of the panel: texts beside the points would cross its border.
    texts = haloed(
        base.encode(x=alt.value(PANEL_WIDTH_PX - 4), text="text:N"), dy=-13, fontSize=10, align="right", color="#444444"
    )
    counts = sorted({row["n_items"] for row in rows})
    n = str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
    tests = ", ".join(sorted({str(row["test"]) for row in rows}))
    unscored = max(unscored_of(row) for row in rows)
    missing = f"; {words.say('採点不能の記録 最大', 'unscored records up to')} {unscored}" if unscored else ""
    subtitle = [] if rows[0]["metric"] == benchmark["metric"] else [metric_title(words, rows[0]["metric"])]
    subtitle += [f"n = {n} {words.say('組', 'pairs')}{missing}; {words.say('検定', 'test')}: {tests}"]
    return alt.layer(
        zero,
        limit.encode(x=alt.X("margin:Q", scale=x_scale)),
        bars.encode(x=alt.X("low:Q", scale=x_scale), x2="high:Q"),
        marks,
        *texts,
        width=PANEL_WIDTH_PX,
        height=ROW_PX * len(order),
        title=alt.TitleParams(text=benchmark_title(words, benchmark), subtitle=subtitle),
    )


def _margin(benchmark: Json, rows: list[Json], factor: int) -> float | None:
    """Return the position of the margin on the axis of the difference; None if there is no margin."""
    margin = next((row["margin"] for row in rows if row.get("margin") is not None), None)
    if margin is None:
        return None
    return float(-factor * margin if benchmark["higher_is_better"] else factor * margin)


def _row(row: Json, scale: Scale, factor: int, words: Words) -> Json:
    low, high = row["ci95"] or (None, None)
    word = verdict_word(words, row.get("verdict"))
    verdict = f" {word}" if word else ""
    return {
        "label": f"{one_line(row['arm'], 40)} − {one_line(row['reference'], 24)}",
        "difference": factor * row["difference"],
        "low": None if low is None else factor * low,
        "high": None if high is None else factor * high,
        "text": f"{scale.difference(row['difference'])} {scale.signed_interval(row['ci95'])}" + verdict,
    }
