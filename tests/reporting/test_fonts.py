"""The Japanese fonts are found without running code of their packages, and have all letters that are printed."""

from __future__ import annotations

import sys

from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

from reporting import fonts
from reporting.documents.engine import TEMPLATES


def test_both_fonts_are_found_without_importing_their_packages() -> None:
    found = fonts.find_fonts()
    assert found.regular.is_file()
    assert found.bold.is_file()
    assert not any(name.startswith("noto_cjk") for name in sys.modules)


def test_the_family_name_is_the_one_inside_the_files() -> None:
    with TTFont(fonts.find_fonts().regular, lazy=True) as font:
        assert font["name"].getDebugName(1) == fonts.FAMILY


def test_every_letter_of_the_scorecard_is_in_the_font() -> None:
    """A missing letter would come from another font of the machine, or appear as a box."""
    with TTFont(fonts.find_fonts().regular, lazy=True) as font:
        known = set(font.getBestCmap())
    sources = ("scorecard.html.j2", "scorecard.css", "limits.md.j2")
    letters = set("".join((TEMPLATES / name).read_text(encoding="utf-8") for name in sources)) - {"\n"}
    assert not {letter for letter in letters if ord(letter) not in known}
