"""Names of files that are written once per language."""

from __future__ import annotations

from pathlib import Path

import pytest

from reporting.file_names import in_language, in_languages
from reporting.wording import LANGUAGES, languages

REPORT = Path("reports") / "report.md"


@pytest.mark.parametrize("wanted", LANGUAGES)
def test_one_language_leaves_the_name_as_it_is(wanted: str) -> None:
    assert in_languages(REPORT, wanted) == (REPORT,)
    assert in_language(REPORT, wanted, wanted) == REPORT


def test_two_languages_have_a_file_each() -> None:
    assert in_languages(REPORT, "both") == (Path("reports/report_ja.md"), Path("reports/report_en.md"))
    assert [in_language(REPORT, lang, "both") for lang in languages("both")] == list(in_languages(REPORT, "both"))


def test_the_wanted_languages() -> None:
    assert (languages("ja"), languages("en"), languages("both")) == (("ja",), ("en",), ("ja", "en"))
