"""Divergence from the reference against file size: mean Kullback-Leibler divergence per token, on each text.

Divergence shows small changes that do not yet change any answer. It has no margin and no verdict.
"""

from __future__ import annotations

import math

from reporting.charts.efficiency import size_cost
from reporting.charts.layout import figure
from reporting.charts.points import Panel, Point, arm_label, in_brackets
from reporting.charts.scatter import scatter_panels
from reporting.charts.style import Specification, colours, models_text, role_title
from reporting.results_folder import Findings, Json
from reporting.wording import Scale, Words, benchmark_title, integer

KLD = "kld"


def divergence_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart, one panel per text; None if nothing was measured or no arm has a file size."""
    wanted = [
        _panel(findings, words, benchmark, rows)
        for benchmark in findings.benchmarks
        if (rows := _rows(findings, benchmark["name"]))
    ]
    drawn, columns = scatter_panels(wanted, size_cost(findings, words), colours(findings), words, {})
    if not drawn:
        return None
    title = words.say("基準からの乖離とファイルサイズ", "Divergence from the reference against file size")
    models = models_text(findings, words)
    subtitle = [
        words.say(
            f"{models}: 1トークンあたりの平均KLダイバージェンス",
            f"{models}: mean KL divergence per token from the reference",
        ),
        words.say(
            "縦線: 95%信頼区間。n は各パネルに示す。",
            "Bars: 95% interval. n stands above each panel.",
        ),
    ]
    return figure(drawn, title, subtitle, columns=columns)


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
        subtitle=f"n = {integer(chunks)} {words.say('チャンク', 'chunks')}, "
        f"{integer(tokens)} {words.say('トークン', 'tokens')}",
        axis_title=in_brackets(
            words,
            words.say("平均KLD、nat/トークン", "Mean KLD, nats/token"),
            words.say("小さいほど良い", "lower is better"),
        ),
        possible=(0.0, math.inf),
        higher_is_better=False,
        scale=scale,
        points=tuple(
            _point(findings, words, arm, rows[arm["name"]], scale) for arm in findings.arms if arm["name"] in rows
        ),
        labels=tuple(arm_label(findings, words, arm) for arm in findings.arms if arm["name"] in rows),
    )


def _point(findings: Findings, words: Words, arm: Json, row: Json, scale: Scale) -> Point:
    low, high = row["ci95"] or (None, None)
    return Point(
        arm=arm["name"],
        label=arm_label(findings, words, arm),
        role=role_title(words, findings.role(arm)),
        mean=row["mean"],
        low=low,
        high=high,
        run_low=None,
        run_high=None,
        value=scale.value(row["mean"]),
        interval=scale.interval(row["ci95"]),
        n=integer(row["n_items"]),
    )
