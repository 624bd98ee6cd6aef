"""Methodology and analysis report: Markdown from templates, and the report's HTML from that Markdown."""

from __future__ import annotations

import html

import markdown
from markupsafe import Markup

from reporting.documents.engine import html_environment, markdown_environment
from reporting.documents.view import View
from reporting.fonts import FAMILY, font_faces
from reporting.wording import Words


def methodology_markdown(view: View) -> str:
    """Return the methodology document."""
    return _rendered("methodology.md.j2", view)


def report_markdown(view: View) -> str:
    """Return the analysis report. Charts are linked as `../charts/NAME.png`."""
    return _rendered("report.md.j2", view)


def limits_html(view: View) -> Markup:
    """Return the section on limits, for the scorecard."""
    return to_html(_rendered("limits.md.j2", view))


def report_html(report: str, words: Words) -> str:
    """Return the report as a standalone page that runs no script and loads only its charts."""
    template = html_environment().get_template("report.html.j2")
    title = words.say("量子化の分析報告", "Quantization analysis report")
    body = to_html(report)
    faces = Markup(font_faces(html.unescape(body), bold=True))
    return template.render(w=words, title=title, family=FAMILY, faces=faces, body=body)


def to_html(text: str) -> Markup:
    """Convert Markdown to HTML. Text from outside must already be inert."""
    return Markup(markdown.markdown(text, extensions=["tables"], output_format="html"))


def _rendered(template: str, view: View) -> str:
    text = markdown_environment().get_template(template).render(v=view, w=view.words)
    lines = [line.rstrip() for line in text.strip().split("\n")]
    # Conditional blocks of templates leave several empty lines in a row.
    kept = [line for place, line in enumerate(lines) if line or (place and lines[place - 1])]
    return "\n".join(kept) + "\n"
