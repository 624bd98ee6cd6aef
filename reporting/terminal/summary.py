"""The summary that the pipeline prints at its end: plain text, in English, at most 80 columns wide.

It has one section for the arms of each model and one per benchmark. An interval without its n is misleading, and the
intervals and counts of all benchmarks do not fit side by side. All numbers come from the two result files. Names are
shortened, and control characters are replaced, so that a name from a model file cannot control the terminal. The
verdict is not here: it has a box of its own (`box`), which is printed below, where the eye is when a job ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.terminal.arms_section import arms_section
from reporting.terminal.benchmark_section import benchmark_section
from reporting.terminal.grid_table import grid_section
from reporting.terminal.judging_lines import judging_lines
from reporting.terminal.layout import short_name, wrapped
from reporting.terminal.verdict_section import verdict_section


def summary_table(comparison: Mapping[str, Any], analysis: Mapping[str, Any]) -> str:
    """Return the summary of both result files, without a line end after the last line.

    Args:
        comparison: `quantization_comparison.json`.
        analysis: `statistical_analysis.json`.
    """
    sections = [arms_section(comparison)]
    for benchmark in comparison["benchmarks"]:
        others = [row for row in analysis.get("score_comparisons", ()) if row["benchmark"] == benchmark["name"]]
        section = benchmark_section(benchmark, comparison["results"], analysis["comparisons"], others)
        judged = (entry for entry in analysis.get("judging", ()) if entry["benchmark"] == benchmark["name"])
        sections.append("\n".join([section, *judging_lines(next(judged, None))]))
    sections += [grid_section(grid) for grid in analysis.get("factorial", []) if "contrasts" in grid]
    sections.append(
        wrapped(
            "Brackets: 95% intervals, with the benchmark as a sample of questions. diff: arm minus reference, over"
            " items scored in both (pp: percentage points). runs: 1.96 sigma/sqrt(runs), sampling noise only. n: scored"
            " items. verdict: on this benchmark, by the margin." + _noise_floor_words(comparison),
        )
    )
    if analysis.get("verdicts"):
        sections.append(verdict_section(analysis))
    return "\n\n".join(sections)


def _noise_floor_words(comparison: Mapping[str, Any]) -> str:
    """Return a sentence that explains the A/A arms; nothing if there are none."""
    names = [short_name(arm["name"]) for arm in comparison["arms"] if arm["name"].endswith(AA_SUFFIX)]
    return f" {', '.join(names)}: the reference in another batch layout (the noise floor)." if names else ""
