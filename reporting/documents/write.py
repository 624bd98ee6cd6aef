"""All documents of a results folder, written to files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from conf.files import write_bytes, write_text
from reporting import file_names
from reporting.documents.card.publish import publish
from reporting.documents.markdown_files import methodology_markdown, report_html, report_markdown, to_html
from reporting.documents.requirements import read_methodology
from reporting.documents.view import make_view
from reporting.results_folder import read_findings
from reporting.wording import Lang, Words


@dataclass(frozen=True)
class DocumentPlaces:
    """Where the documents go, and where their charts are."""

    charts_dir: Path
    methodology: Path
    report: Path
    """The Markdown; the HTML lies beside it."""
    scorecard: Path
    run_dir: Path
    """Where the files that are published lie."""
    publish: Path
    """The folder with the model card."""

    @classmethod
    def of_run(cls, run_dir: str | Path) -> DocumentPlaces:
        """The places inside a run directory."""
        root = Path(run_dir)
        return cls(
            charts_dir=root / file_names.CHARTS,
            methodology=root / file_names.METHODOLOGY,
            report=root / file_names.REPORT,
            scorecard=root / file_names.SCORECARD,
            run_dir=root,
            publish=root / file_names.PUBLISH,
        )


@dataclass(frozen=True)
class DocumentFiles:
    """What was written, and what had to be left out."""

    paths: tuple[Path, ...]
    notices: tuple[str, ...]


def write_documents(
    results_path: str | Path, places: DocumentPlaces, lang: Lang, methodology_path: str | Path | None = None
) -> DocumentFiles:
    """Write methodology, analysis report (Markdown and HTML), scorecard, and the folder with the model card.

    Args:
        results_path: `.../evaluation_results/quantization_comparison.json`.
        places: where each goes; `DocumentPlaces.of_run` for a run directory.
        lang: language of the documents.
        methodology_path: a Markdown text of the user's in place of our methodology.

    Raises:
        BadInput: results or methodology cannot be read, or Pango is not on this machine.
    """
    # Imported here: weasyprint loads Pango as it is imported, and a machine without it can do everything else.
    from reporting.documents.pdf.scorecard import scorecard_pdf

    findings = read_findings(results_path)
    given = None if methodology_path is None else read_methodology(Path(methodology_path))
    view = make_view(findings, Words(lang), places.charts_dir)
    report = report_markdown(view)
    write_text(places.methodology, methodology_markdown(view) if given is None else given)
    write_text(places.report, report)
    html_path = places.report.with_suffix(".html")
    write_text(html_path, report_html(report, view.words))
    pdf = scorecard_pdf(view, places.charts_dir, None if given is None else to_html(given))
    write_bytes(places.scorecard, pdf)
    own_notices = view.notices[len(findings.comparison["notices"]) :]
    card = publish(findings, view, places.run_dir, places.charts_dir, places.publish)
    paths = (places.methodology, places.report, html_path, places.scorecard, *card.paths)
    return DocumentFiles(paths, (*own_notices, *card.notices))
