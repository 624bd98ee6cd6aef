"""One look for all charts: palette, shapes, fonts and the rendering to files.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), told apart with every kind of colour
vision; shape says the same as colour, so that prints in grey can be read too. What is drawn is left to the
modules of each chart.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any, Final

import altair as alt
import vl_convert

from conf.files import write_bytes, write_text
from reporting.escape import one_line
from reporting.fonts import FAMILY, find_fonts, font_faces
from reporting.results_folder import Findings, Json, Role
from reporting.wording import Words

AnyChart = alt.Chart | alt.LayerChart | alt.ConcatChart | alt.VConcatChart
Panelled = alt.LayerChart | alt.FacetChart

BLACK: Final = "#000000"
PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY: Final = "#767676"
PANEL_WIDTH_PX: Final = 330
RESOLUTION_PPI: Final = 216
"""Three device pixels a CSS pixel: over 200 dots an inch where a figure is as wide as an A4 column."""

_SHAPES: Final[dict[Role, str]] = {"reference": "diamond", "compared": "circle", "alone": "square"}
_ROLES: Final[dict[Role, tuple[str, str]]] = {
    "reference": ("基準", "reference"),
    "compared": ("基準と比較", "compared"),
    "alone": ("比較なし", "not compared"),
}


def role_title(words: Words, role: Role) -> str:
    """What an arm is, in words."""
    return words.say(*_ROLES[role])


def shape_encoding(words: Words) -> alt.Shape:
    """Shape by role: the same in every chart."""
    scale = alt.Scale(domain=[role_title(words, role) for role in _SHAPES], range=list(_SHAPES.values()))
    return alt.Shape("role:N", scale=scale, legend=None)


def colours(findings: Findings) -> dict[str, str]:
    """Arm name -> colour: references black; other arms by their model, so that one model is one colour."""
    models = [model["name"] for model in findings.models]
    palette: dict[str, str] = {}
    for arm in findings.arms:
        place = models.index(arm["model"]) if arm["model"] in models else len(models)
        palette[arm["name"]] = BLACK if findings.role(arm) == "reference" else PALETTE[place % len(PALETTE)]
    return palette


def configured(chart: AnyChart) -> Json:
    """The chart's Vega-Lite specification with our look."""
    font = f"{FAMILY}, sans-serif"
    chart = chart.configure(font=font, background="white", padding=14)
    chart = chart.configure_view(stroke="#D0D0D0")
    chart = chart.configure_axis(
        labelFontSize=11, titleFontSize=11, titleFontWeight="normal", gridColor="#ECECEC", labelLimit=240
    )
    chart = chart.configure_title(
        anchor="start", fontSize=13, subtitleFontSize=11, subtitleColor="#444444", subtitlePadding=5
    )
    return dict(chart.to_dict())


def to_svg(chart: AnyChart) -> str:
    """The chart as SVG, its text still in need of the font."""
    _register_fonts()
    # No address may be fetched while rendering: the data stand in the specification.
    return _renumbered(str(vl_convert.vegalite_to_svg(configured(chart), allowed_base_urls=[])))


def _renumbered(svg: str) -> str:
    """The same picture, its gradients numbered from 0: the renderer goes on counting from chart to chart."""
    places: dict[str, int] = {}
    return re.sub(
        r"((?:id=\"|url\(#)gradient_)(\d+)",
        lambda match: f"{match[1]}{places.setdefault(match[2], len(places))}",
        svg,
    )


def render(chart: AnyChart, png_path: Path) -> list[Path]:
    """Write the chart as PNG to `png_path` and as SVG beside it; both whole or not at all."""
    svg = to_svg(chart)
    svg_path = png_path.with_suffix(".svg")
    write_bytes(png_path, vl_convert.svg_to_png(svg, scale=1, ppi=RESOLUTION_PPI))
    write_text(svg_path, _with_fonts(svg))
    return [png_path, svg_path]


@functools.cache
def _register_fonts() -> None:
    fonts = find_fonts()
    for path in (fonts.regular, fonts.bold):
        vl_convert.register_font_directory(str(path.parent))


def _with_fonts(svg: str) -> str:
    """`svg` with the letters that it uses inside: it shows right on a machine without the font."""
    faces = font_faces(re.sub(r"<[^>]*>", "", svg), bold='font-weight="bold"' in svg)
    style = f"<defs><style>{faces}</style></defs>"
    return re.sub(r"(<svg\b[^>]*>)", lambda match: match.group() + style, svg, count=1)


def chart_of(rows: list[Json]) -> alt.Chart:
    """A chart over rows that stand in the specification itself; their fields' types are said in the encodings."""
    return alt.Chart(alt.Data(values=rows))  # type: ignore[no-untyped-call]


def haloed(chart: alt.Chart, **text: Any) -> list[alt.Chart]:
    """Text marks that stay readable where they cross a line: once as a white outline, once as letters."""
    return [chart.mark_text(stroke="white", strokeWidth=3, **text), chart.mark_text(**text)]


def figure(panels: list[Any], title: list[str], subtitle: list[str], columns: int = 2) -> AnyChart:
    """Panels side by side, each with scales of its own, under one title."""
    head = alt.TitleParams(text=title, subtitle=subtitle, fontSize=17, subtitleFontSize=11.5, offset=16)
    concat: AnyChart = alt.concat(*panels, columns=columns, title=head, spacing=34).resolve_scale(
        x="independent", y="independent", shape="independent", color="independent"
    )
    return concat


def source_lines(findings: Findings, words: Words) -> list[str]:
    """Which models, from which source: said on every chart."""
    from_quantized = [model for model in findings.models if model["dequantized_from"]]
    names = ", ".join(model_line(model, words) for model in findings.models)
    lines = [words.say("モデル", "Model") + ": " + names]
    if from_quantized:
        lines += words.lines(
            "元のモデルは量子化済み。基準はそれを逆量子化したもので、原モデルそのものではない。",
            "The source is already quantized: the reference is that file dequantized, not the original model.",
        )
    return lines


def model_line(model: Json, words: Words) -> str:
    """A model's name, with the type it was dequantized from where it was."""
    source = model["dequantized_from"]
    said = words.say(f"{source} を逆量子化", f"dequantized from {source}") if source else ""
    return one_line(model["name"] + (f" ({said})" if said else ""), 100)
