"""Find the Japanese font files in their packages, and make small fonts of their letters for charts, SVG and HTML.

A fresh machine has no Japanese font, so charts and PDFs would show boxes. Two packages carry the font files. The files
are found through the file list of the installed package, so none of its code runs.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import io
from dataclasses import dataclass
from pathlib import Path

import uharfbuzz  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

from conf.faults import BadInput, Fault

FAMILY = "Noto Sans CJK JP"
"""Family name inside the font files. The family also has Latin and Greek letters, so all text uses it."""

_REGULAR = ("noto-cjk-sans-jp-regular", "NotoSansCJKjp-Regular.otf")
_BOLD = ("noto-cjk-sans-jp-bold", "NotoSansCJKjp-Bold.otf")
_LAYOUT_TABLES = [int.from_bytes(tag) for tag in (b"BASE", b"GPOS", b"GSUB")]
"""Tables of layout rules, as HarfBuzz names them: four letters are one number."""
_FAMILY_NAMES = (1, 16)
"""Entries of a font's `name` table that hold the name of its family."""


@dataclass(frozen=True)
class Fonts:
    """Paths of the two font files."""

    regular: Path
    bold: Path


def find_fonts() -> Fonts:
    """Return the font files on this machine. Raise `BadInput` if a package is not installed."""
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


def write_small_fonts(text: str, folder: Path) -> str:
    """Write fonts with only the letters of `text`, in both weights, to a folder, and return the name of their family.

    The chart renderer reads a font anew for each text that it measures or draws, which takes it 7 ms with the whole
    font. The family has a name of its own, so that the renderer does not take the whole font for it.
    """
    fonts = find_fonts()
    letters = {ord(letter) for letter in text}
    digest = hashlib.sha256(",".join(map(str, sorted(letters))).encode()).hexdigest()
    # Letters only: the renderer takes no family whose name has a word that begins with a digit.
    family = "Chart" + "".join(chr(ord("a") + int(digit, 16)) for digit in digest[:12])
    for path in (fonts.regular, fonts.bold):
        with TTFont(io.BytesIO(_subset(path, letters)), recalcTimestamp=False) as font:
            for entry in font["name"].names:
                if entry.nameID in _FAMILY_NAMES:
                    entry.string = family
            font.save(folder / f"{digest[:12]}-{path.name}")
    return family


def font_faces(text: str, *, bold: bool) -> str:
    """Return `@font-face` rules with the letters of `text` embedded.

    A page or picture with these rules looks the same on a machine without a Japanese font. Letters that the font does
    not have are shown in a font of the machine.

    Args:
        text: all text that is shown. Markup in it does no harm.
        bold: True if the bold weight is also needed.
    """
    fonts = find_fonts()
    letters = {ord(letter) for letter in text} | {ord(letter) for letter in "&<>\"'"}
    faces = [_face(fonts.regular, 400, letters)]
    if bold:
        faces.append(_face(fonts.bold, 700, letters))
    return "".join(faces)


def _face(path: Path, weight: int, letters: set[int]) -> str:
    buffer = io.BytesIO()
    # Without this the font's modification date would be the current time, and the output would differ every time.
    with TTFont(io.BytesIO(_subset(path, letters)), recalcTimestamp=False) as font:
        font.flavor = "woff2"
        font.save(buffer)
    data = base64.b64encode(buffer.getvalue()).decode()
    source = f'url("data:font/woff2;base64,{data}") format("woff2")'
    return f'@font-face{{font-family:"{FAMILY}";font-weight:{weight};src:{source}}}'


def _subset(path: Path, letters: set[int]) -> bytes:
    """Return a font file with these letters only, without hints and layout rules.

    HarfBuzz takes 5 ms for it. The subsetter of fontTools reads every glyph of the font first and takes 0.8 s.
    """
    wanted = uharfbuzz.SubsetInput()
    wanted.flags |= uharfbuzz.SubsetFlags.NO_HINTING | uharfbuzz.SubsetFlags.NOTDEF_OUTLINE
    wanted.sets(uharfbuzz.SubsetInputSets.UNICODE).set(letters)
    wanted.sets(uharfbuzz.SubsetInputSets.DROP_TABLE_TAG).update(_LAYOUT_TABLES)
    subset = uharfbuzz.subset(uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(path))), wanted)
    return bytes(subset.blob.data)
