"""The report page: nothing outside it is loaded, nothing foreign runs, tables sort by value, charts have their data."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown import Markdown

from reporting.documents.page.page import report_html
from reporting.documents.page.parts import PartsOfPage, Picture
from reporting.documents.tables.sort_value import sort_value
from reporting.documents.view import make_view
from reporting.escape import markdown
from reporting.file_names import SIDE_BY_SIDE, in_language
from reporting.results_folder import read_findings
from reporting.wording import Words, number
from tests.reporting.results_folder import HOSTILE, with_hostile_names, write_results

PAGE = "reports/quantization_analysis_report.html"
METHODOLOGY = "Our *way*\n\n<script>alert(1)</script>\n\n<iframe src='//x'></iframe> <b onclick='x'>\n"
SPEC = {"mark": "point", "data": {"values": [{"arm": HOSTILE}]}, "title": "</script><script>alert(1)</script>"}


class Page(HTMLParser):
    """Collects what a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.policy = ""
        self._types: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "srcset")]
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""
        if tag == "script":
            self._types.append(found.get("type"))

    def handle_data(self, data: str) -> None:
        if self.lasttag in self.texts and data.strip():
            self.texts[self.lasttag or ""].append(data)
            self.lasttag = ""

    @property
    def scripts(self) -> list[str]:
        """The scripts that run: one at once, and the bundle if a chart is drawn."""
        return [
            text for text, kind in zip(self.texts["script"], self._types, strict=True) if kind != "application/json"
        ]


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def page_of(run: Path, lang: str = "en") -> str:
    return in_language(run / PAGE, lang, "both").read_text(encoding="utf-8")


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_page_holds_all_that_it_needs(run: Path, lang: str) -> None:
    text = page_of(run, lang)
    page = Page(text)
    assert f'<html lang="{lang}">' in text
    assert text.count("data:font/woff2;base64,") == 2
    beside = in_language(SIDE_BY_SIDE, lang, "both").name
    assert all(address.startswith(("data:", "#")) or address == beside for address in page.addresses)
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(
        re.findall(r'id="(.*?)"', text)
    )
    assert page.tags.count("figure") >= 6


def test_the_policy_allows_the_own_style_and_the_own_scripts_only(run: Path) -> None:
    page = Page(page_of(run))
    rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == hashed(page.texts["style"][0])
    assert set(rules["script-src"].split()) == set(map(hashed, page.scripts))
    assert "unsafe" not in page.policy and "http" not in page.policy
    assert page.handlers == []


def test_hostile_text_is_inert_on_the_page(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path, with_hostile_names, HOSTILE))
    text = report_html(make_view(findings, Words("en"), tmp_path), METHODOLOGY, tmp_path)
    page = Page(text)
    assert page.tags.count("script") == 1
    assert not {"img", "iframe", "object", "form", "base"} & set(page.tags)
    assert all(address.startswith("#") for address in page.addresses)
    assert page.handlers == []
    assert not re.search("[\x1b\u202e]", text.partition("<details")[0])


def test_a_chart_with_a_specification_can_be_drawn_and_is_a_picture_without_javascript(tmp_path: Path) -> None:
    charts = tmp_path / "charts"
    charts.mkdir()
    (charts / "quantization_performance.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(16))
    (charts / "quantization_performance.vl.json").write_text(json.dumps(SPEC), encoding="utf-8")
    view = make_view(read_findings(write_results(tmp_path)), Words("en"), charts)
    text = report_html(view, "", charts)
    page = Page(text)
    assert 'data-spec="spec-1"' in text and "data:image/png;base64," in text
    (spec,) = re.findall(r'<script type="application/json" id="spec-1">(.*?)</script>', text)
    assert json.loads(spec) == SPEC
    assert len(page.scripts) == 2
    assert "vegaEmbed" in page.scripts[0]


def test_without_specifications_the_page_brings_no_library(tmp_path: Path) -> None:
    view = make_view(read_findings(write_results(tmp_path)), Words("en"), tmp_path / "none")
    assert len(Page(report_html(view, "", tmp_path)).scripts) == 1


def test_columns_of_numbers_have_values_to_sort_by() -> None:
    text = "| a | b |\n| --- | ---: |\n| x | −1,234.5 pp<br>[−3, 2] |\n| y | &#60; 0.001 |\n| z | – |\n"
    html = Markdown(extensions=["tables", PartsOfPage({})]).convert(text)
    assert 'class="sortable"' in html
    assert re.findall(r'data-value="(.*?)"', html) in ([], ["-1234.5", "0.001"])


def test_a_figure_takes_its_caption() -> None:
    text = "![what](../charts/x.png)\n\n*Figure 1. what*\n\nbelow\n"
    html = Markdown(extensions=[PartsOfPage({"x": Picture("data:image/png;base64,", None)})]).convert(text)
    assert "<figcaption>Figure 1. what</figcaption>" in html
    assert html.count("what") == 3  # the picture's text, the drawing's, and the caption
    assert "<p>below</p>" in html


@pytest.mark.parametrize("stem", ["imatrix_my__text_en", "imatrix___proto___ja", "importance_a+b=c~d_en"])
def test_a_figure_is_found_whatever_its_name_holds(stem: str) -> None:
    text = f"![what](../charts/{markdown(stem)}.png)\n"
    html = Markdown(extensions=[PartsOfPage({stem: Picture("data:image/png;base64,", None)})]).convert(text)
    assert 'src="data:image/png;base64,"' in html


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("17.5%\n[8.7, 32.2]", 17.5),
        ("< 0.001 (0.002)", 0.001),
        ("180 / 211", 180),
        ("1.50 GiB", 1.5 * 2**30),
        ("910.40e-6", 910.4e-6),
        ("+0.12†", 0.12),
        ("– (one item only)", None),
        ("no sampling", None),
        ("", None),
    ],
)
def test_a_cell_sorts_by_the_number_that_it_begins_with(cell: str, value: float | None) -> None:
    assert sort_value(cell) == (None if value is None else pytest.approx(value))


@given(st.floats(-1e9, 1e9))
def test_the_numbers_that_tables_print_are_read_back(value: float) -> None:
    assert sort_value(number(value, 3, sign=True)) == pytest.approx(value, abs=5e-4)


@pytest.mark.parametrize("content", ["", '{"mark": "poi', "[" * 200_000])
def test_a_damaged_specification_leaves_the_picture(content: str, tmp_path: Path) -> None:
    """A file that a disk or a person has damaged must not cost the report."""
    charts = tmp_path / "charts"
    charts.mkdir()
    (charts / "quantization_performance.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(16))
    (charts / "quantization_performance.vl.json").write_text(content, encoding="utf-8")
    text = report_html(make_view(read_findings(write_results(tmp_path)), Words("en"), charts), "", charts)
    assert "data:image/png;base64," in text and "data-spec" not in Page(text).texts["script"]
    assert "application/json" not in text
