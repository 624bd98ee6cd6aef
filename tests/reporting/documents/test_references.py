"""Tests of references and formulas: authors, BibTeX fields, and formulas that become pictures."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from reporting.documents.pdf.formulas import FORMULAS, formula_svg
from reporting.documents.references import Reference, authors_text, bibtex

ONE = Reference("a", "Ada Able and Bo Baker and Cy Cole", 2001, "On X", "Journal 1, 2", "doi:10.1/x")


@pytest.mark.parametrize("name", FORMULAS)
def test_each_formula_becomes_an_svg_made_of_paths(name: str) -> None:
    root = ElementTree.fromstring(formula_svg(name))
    assert float(root.attrib["width"]) < 650  # CSS pixels; a line of the scorecard is 658 wide
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "path" in tags
    assert not tags & {"text", "image", "use"}


def test_authors_are_listed_as_in_a_paper() -> None:
    assert authors_text(ONE) == "Ada Able, Bo Baker and Cy Cole"
    assert authors_text(Reference("b", "Ada Able and others", 1, "", "", "")) == "Ada Able et al."
    assert authors_text(Reference("b", "Ada Able", 1, "", "", "")) == "Ada Able"


def test_bibtex_uses_the_field_that_fits_the_identifier() -> None:
    assert re.search(r"@article\{a2001,\n  author = \{.*\},\n.*doi = \{10\.1/x\}\n\}$", bibtex(ONE), re.DOTALL)
    archived = Reference("c", "Ada Able", 2024, "On Y", "arXiv preprint", "arXiv:2411.00640")
    assert "eprint = {2411.00640}" in bibtex(archived)
    site = Reference("d", "Ada Able", 2024, "Z", "software", "https://example.org/z", kind="misc")
    assert "url = {https://example.org/z}" in bibtex(site)
