"""Japanese fonts, found in the packages that carry them.

A fresh machine has no Japanese font: charts and PDFs would show boxes. Two packages carry the font files;
they are found through the list of files of the installed package, so that none of its code runs.
How the fonts reach the chart renderer and the PDF is said here; what is drawn with them is left to others.
"""

from __future__ import annotations

import base64
import importlib.metadata
import io
from dataclasses import dataclass
from pathlib import Path

from fontTools.subset import Options, Subsetter  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

from conf.faults import BadInput, Fault

FAMILY = "Noto Sans CJK JP"
"""Family name inside the font files; it has Latin and Greek letters too, so one family does for all text."""

_REGULAR = ("noto-cjk-sans-jp-regular", "NotoSansCJKjp-Regular.otf")
_BOLD = ("noto-cjk-sans-jp-bold", "NotoSansCJKjp-Bold.otf")


@dataclass(frozen=True)
class Fonts:
    """The two font files."""

    regular: Path
    bold: Path


def find_fonts() -> Fonts:
    """The font files on this machine. Raises BadInput where a package is not installed."""
    return Fonts(regular=_find(*_REGULAR), bold=_find(*_BOLD))


def _find(package: str, file_name: str) -> Path:
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == file_name:
            path = Path(str(file.locate()))
            if path.is_file():
                return path
    raise BadInput(Fault(f"package {package}", None, f"an installed package with {file_name}", "Run `make setup`."))


def font_faces(text: str, *, bold: bool) -> str:
    """`@font-face` rules that carry the letters of `text` inside them.

    A page or picture with these shows right on a machine that has no Japanese font. Text outside of the font
    falls back to what the machine has.

    Args:
        text: everything that is shown; markup in it does no harm.
        bold: whether the bold weight is needed too.
    """
    fonts = find_fonts()
    letters = {ord(letter) for letter in text} | {ord(letter) for letter in "&<>\"'"}
    faces = [_face(fonts.regular, 400, letters)]
    if bold:
        faces.append(_face(fonts.bold, 700, letters))
    return "".join(faces)


def _face(path: Path, weight: int, letters: set[int]) -> str:
    options = Options(flavor="woff2", layout_features=[], hinting=False, desubroutinize=True, notdef_outline=True)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=letters)
    buffer = io.BytesIO()
    # The font's date of change would otherwise be the time of the drawing.
    with TTFont(path, lazy=True, recalcTimestamp=False) as font:
        subsetter.subset(font)
        font.flavor = "woff2"
        font.save(buffer)
    data = base64.b64encode(buffer.getvalue()).decode()
    source = f'url("data:font/woff2;base64,{data}") format("woff2")'
    return f'@font-face{{font-family:"{FAMILY}";font-weight:{weight};src:{source}}}'
