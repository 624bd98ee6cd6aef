"""Draw all charts of a results folder to files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reporting.charts.categories import categories_chart
from reporting.charts.difference import difference_chart
from reporting.charts.divergence import divergence_chart
from reporting.charts.efficiency import efficiency_chart, speed_chart
from reporting.charts.grid import PREFIX, grid_chart, grid_languages
from reporting.charts.heatmap import heatmap_chart
from reporting.charts.importance import importance_chart
from reporting.charts.lengths import lengths_chart
from reporting.charts.losses import losses_chart
from reporting.charts.performance import performance_chart
from reporting.charts.style import AnyChart, render, source_lines
from reporting.results_folder import Findings, read_findings
from reporting.wording import Lang, Words

PERFORMANCE = "quantization_performance"
EFFICIENCY = "quantization_efficiency"
DIFFERENCE = "quantization_difference"
_OPTIONAL: dict[str, tuple[Callable[[Findings, Words], AnyChart | None], str]] = {
    DIFFERENCE: (difference_chart, "No arm was compared with a reference, so the chart of differences is left out."),
    "quantization_heatmap": (heatmap_chart, ""),
    "quantization_categories": (categories_chart, ""),
    "quantization_divergence": (
        divergence_chart,
        "No divergence from a reference was measured, so the chart of divergence against size is left out.",
    ),
    "quantization_speed": (
        speed_chart,
        "Memory and time per token were not measured, so their chart against performance is left out.",
    ),
    "quantization_error_by_layer": (losses_chart, ""),
    "answer_lengths": (lengths_chart, ""),
}
"""File name -> the function that draws the chart, and the notice if it draws nothing (empty: no notice)."""


@dataclass(frozen=True)
class ChartFiles:
    """The files that were drawn, and notices about charts that were left out."""

    paths: tuple[Path, ...]
    notices: tuple[str, ...]


def draw_charts(
    results_path: str | Path,
    output_dir: str | Path,
    lang: Lang,
    performance_name: str = PERFORMANCE,
    *,
    plain_bars: bool = False,
) -> ChartFiles:
    """Draw every chart as PNG and SVG.

    Args:
        results_path: `.../evaluation_results/quantization_comparison.json`.
        output_dir: the folder for the files. It is created if it is missing.
        lang: language of the text in the charts.
        performance_name: file name, without suffix, of the performance chart.
        plain_bars: draw 1.96 sigma/sqrt(n) in the performance chart, in place of the intervals of the statistics.

    Raises:
        BadInput: the results cannot be read.
    """
    findings = read_findings(results_path)
    words = Words(lang)
    folder = Path(output_dir)
    performance = performance_chart(findings, words, plain_bars=plain_bars)
    paths = render(performance, folder / f"{performance_name}.png")
    paths += render(efficiency_chart(findings, words), folder / f"{EFFICIENCY}.png")
    notices = list(findings.notices)
    for name, (make, missing) in _OPTIONAL.items():
        chart = make(findings, words)
        if chart is not None:
            paths += render(chart, folder / f"{name}.png")
        # If the analysis is missing, a notice says so already.
        elif missing and (name != DIFFERENCE or findings.analysis is not None):
            notices.append(missing)
    for language in grid_languages(findings):
        chart = grid_chart(findings, words, language)
        if chart is not None:
            paths += render(chart, folder / f"{PREFIX}{language}.png")
    for matrix in findings.matrices:
        importance = importance_chart(findings.importance_of(matrix), source_lines(findings, words)[:1], words)
        if importance is not None:
            paths += render(importance, folder / f"{importance_name(matrix)}.png")
    return ChartFiles(tuple(paths), tuple(notices))


def importance_name(matrix: str) -> str:
    """Return the file name, without suffix, of an importance matrix's chart: `large~en` gives `importance_large-en`."""
    return "importance_" + re.sub(r"[^A-Za-z0-9_.-]", "-", matrix)
