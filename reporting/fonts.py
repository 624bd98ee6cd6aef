"""Japanese fonts, found in the packages that carry them.

A fresh machine has no Japanese font: charts and PDFs would show boxes. Two packages carry the font files;
they are found through the list of files of the installed package, so that none of its code runs.
How the fonts reach the chart renderer and the PDF is said here; what is drawn with them is left to others.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

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
