"""Draw all charts of a results folder to files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from altair.utils import schemapi

from conf.schema.pipeline import Language
from reporting.charts.answer_styles import answer_styles_chart
from reporting.charts.categories import categories_chart
from reporting.charts.difference import difference_chart
from reporting.charts.divergence import divergence_chart
from reporting.charts.efficiency import efficiency_chart, memory_chart, speed_chart
from reporting.charts.grid import PREFIX, grid_chart, grid_languages
from reporting.charts.heatmap import heatmap_chart
from reporting.charts.importance import importance_chart
from reporting.charts.length_shifts import length_shifts_chart
from reporting.charts.lengths import lengths_chart
from reporting.charts.losses import losses_chart
from reporting.charts.models import models_chart, models_cost_chart
from reporting.charts.performance import performance_chart
from reporting.charts.render import render
from reporting.charts.style import Specification, models_text
from reporting.charts.thoughts import thoughts_chart
from reporting.charts.verdict import verdict_chart
from reporting.file_names import localized
from reporting.notices import Notice
from reporting.results_folder import Findings, read_findings
from reporting.wording import Words, languages

VERDICT = "quantization_verdict"
PERFORMANCE = "quantization_performance"
EFFICIENCY = "quantization_efficiency"
DIFFERENCE = "quantization_difference"
_OPTIONAL: dict[str, tuple[Callable[[Findings, Words], Specification | None], str]] = {
    VERDICT: (verdict_chart, ""),
    DIFFERENCE: (difference_chart, "differences_not_drawn"),
    "quantization_heatmap": (heatmap_chart, ""),
    "models": (models_chart, ""),
    "models_memory_and_speed": (models_cost_chart, ""),
    "quantization_categories": (categories_chart, ""),
    "quantization_divergence": (
        divergence_chart,
        "divergence_not_drawn",
    ),
    "quantization_memory": (
        memory_chart,
        "memory_not_drawn",
    ),
    "quantization_speed": (
        speed_chart,
        "speed_not_drawn",
    ),
    "quantization_error_by_layer": (losses_chart, ""),
    "answer_lengths": (lengths_chart, ""),
    "answer_length_shifts": (length_shifts_chart, ""),
    "answer_styles": (answer_styles_chart, ""),
    "thought_lengths": (thoughts_chart, ""),
}
"""File name -> the function that draws the chart, and the code of the notice if it draws nothing (empty: none)."""


@dataclass(frozen=True)
class ChartFiles:
    """The files that were drawn, and notices about charts that were left out."""

    paths: tuple[Path, ...]
    notices: tuple[str, ...]


def draw_charts(
    results_path: str | Path,
    output_dir: str | Path,
    lang: Language,
    performance_name: str = PERFORMANCE,
    *,
    plain_bars: bool = False,
) -> ChartFiles:
    """Draw every chart as PNG and SVG, and write its Vega-Lite specification beside it.

    Args:
        results_path: `.../evaluation_results/quantization_comparison.json`.
        output_dir: the folder for the files. It is created if it is missing.
        lang: language of the text in the charts. `both`: each chart is drawn once in Japanese and once in English.
        performance_name: file name, without suffix and language, of the performance chart.
        plain_bars: draw 1.96 sigma/sqrt(n) in the performance chart, in place of the intervals of the statistics.

    Raises:
        BadInput: the results cannot be read.
    """
    findings = read_findings(results_path)
    folder = Path(output_dir)
    paths: list[Path] = []
    missing: list[Notice] = []
    for one in languages(lang):
        words = Words(one)
        charts, missing = charts_of(findings, words, plain_bars=plain_bars)
        charts[performance_name] = charts.pop(PERFORMANCE)
        for name, chart in charts.items():
            paths += render(chart, folder / f"{localized(name, one, lang)}.png")
    return ChartFiles(tuple(paths), (*findings.notices, *missing))


def charts_of(
    findings: Findings, words: Words, *, plain_bars: bool = False
) -> tuple[dict[str, Specification], list[Notice]]:
    """Return the charts in one language by their names, and notices about those that are left out."""
    with schemapi.debug_mode(False):  # altair would check each part while it is made; see `layout.figure`
        return _charts_of(findings, words, plain_bars=plain_bars)


def _charts_of(findings: Findings, words: Words, *, plain_bars: bool) -> tuple[dict[str, Specification], list[Notice]]:
    charts = {
        PERFORMANCE: performance_chart(findings, words, plain_bars=plain_bars),
        EFFICIENCY: efficiency_chart(findings, words),
    }
    notices = []
    for name, (make, missing) in _OPTIONAL.items():
        chart = make(findings, words)
        if chart is not None:
            charts[name] = chart
        # If the analysis is missing, a notice says so already.
        elif missing and (name != DIFFERENCE or findings.analysis is not None):
            notices.append(Notice(missing))
    for language in grid_languages(findings):
        grid = grid_chart(findings, words, language)
        if grid is not None:
            charts[f"{PREFIX}{language}"] = grid
    for matrix in findings.matrices:
        importance = importance_chart(findings.importance_of(matrix), models_text(findings, words), words)
        if importance is not None:
            charts[importance_name(matrix)] = importance
    return charts, notices


def importance_name(matrix: str) -> str:
    """Return the file name, without suffix, of an importance matrix's chart: `large~en` gives `importance_large-en`."""
    return "importance_" + re.sub(r"[^A-Za-z0-9_.-]", "-", matrix)
