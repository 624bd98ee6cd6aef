"""The common style of all charts: palette, shapes, fonts; and rendering to files.

The colours are those of Okabe and Ito ("Color Universal Design", 2008), which can be told apart with every kind of
colour vision. Shapes repeat what the colours say, so that a grey print can also be read.
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
"""Three device pixels per CSS pixel. A figure as wide as the text on A4 has over 200 dots per inch."""

_SHAPES: Final[dict[Role, str]] = {"reference": "diamond", "compared": "circle", "alone": "square"}
_ROLES: Final[dict[Role, tuple[str, str]]] = {
    "reference": ("基準", "reference"),
    "compared": ("基準と比較", "compared"),
    "alone": ("比較なし", "not compared"),
}


def role_title(words: Words, role: Role) -> str:
    """Return the name of an arm's role."""
    return words.say(*_ROLES[role])


def shape_encoding(words: Words) -> alt.Shape:
    """Return the encoding of the role as a shape, the same in every chart."""
    scale = alt.Scale(domain=[role_title(words, role) for role in _SHAPES], range=list(_SHAPES.values()))
    return alt.Shape("role:N", scale=scale, legend=None)


def colours(findings: Findings) -> dict[str, str]:
    """Return arm name -> colour. References are black; all other arms of one model have the same colour."""
    models = [model["name"] for model in findings.models]
    palette: dict[str, str] = {}
    for arm in findings.arms:
        index = models.index(arm["model"]) if arm["model"] in models else len(models)
        palette[arm["name"]] = BLACK if findings.role(arm) == "reference" else PALETTE[index % len(PALETTE)]
    return palette


def configured(chart: AnyChart) -> Json:
    """Return the chart's Vega-Lite specification in the common style."""
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
    """Return the chart as SVG, without the font embedded."""
    _register_fonts()
    # The data are in the specification, so the renderer may not fetch any address.
    return _renumbered(str(vl_convert.vegalite_to_svg(configured(chart), allowed_base_urls=[])))


def _renumbered(svg: str) -> str:
    """Return the SVG with its gradients numbered from 0.

    The renderer continues counting from chart to chart, so the output would depend on the charts drawn before.
    """
    numbers: dict[str, int] = {}
    return re.sub(
        r"((?:id=\"|url\(#)gradient_)(\d+)",
        lambda match: f"{match[1]}{numbers.setdefault(match[2], len(numbers))}",
        svg,
    )


def render(chart: AnyChart, png_path: Path) -> list[Path]:
    """Write the chart as PNG to `png_path` and as SVG beside it, and return both paths.

    Each file is written completely or not at all.
    """
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
    """Return the SVG with the letters that it uses embedded, so that it needs no font on the reader's machine."""
    faces = font_faces(re.sub(r"<[^>]*>", "", svg), bold='font-weight="bold"' in svg)
    style = f"<defs><style>{faces}</style></defs>"
    return re.sub(r"(<svg\b[^>]*>)", lambda match: match.group() + style, svg, count=1)


def chart_of(rows: list[Json]) -> alt.Chart:
    """Return a chart whose rows are part of its specification. The encodings give the types of the fields."""
    return alt.Chart(alt.Data(values=rows))  # type: ignore[no-untyped-call]


def haloed(chart: alt.Chart, **text: Any) -> list[alt.Chart]:
    """Return text marks that stay readable on a line: first a white outline, then the letters."""
    return [chart.mark_text(stroke="white", strokeWidth=3, **text), chart.mark_text(**text)]


def figure(panels: list[Any], title: list[str], subtitle: list[str], columns: int = 2) -> AnyChart:
    """Return panels side by side under one title, each with its own scales."""
    head = alt.TitleParams(text=title, subtitle=subtitle, fontSize=17, subtitleFontSize=11.5, offset=16)
    concat: AnyChart = alt.concat(*panels, columns=columns, title=head, spacing=34).resolve_scale(
        x="independent", y="independent", shape="independent", color="independent"
    )
    return concat


def source_lines(findings: Findings, words: Words) -> list[str]:
    """Return lines that name the models and their source; every chart shows them."""
    from_quantized = [model for model in findings.models if model["dequantized_from"]]
    names = ", ".join(model_line(model, words) for model in findings.models)
    lines = [words.say("モデル", "Model") + ": " + names]
    if from_quantized:
        lines += words.lines(
            "入力のモデルは量子化済み。基準はそれを逆量子化したもので、元のモデルではない。",
            "The source is already quantized: the reference is that file dequantized, not the original model.",
        )
    return lines


def model_line(model: Json, words: Words) -> str:
    """Return a model's name, with the type it was dequantized from, if any."""
    source = model["dequantized_from"]
    note = words.say(f"{source} を逆量子化", f"dequantized from {source}") if source else ""
    return one_line(model["name"] + (f" ({note})" if note else ""), 100)
