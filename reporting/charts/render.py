"""Write charts to files: PNG, SVG, and the Vega-Lite specification that both are drawn from.

The HTML report takes the specification to show values under the mouse. Names from model files are in it as data, never
as an expression or as markup.
"""

from __future__ import annotations

import functools
import json
import re
import tempfile
from pathlib import Path

import vl_convert

from conf.files import write_bytes, write_text
from reporting.charts.layout import MOST_HEIGHT_PX, pages
from reporting.charts.style import Specification
from reporting.fonts import FAMILY, font_faces, write_small_fonts
from reporting.results_folder import Json

RESOLUTION_PPI = 216
"""Three device pixels per CSS pixel. A figure as wide as the text on A4 has over 200 dots per inch."""
SPECIFICATION_SUFFIX = ".vl.json"
_WRITTEN_BY_RENDERER = "".join(map(chr, range(32, 127))) + "−–…"
"""Letters that numbers on axes and shortened texts may have, beside those of the specification."""


def render(chart: Specification, png_path: Path) -> list[Path]:
    """Write a chart to `png_path`, and its other files beside it; return all paths.

    A chart that is too high for one picture gets several, whose names end with `-2`, `-3` and so on. Each file is
    written completely or not at all.
    """
    paths: list[Path] = []
    for number, page in enumerate(pages(chart), 1):
        stem = png_path.stem if number == 1 else page_stem(png_path.stem, number)
        paths += _write(page, png_path.with_name(f"{stem}.png"))
    return paths


def page_stem(stem: str, number: int) -> str:
    """Return the name, without suffix, of a chart's second or later picture."""
    return f"{stem}-{number}"


def to_svg(chart: Specification) -> str:
    """Return the chart as SVG, without the font embedded."""
    drawn, family = _drawn(chart)
    return drawn.replace(family, FAMILY)


def _write(page: Json, png_path: Path) -> list[Path]:
    drawn, family = _drawn(page)
    svg = drawn.replace(family, FAMILY)
    svg_path, specification_path = png_path.with_suffix(".svg"), png_path.with_suffix(SPECIFICATION_SUFFIX)
    height_px = float(re.search(r'<svg\b[^>]*\bheight="([0-9.]+)"', svg)[1])  # type: ignore[index]
    ppi = RESOLUTION_PPI * min(1.0, MOST_HEIGHT_PX / height_px)
    write_bytes(png_path, vl_convert.svg_to_png(drawn, scale=1, ppi=ppi))
    write_text(svg_path, _with_fonts(svg))
    write_text(specification_path, json.dumps(page, ensure_ascii=False, separators=(",", ":")))
    return [png_path, svg_path, specification_path]


def _drawn(page: Json) -> tuple[str, str]:
    """Return the SVG in a small font with the letters of the page, and the name of this font."""
    letters = set(json.dumps(page, ensure_ascii=False)) | set(_WRITTEN_BY_RENDERER)
    family = _small_font("".join(sorted(letters)))
    in_small_font = page | {"config": page["config"] | {"font": f"{family}, sans-serif"}}
    # The data are in the specification, so the renderer may not fetch any address.
    return _renumbered(str(vl_convert.vegalite_to_svg(in_small_font, allowed_base_urls=[]))), family


def _renumbered(svg: str) -> str:
    """Return the SVG with its gradients numbered from 0.

    The renderer continues counting from chart to chart, so the output would depend on the charts drawn before.
    """
    numbers: dict[str, int] = {}
    return re.sub(
        r"((?:id=\"|url\(#)(?:gradient|clip)_?)(\d+)",
        lambda match: f"{match[1]}{numbers.setdefault(match[2], len(numbers))}",
        svg,
    )


@functools.cache
def _small_font(letters: str) -> str:
    folder = tempfile.mkdtemp(dir=_font_folder().name)
    family = write_small_fonts(letters, Path(folder))
    vl_convert.register_font_directory(folder)
    return family


@functools.cache
def _font_folder() -> tempfile.TemporaryDirectory[str]:
    """Return this process's folder of small fonts. The renderer reads them as long as the process lives."""
    return tempfile.TemporaryDirectory(prefix="quant_assay_fonts_")


def _with_fonts(svg: str) -> str:
    """Return the SVG with the letters that it uses embedded, so that it needs no font on the reader's machine."""
    faces = font_faces(re.sub(r"<[^>]*>", "", svg), bold='font-weight="bold"' in svg)
    style = f"<defs><style>{faces}</style></defs>"
    return re.sub(r"(<svg\b[^>]*>)", lambda match: match.group() + style, svg, count=1)
