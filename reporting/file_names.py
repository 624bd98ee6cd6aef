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
SIDE_BY_SIDE = Path("reports") / "answers_side_by_side.html"
SCORECARD = Path("scorecards") / "quantization_evaluation.pdf"
"""Documents have these names if one language is wanted. If both are, `in_languages` gives their names."""
PUBLISH = "publish"
"""The folder with the model card."""
PUBLISHING = "PUBLISHING.md"
"""Beside that folder: what its publisher has to know, in the languages of the card."""


def localized(stem: str, lang: str, wanted: str) -> str:
    """Return the stem of a file in one language: `stem_ja` and `stem_en` if both are wanted, else `stem` itself.

    Args:
        stem: the file's name without its suffix.
        lang: the language of this file, `ja` or `en`.
        wanted: what the user asked for: `ja`, `en` or `both`.
    """
    return f"{stem}_{lang}" if wanted == "both" else stem


def in_language(path: Path, lang: str, wanted: str) -> Path:
    """Return the place of a file in one language (see `localized`)."""
    return path.with_name(f"{localized(path.stem, lang, wanted)}{path.suffix}")


def in_languages(path: Path, wanted: str) -> tuple[Path, ...]:
    """Return the places of a file in the wanted languages: one, or two if `wanted` is `both`."""
    languages = ("ja", "en") if wanted == "both" else (wanted,)
    return tuple(in_language(path, lang, wanted) for lang in languages)


def table(name: str) -> Path:
    """Return the place of a table, relative to the results folder."""
    return Path("report_data") / f"{name}.parquet"


ANSWERS = table("answers")
ANSWER_STYLE = table("answer_style")
IMPORTANCE = table("importance")
LOSSES = table("losses")
QUESTIONS = table("questions")
JUDGEMENTS = table("judgements")
ALL_ANSWERS = Path(RESULTS_FOLDER) / "answers.parquet"
"""The table of all generated answers with their questions, for readers. The same as `.csv` is beside it."""
