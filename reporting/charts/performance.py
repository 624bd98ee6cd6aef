"""Performance of every arm on every benchmark, with error bars.

The thin bar is the 95% interval over items (the benchmark as a sample of questions). The thick bar is
`1.96 * sigma_runs / sqrt(runs)`, sampling noise only; without sampling there is no thick bar.
"""

from __future__ import annotations

import altair as alt

from reporting.charts.forest import COLUMNS, MOST_ROW_PX, Forest, Line, Row, forest_panel, label_px, missing_row
from reporting.charts.layout import figure, row_px
from reporting.charts.points import Panel, Point, domain, extent, panels, unjudged_note
from reporting.charts.style import GREY, Specification, chart_of, colours, models_text, role_title
from reporting.results_folder import Findings
from reporting.wording import Words


def performance_chart(findings: Findings, words: Words, *, plain_bars: bool = False) -> Specification:
    """Return the chart. A benchmark without any result has a panel that says so.

    Args:
        findings: the results.
        words: the language.
        plain_bars: draw 1.96 sigma/sqrt(n) over items in place of the intervals of the statistics.
    """
    palette = colours(findings)
    forests = [_forest(panel, palette, words) for panel in panels(findings, words, plain_bars=plain_bars)]
    height = row_px(len(findings.arms), len(forests), COLUMNS, MOST_ROW_PX)
    room = label_px(forests)
    drawn = [forest_panel(forest, height, room, words) for forest in forests]
    title = words.say("量子化ごとの性能", "Performance by quantization")
    dashed = ("(破線: 基準の平均)", " (dashed: the reference)") if any(forest.lines for forest in forests) else ("", "")
    ja, en = ("1.96σ/√n(σ: 問題間)", "1.96σ/√n, σ between items") if plain_bars else ("95%信頼区間", "95% interval")
    models = models_text(findings, words)
    left_out = unjudged_note(findings, words)
    subtitle = [
        words.say(f"{models}: 各アームの平均{dashed[0]}", f"{models}: mean of each arm{dashed[1]}"),
        words.say(
            f"細い線: 問題についての{ja}。太い線: サンプリングのばらつき(1.96σ/√実行回数)。n は各パネルに示す。"
            f"{left_out}",
            f"Thin bars: {en} over items; thick bars: sampling noise, 1.96σ/√runs. n stands above each panel."
            f"{left_out}",
        ),
    ]
    return figure(drawn or [empty_chart(words)], title, subtitle, columns=COLUMNS)


def empty_chart(words: Words) -> alt.Chart:
    """Return a chart that only says that there are no results."""
    text = words.say("結果なし", "no results")
    chart: alt.Chart = chart_of([{"text": text}]).mark_text(color=GREY).encode(text=alt.Text("text:N"))
    return chart


def _forest(panel: Panel, palette: dict[str, str], words: Words) -> Forest:
    points = {point.label: point for point in panel.points}
    rows = [
        _row(points[label], palette, words) if label in points else missing_row(label, label, words)
        for label in panel.labels
    ]
    # If there are several references, a line would be ambiguous.
    references = [point.mean for point in panel.points if point.role == role_title(words, "reference")]
    return Forest(
        title=panel.title,
        subtitle=panel.subtitle,
        axis_title=panel.axis_title,
        domain=domain(extent(panel.points), panel.possible),
        rows=rows,
        percent=panel.scale.percent,
        lines=[Line(references[0])] if len(references) == 1 else [],
    )


def _row(point: Point, palette: dict[str, str], words: Words) -> Row:
    return Row(
        label=point.label,
        arm=point.arm,
        middle=point.mean,
        low=point.low,
        high=point.high,
        text=f"{point.value} {point.interval}" if point.low is not None else point.value,
        value=point.value,
        interval=point.interval,
        n=point.n,
        colour=palette[point.arm],
        shape="diamond" if point.role == role_title(words, "reference") else "circle",
        run_low=point.run_low,
        run_high=point.run_high,
    )
