"""Writes all documents of a results folder to files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from conf.faults import BadInput, Fault
from conf.files import write_bytes, write_text
from reporting.documents.card.publish import publish
from reporting.documents.markdown_files import methodology_markdown, report_html, report_markdown, to_html
from reporting.documents.view import make_view
from reporting.results_folder import read_findings
from reporting.wording import Lang, Words


@dataclass(frozen=True)
class DocumentPlaces:
    """The paths of the documents to write, and of the charts and files that they use."""

    charts_dir: Path
    methodology: Path
    report: Path
    """The Markdown file. The HTML file goes beside it."""
    scorecard: Path
    run_dir: Path
    """The run directory, which holds the GGUF files to publish."""
    publish: Path
    """The folder to upload, with the model card."""

    @classmethod
    def of_run(cls, run_dir: str | Path) -> DocumentPlaces:
        """Return the default places in a run directory."""
        root = Path(run_dir)
        return cls(
            charts_dir=root / "charts",
            methodology=root / "methodology" / "quantization_methodology.md",
            report=root / "reports" / "quantization_analysis_report.md",
            scorecard=root / "scorecards" / "quantization_evaluation.pdf",
            run_dir=root,
            publish=root / "publish",
        )


@dataclass(frozen=True)
class DocumentFiles:
    """What was written, and notices about what had to be left out."""

    paths: tuple[Path, ...]
    notices: tuple[str, ...]


def write_documents(
    results_path: str | Path, places: DocumentPlaces, lang: Lang, methodology_path: str | Path | None = None
) -> DocumentFiles:
    """Write the methodology, the analysis report (Markdown and HTML), the scorecard, and the folder to upload.

    Args:
        results_path: `.../evaluation_results/quantization_comparison.json`.
        places: where each document goes; `DocumentPlaces.of_run` for a run directory.
        lang: language of the documents.
        methodology_path: the user's own Markdown file to use in place of our methodology; None for ours.

    Raises:
        BadInput: the results or the methodology cannot be read, or Pango is not installed.
    """
    # Importing weasyprint loads Pango. A machine without Pango can do everything else, so import it only here.
    from reporting.documents.pdf.scorecard import scorecard_pdf

    findings = read_findings(results_path)
    own_methodology = None if methodology_path is None else _read_methodology(Path(methodology_path))
    view = make_view(findings, Words(lang), places.charts_dir)
    report = report_markdown(view)
    write_text(places.methodology, methodology_markdown(view) if own_methodology is None else own_methodology)
    write_text(places.report, report)
    html_path = places.report.with_suffix(".html")
    write_text(html_path, report_html(report, view.words))
    pdf = scorecard_pdf(view, places.charts_dir, None if own_methodology is None else to_html(own_methodology))
    write_bytes(places.scorecard, pdf)
    own_notices = view.notices[len(findings.comparison["notices"]) :]
    card = publish(findings, view, places.run_dir, places.charts_dir, places.publish)
    paths = (places.methodology, places.report, html_path, places.scorecard, *card.paths)
    return DocumentFiles(paths, (*own_notices, *card.notices))


def _read_methodology(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(Fault("--methodology", str(path), f"a readable Markdown file in UTF-8 ({error})")) from error
