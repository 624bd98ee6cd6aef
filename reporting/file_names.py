"""Names of the files in a run directory that reporting reads or writes.

`actors.store` takes them from here, so each name stands in one place. This module imports nothing heavy, because
every process that touches a run directory loads it.
"""

from __future__ import annotations

from pathlib import Path

RESULTS_FOLDER = "evaluation_results"
COMPARISON = "quantization_comparison.json"
ANALYSIS = "statistical_analysis.json"

ARTIFACTS = "artifacts"
"""One folder per arm, with its GGUF."""
IMATRICES = "imatrix"
CHARTS = "charts"
METHODOLOGY = Path("methodology") / "quantization_methodology.md"
REPORT = Path("reports") / "quantization_analysis_report.md"
"""The Markdown report. The HTML report has the same name with `.html`."""
SCORECARD = Path("scorecards") / "quantization_evaluation.pdf"
PUBLISH = "publish"
"""The folder with the model card."""


def localized(stem: str, lang: str, wanted: str) -> str:
    """Return the stem of a file in one language: `stem_ja` and `stem_en` if both are wanted, else `stem` itself.

    Args:
        stem: the file's name without its suffix.
        lang: the language of this file, `ja` or `en`.
        wanted: what the user asked for: `ja`, `en` or `both`.
    """
    return f"{stem}_{lang}" if wanted == "both" else stem


def table(name: str) -> Path:
    """Return the place of a table, relative to the results folder."""
    return Path("report_data") / f"{name}.parquet"


ANSWERS = table("answers")
IMPORTANCE = table("importance")
LOSSES = table("losses")
