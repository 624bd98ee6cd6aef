"""The scorecard: an A4 PDF in the style of a paper, with embedded fonts.

weasyprint gets a fetcher that serves our fonts, our formulas and this run's charts under our own names. It refuses
every other address, so no text in the document can make weasyprint read a file or open a network connection.
"""

from __future__ import annotations

import logging
from pathlib import Path

from markupsafe import Markup

from conf.faults import BadInput
from reporting.documents.engine import TEMPLATES, html_environment
from reporting.documents.markdown_files import limits_html
from reporting.documents.pdf.formulas import FORMULAS, formula_svg
from reporting.documents.requirements import PANGO_IS_MISSING
from reporting.documents.view import View
from reporting.fonts import find_fonts

try:
    from weasyprint import CSS, HTML
    from weasyprint.text.fonts import FontConfiguration
    from weasyprint.urls import URLFetcher, URLFetcherResponse
except OSError as error:  # weasyprint loads Pango while it is imported
    raise BadInput(PANGO_IS_MISSING) from error

_SCHEME = "assay:"
_FORMULA = "formula/"


class _RunFilesOnly(URLFetcher):  # type: ignore[misc]
    """Serves the given files and our formulas by name, and nothing else."""

    def __init__(self, files: dict[str, Path]) -> None:
        super().__init__(allowed_protocols=())
        self._files = files

    def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:
        """Return the file behind `assay:NAME`. Raise ValueError for every other address."""
        name = url.removeprefix(_SCHEME) if url.startswith(_SCHEME) else ""
        formula = name.removeprefix(_FORMULA)
        if name.startswith(_FORMULA) and formula in FORMULAS:
            return URLFetcherResponse(url, formula_svg(formula), {"Content-Type": "image/svg+xml"})
        path = self._files.get(name)
        if path is None:
            raise ValueError("the scorecard may only load files of this run")
        return URLFetcherResponse(url, path.read_bytes())


def scorecard_pdf(view: View, charts_dir: Path, methodology: Markup | None) -> bytes:
    """Return the PDF.

    Args:
        view: the findings.
        charts_dir: the folder with the charts of `view.figures`.
        methodology: the user's own text on methods, as HTML; None for ours.
    """
    html = scorecard_html(view, methodology)
    fonts = find_fonts()
    files = {"font/regular": fonts.regular, "font/bold": fonts.bold}
    files |= {f"chart/{figure.stem}": charts_dir / f"{figure.stem}.png" for figure in view.figures}
    fetcher = _RunFilesOnly(files)
    for name in ("weasyprint", "fontTools"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    configuration = FontConfiguration()
    style = CSS(
        string=(TEMPLATES / "scorecard.css").read_text(encoding="utf-8"), url_fetcher=fetcher, font_config=configuration
    )
    document = HTML(string=html, url_fetcher=fetcher)
    pdf: bytes = document.write_pdf(stylesheets=[style], font_config=configuration, pdf_tags=True)
    return pdf


def scorecard_html(view: View, methodology: Markup | None) -> str:
    """Return the HTML page that the PDF is made from."""
    words = view.words
    models = ", ".join(str(model["name"]) for model in view.comparison["models"])
    title = f"{words.say('量子化の評価', 'Evaluation of quantizations')}: {models}"
    template = html_environment().get_template("scorecard.html.j2")
    return template.render(
        v=view, w=words, title=title, methodology=methodology, limits=limits_html(view), formulas=FORMULAS
    )
