"""Methodology and analysis report in Markdown, made from templates."""

from __future__ import annotations

import markdown
from markupsafe import Markup

from reporting.documents.engine import markdown_environment
from reporting.documents.view import View


def methodology_markdown(view: View) -> str:
    """Return the methodology document."""
    return _rendered("methodology.md.j2", view)


def report_markdown(view: View) -> str:
    """Return the analysis report. Charts are linked as `../charts/NAME.png`."""
    return _rendered("report.md.j2", view)


def report_body_markdown(view: View) -> str:
    """Return the analysis report below its verdict box."""
    return _rendered("report_body.md.j2", view)


def limits_html(view: View) -> Markup:
    """Return the section on limits, for the scorecard."""
    return to_html(_rendered("limits.md.j2", view))


def to_html(text: str) -> Markup:
    """Convert Markdown to HTML. Text from outside must already be inert."""
    return Markup(markdown.markdown(text, extensions=["tables"], output_format="html"))


def _rendered(template: str, view: View) -> str:
    text = markdown_environment().get_template(template).render(v=view, w=view.words)
    lines = [line.rstrip() for line in text.strip().split("\n")]
    # Conditional blocks of templates leave several empty lines in a row.
    kept = [line for place, line in enumerate(lines) if line or (place and lines[place - 1])]
    return "\n".join(kept) + "\n"
