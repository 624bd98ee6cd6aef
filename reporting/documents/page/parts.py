"""What turns the report's Markdown into parts of a page: figures with their data, and tables that can be sorted.

Markdown becomes a tree of elements, and this module changes that tree. Texts in it are inert already, and no text of it
becomes markup here.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element, SubElement

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

from reporting.documents.tables.sort_value import sort_value

_STASHED = re.compile("\x02[^\x03]*\x03")
"""What python-markdown puts in the place of a line break or a character reference, until the page is written."""
_CHARTS = PurePosixPath("../charts")
_AFTER_INLINE = 15
"""Texts within lines are read with priority 20."""


@dataclass(frozen=True)
class Picture:
    """A chart for the page."""

    source: str
    """The picture as a `data:` address."""
    spec_id: str | None
    """The id of the element that holds its Vega-Lite specification; None if there is none."""


class PartsOfPage(Extension):
    """The extension of python-markdown that makes the parts."""

    def __init__(self, pictures: Mapping[str, Picture]) -> None:
        """Take the pictures by the stems of their files."""
        super().__init__()
        self._pictures = pictures

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (python-markdown calls it by this name)
        """Register the change of the tree."""
        md.treeprocessors.register(_Parts(md, self._pictures), "parts_of_page", _AFTER_INLINE)


class _Parts(Treeprocessor):
    def __init__(self, md: Markdown, pictures: Mapping[str, Picture]) -> None:
        super().__init__(md)
        self._pictures = pictures

    def run(self, root: Element) -> None:
        """Change the tree in place."""
        self._make_figures(root)
        for parent in list(root.iter()):
            for place, child in enumerate(list(parent)):
                if child.tag == "table":
                    _make_sortable(child)
                    parent[place] = Element("div", {"class": "wide"})
                    parent[place].append(child)

    def _make_figures(self, root: Element) -> None:
        """Turn each chart, and the emphasized paragraph behind it, into a figure with a caption."""
        blocks = list(root)
        for paragraph, below in zip(blocks, [*blocks[1:], None], strict=True):
            image = paragraph.find("img") if paragraph.tag == "p" and len(paragraph) == 1 else None
            # python-markdown leaves the character references of an address as they are.
            path = PurePosixPath("" if image is None else html.unescape(image.get("src", "")))
            if image is None or path.parent != _CHARTS:
                continue
            picture = self._pictures[path.stem]
            image.attrib |= {"src": picture.source, "decoding": "async"}
            paragraph.tag, paragraph.text = "figure", None
            paragraph.attrib = {"class": "chart"} | ({"data-spec": picture.spec_id} if picture.spec_id else {})
            SubElement(paragraph, "div", {"class": "live", "role": "img", "aria-label": image.get("alt", "")})
            if below is not None and below.tag == "p" and len(below) == 1 and below[0].tag == "em":
                caption = below[0]
                caption.tag, caption.tail = "figcaption", None
                paragraph.append(caption)
                root.remove(below)


def _make_sortable(table: Element) -> None:
    """Give each cell of a column of numbers the number that it is sorted by."""
    body = table.find("tbody")
    rows = [] if body is None else list(body)
    if len(rows) < 2:
        return
    table.set("class", "sortable")
    for row in rows:
        for cell in row:
            value = sort_value(_STASHED.sub("", cell.text or "")) if cell.get("align") == "right" else None
            if value is not None:
                cell.set("data-value", repr(value))
