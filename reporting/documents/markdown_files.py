"""Methodology and analysis report: Markdown out of templates, and the report's HTML out of that Markdown."""

from __future__ import annotations

import html

import markdown
from markupsafe import Markup

from reporting.documents.engine import html_environment, markdown_environment
from reporting.documents.view import View
from reporting.fonts import FAMILY, font_faces
from reporting.wording import Words


def methodology_markdown(view: View) -> str:
    """The methodology document."""
    return _rendered("methodology.md.j2", view)


def report_markdown(view: View) -> str:
    """The analysis report; charts are linked as `../charts/NAME.png`."""
    return _rendered("report.md.j2", view)


def limits_html(view: View) -> Markup:
    """The section on limits, for the scorecard."""
    return to_html(_rendered("limits.md.j2", view))


def report_html(report: str, words: Words) -> str:
    """The report as a page of its own that runs no script and loads nothing but its charts."""
    template = html_environment().get_template("report.html.j2")
    title = words.say("量子化の分析報告", "Quantization analysis report")
    body = to_html(report)
    faces = Markup(font_faces(html.unescape(body), bold=True))
    return template.render(w=words, title=title, family=FAMILY, faces=faces, body=body)


def to_html(text: str) -> Markup:
    """Markdown, whose foreign text is inert already, as HTML."""
    return Markup(markdown.markdown(text, extensions=["tables"], output_format="html"))


def _rendered(template: str, view: View) -> str:
    text = markdown_environment().get_template(template).render(v=view, w=view.words)
    lines = [line.rstrip() for line in text.strip().split("\n")]
    # Conditional blocks of templates leave runs of empty lines.
    kept = [line for place, line in enumerate(lines) if line or (place and lines[place - 1])]
    return "\n".join(kept) + "\n"
