"""Divergence from the reference against file size: mean Kullback-Leibler divergence per token, on each text.

Divergence shows small changes that do not yet change any answer. It has no margin and no verdict.
"""

from __future__ import annotations

from reporting.charts.points import Panel, Point, arm_label
from reporting.charts.scatter import Cost, pareto_lines, scatter_panel
from reporting.charts.style import AnyChart, colours, figure, role_title, source_lines
from reporting.results_folder import Findings, Json
from reporting.wording import Scale, Words, benchmark_title, integer, size_unit

KLD = "kld"


def divergence_chart(findings: Findings, words: Words) -> AnyChart | None:
    """Return the chart, one panel per text; None if nothing was measured or no arm has a file size."""
    sizes = {arm["name"]: arm["size_bytes"] for arm in findings.candidates if arm["size_bytes"] is not None}
    unit = size_unit(max(sizes.values(), default=0))
    cost = Cost(
        f"{words.say('ファイルサイズ', 'File size')} ({unit.name})",
        {name: unit.of(size) for name, size in sizes.items()},
    )
    palette = colours(findings)
    drawn = [
        scatter_panel(_panel(findings, words, benchmark, rows), cost, palette, words)
        for benchmark in findings.benchmarks
        if (rows := _rows(findings, benchmark["name"]))
    ]
    shown = [panel for panel in drawn if panel is not None]
    if not shown:
        return None
    title = [words.say("基準からの乖離とファイルサイズ", "Divergence from the reference against file size")]
    subtitle = source_lines(findings, words) + words.lines(
        "縦線: 1トークンあたりの平均KLダイバージェンスの95%信頼区間(チャンクをクラスターとして計算)。",
        "Vertical bars: 95% interval of the mean KL divergence per token, clustered by chunk.",
    )
    return figure(shown, title, [*subtitle, *pareto_lines(words)])


def _rows(findings: Findings, benchmark: str) -> dict[str, Json]:
    return {
        row["arm"]: row
        for row in findings.comparison["results"]
        if row["benchmark"] == benchmark and row["metric"] == KLD and row["mean"] is not None
    }


def _panel(findings: Findings, words: Words, benchmark: Json, rows: dict[str, Json]) -> Panel:
    scale = Scale(percent=False, digits=4)
    chunks, tokens = (max(row[name] for row in rows.values()) for name in ("n_items", "n_tokens"))
    return Panel(
        name=benchmark["name"],
        title=benchmark_title(words, benchmark),
        subtitle=[
            f"n = {integer(chunks)} {words.say('チャンク', 'chunks')}, "
            f"{integer(tokens)} {words.say('トークン', 'tokens')}"
        ],
        axis_title=(
            words.say("平均KLD (nat/トークン)", "Mean KLD (nats/token)"),
            words.say("小さいほど良い", "lower is better"),
        ),
        higher_is_better=False,
        scale=scale,
        points=tuple(
            _point(findings, words, arm, rows[arm["name"]], scale) for arm in findings.arms if arm["name"] in rows
        ),
        missing=(),
    )


def _point(findings: Findings, words: Words, arm: Json, row: Json, scale: Scale) -> Point:
    low, high = row["ci95"] or (None, None)
    return Point(
        arm=arm["name"],
        label=arm_label(findings, words, arm),
        role=role_title(words, findings.role(arm)),
        size_bytes=arm["size_bytes"],
        mean=row["mean"],
        low=low,
        high=high,
        run_low=None,
        run_high=None,
        text=scale.value(row["mean"]),
    )
