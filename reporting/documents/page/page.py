"""Puts the report page together: verdict box, contents, report, folded methodology, and all that they need.

The page works from disk and in a sandboxed frame, without a network. Its Content-Security-Policy allows only what is
inside: pictures and fonts as `data:` addresses, one style sheet, and two scripts, each named by its hash. So no text in
the page could run as a script even if it were not escaped. Without JavaScript, charts are pictures and tables keep
their order.
"""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import Any

from markdown import Markdown
from markdown.extensions.tables import TableExtension
from markdown.extensions.toc import TocExtension
from markdown.inlinepatterns import SubstituteTagInlineProcessor
from markupsafe import Markup

from conf.files import exists
from reporting.documents.engine import TEMPLATES, html_environment
from reporting.documents.inside_page import content_policy, script_json
from reporting.documents.markdown_files import report_body_markdown
from reporting.documents.page.bundle import vega_bundle
from reporting.documents.page.parts import PartsOfPage, Picture
from reporting.documents.view import View
from reporting.fonts import FAMILY, font_faces


def report_html(view: View, methodology: str, charts_dir: Path) -> str:
    """Return the page.

    Args:
        view: the findings.
        methodology: the methodology in Markdown. HTML in it is shown as text.
        charts_dir: the folder of the charts: `<stem>.svg` or `<stem>.png`, and `<stem>.vl.json` if the page can
            draw it.
    """
    specs = _specifications(view, charts_dir)
    ids = {stem: f"spec-{place}" for place, stem in enumerate(specs, 1)}
    pictures = {
        figure.stem: Picture(_data_address(charts_dir / f"{figure.stem}.png"), ids.get(figure.stem))
        for figure in (*view.figures, *view.importance_figures)
    }
    body = _converter("s", pictures)
    texts = {
        "body": Markup(body.convert(report_body_markdown(view))),
        "methodology": Markup(_converter("m", {}, base_level=3).convert(methodology)),
    }
    contents = [(one["id"], html.unescape(one["name"])) for one in vars(body)["toc_tokens"]]
    title = view.words.say("量子化の分析報告", "Quantization analysis report")
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    bundle = vega_bundle() if specs else ""
    template = html_environment().get_template("report.html.j2")
    # The page is rendered twice: its letters decide which glyphs are embedded, and those are part of the style.
    parts = {
        "v": view,
        "w": view.words,
        "title": title,
        "contents": contents,
        "specs": [(ids[stem], Markup(text)) for stem, text in specs.items()],
        "script": Markup(script),
        "bundle": Markup(bundle),
        **texts,
    }
    shown = template.render(**parts, style="", policy="")
    style = _style(html.unescape(shown))
    policy = content_policy(style, [script, bundle] if specs else [script])
    return template.render(**parts, style=Markup(style), policy=policy)


def _converter(anchor: str, pictures: dict[str, Picture], base_level: int = 1) -> Markdown:
    """Return a converter of Markdown that shows HTML as text, except for line breaks.

    Anchors are `anchor` with a number, and headings begin at `base_level`.
    """
    contents = TocExtension(toc_depth="2-2", baselevel=base_level, slugify=lambda _text, _separator: anchor)
    # Without this, the alignment would be an inline style, which the page's policy forbids.
    tables = TableExtension(use_align_attribute=True)
    converter = Markdown(extensions=[tables, contents, PartsOfPage(pictures)], output_format="html")
    converter.preprocessors.deregister("html_block")
    converter.inlinePatterns.deregister("html")
    converter.inlinePatterns.register(SubstituteTagInlineProcessor("<br>", "br"), "line_break", 90)
    return converter


def _specifications(view: View, charts_dir: Path) -> dict[str, str]:
    """Return the Vega-Lite specification of each figure that has one, as JSON that can stand in a script element."""
    paths = {figure.stem: charts_dir / f"{figure.stem}.vl.json" for figure in (*view.figures, *view.importance_figures)}
    found = {}
    for stem, path in paths.items():
        spec = _read_specification(path)
        if spec is not None:
            found[stem] = script_json(spec)
    return found


def _read_specification(path: Path) -> Any:
    """Return the content of a specification; None if it is missing or damaged. The page then shows the picture only."""
    if not exists(path):
        return None
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None


def _data_address(chart: Path) -> str:
    """Return a chart as a `data:` address: its SVG, which is small and sharp, else its PNG."""
    svg = chart.with_suffix(".svg")
    path, kind = (svg, "svg+xml") if exists(svg) else (chart, "png")
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _style(text: str) -> str:
    """Return the style sheet, with the letters of the page embedded."""
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return f"\n{font_faces(text + css, bold=True)}\n{css.replace('FAMILY', FAMILY)}"
