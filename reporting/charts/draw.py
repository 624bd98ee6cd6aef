"""All charts of a results folder, drawn to files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from reporting.charts.difference import difference_chart
from reporting.charts.efficiency import efficiency_chart
from reporting.charts.importance import importance_chart
from reporting.charts.performance import performance_chart
from reporting.charts.style import render, source_lines
from reporting.findings import read_findings
from reporting.wording import Lang, Words

PERFORMANCE = "quantization_performance"
EFFICIENCY = "quantization_efficiency"
DIFFERENCE = "quantization_difference"


@dataclass(frozen=True)
class ChartFiles:
    """What was drawn, and what could not be."""

    paths: tuple[Path, ...]
    notices: tuple[str, ...]


def draw_charts(
    results_path: str | Path, output_dir: str | Path, lang: Lang, performance_name: str = PERFORMANCE
) -> ChartFiles:
    """Draw every chart as PNG and SVG.

    Args:
        results_path: `.../evaluation_results/quantization_comparison.json`.
        output_dir: where the files go; made where it is missing.
        lang: language of the text in the charts.
        performance_name: file name, without suffix, of the performance chart.

    Raises:
        BadInput: the results cannot be read.
    """
    findings = read_findings(results_path)
    words = Words(lang)
    folder = Path(output_dir)
    paths = render(performance_chart(findings, words), folder / f"{performance_name}.png")
    paths += render(efficiency_chart(findings, words), folder / f"{EFFICIENCY}.png")
    notices = list(findings.notices)
    difference = difference_chart(findings, words)
    if difference is not None:
        paths += render(difference, folder / f"{DIFFERENCE}.png")
    elif findings.analysis is not None:
        notices.append("No arm could be compared with a reference: the chart of differences is left out.")
    for matrix in findings.matrices:
        importance = importance_chart(findings.importance_of(matrix), source_lines(findings, words)[:1], words)
        if importance is not None:
            paths += render(importance, folder / f"{importance_name(matrix)}.png")
    return ChartFiles(tuple(paths), tuple(notices))


def importance_name(matrix: str) -> str:
    """File name, without suffix, of the chart of an importance matrix: `large~en` is `importance_large-en`."""
    return "importance_" + re.sub(r"[^A-Za-z0-9_.-]", "-", matrix)
