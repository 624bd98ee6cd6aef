"""Writes all documents of a results folder to files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from conf.files import write_bytes, write_text
from conf.schema.pipeline import Language
from reporting import file_names
from reporting.documents.card.publish import publish
from reporting.documents.markdown_files import methodology_markdown, report_markdown, to_html
from reporting.documents.page.page import report_html
from reporting.documents.requirements import read_methodology
from reporting.documents.side_by_side.write import write_side_by_side
from reporting.documents.view import View, make_view
from reporting.file_names import in_language
from reporting.results_folder import read_findings
from reporting.wording import Words, languages


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
    side_by_side: Path
    """The page with all answers side by side."""
    all_answers: Path
    """The table of all answers as Parquet. The same as CSV goes beside it."""

    @classmethod
    def of_run(cls, run_dir: str | Path) -> DocumentPlaces:
        """Return the default places in a run directory."""
        root = Path(run_dir)
        return cls(
            charts_dir=root / file_names.CHARTS,
            methodology=root / file_names.METHODOLOGY,
            report=root / file_names.REPORT,
            scorecard=root / file_names.SCORECARD,
            run_dir=root,
            publish=root / file_names.PUBLISH,
            side_by_side=root / file_names.SIDE_BY_SIDE,
            all_answers=root / file_names.ALL_ANSWERS,
        )


@dataclass(frozen=True)
class DocumentFiles:
    """What was written, and notices about what had to be left out."""

    paths: tuple[Path, ...]
    notices: tuple[str, ...]


def write_documents(
    results_path: str | Path, places: DocumentPlaces, lang: Language, methodology_path: str | Path | None = None
) -> DocumentFiles:
    """Write methodology, analysis report (Markdown and HTML) and scorecard per language, and the folder to upload.

    If the run has generated answers, the page and the tables with all of them are written, too.

    Args:
        results_path: `.../evaluation_results/quantization_comparison.json`.
        places: where each document goes; `DocumentPlaces.of_run` for a run directory.
        lang: the wanted languages. If both are wanted, each file has its language in its name.
        methodology_path: the user's own Markdown file to use in place of our methodology; None for ours.

    Raises:
        BadInput: the results or the methodology cannot be read, or Pango is not installed.
    """
    findings = read_findings(results_path)
    own_methodology = None if methodology_path is None else read_methodology(Path(methodology_path))
    paths = write_side_by_side(findings.comparison, results_path, places.all_answers, places.side_by_side, lang)
    views = [make_view(findings, Words(one), places.charts_dir, lang) for one in languages(lang)]
    if paths:
        views = [replace(view, side_by_side=in_language(places.side_by_side, view.words.lang, lang)) for view in views]
    for view in views:
        paths += _write_in_one_language(view, places, lang, own_methodology)
    own_notices = [one for view in views for one in view.own_notices]
    card = publish(findings, views, places.run_dir, places.charts_dir, places.publish)
    return DocumentFiles((*paths, *card.paths), (*dict.fromkeys(own_notices), *card.notices))


def _write_in_one_language(
    view: View, places: DocumentPlaces, wanted: Language, own_methodology: str | None
) -> list[Path]:
    """Write the documents of one language, and return their paths."""
    # Importing weasyprint loads Pango. A machine without Pango can do everything else, so import it only here.
    from reporting.documents.pdf.scorecard import scorecard_pdf

    def place(path: Path) -> Path:
        return in_language(path, view.words.lang, wanted)

    methodology = methodology_markdown(view) if own_methodology is None else own_methodology
    texts = {
        place(places.methodology): methodology,
        place(places.report): report_markdown(view),
        place(places.report.with_suffix(".html")): report_html(view, methodology, places.charts_dir),
    }
    for path, text in texts.items():
        write_text(path, text)
    own_page = None if own_methodology is None else to_html(own_methodology)
    write_bytes(place(places.scorecard), scorecard_pdf(view, places.charts_dir, own_page))
    return [*texts, place(places.scorecard)]
