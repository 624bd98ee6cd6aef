"""Words for readers: every code of a method in the result files has a name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reporting.file_names import localized
from reporting.validate import SCHEMAS
from reporting.wording import Words, method_title


def methods_in(schema: Any) -> set[str]:
    """Return the codes that a schema allows for the fields `ci_method` and `test`."""
    if isinstance(schema, list):
        return set().union(*map(methods_in, schema))
    if not isinstance(schema, dict):
        return set()
    own = {
        code
        for field in ("ci_method", "test")
        if isinstance(schema.get(field), dict)
        for code in schema[field].get("enum", ())
        if code is not None
    }
    return own.union(*map(methods_in, schema.values()))


def test_every_method_of_the_result_files_has_a_name_in_both_languages() -> None:
    codes: set[str] = set()
    for kind in ("quantization_comparison", "statistical_analysis"):
        codes |= methods_in(json.loads((SCHEMAS / f"{kind}.schema.json").read_text(encoding="utf-8")))
    assert {"wilson", "sign_flip_exact", "square_and_add", "exp_t_series"} <= codes
    for code in codes:
        assert "_" not in method_title(Words("ja"), code)
        assert "_" not in method_title(Words("en"), code)


@pytest.mark.parametrize(
    ("code", "ja", "en"),
    [
        ("wilson", "Wilson", "Wilson"),
        ("sign_flip_exact", "正確な符号反転検定", "exact sign-flip test"),
        ("exp_t_series", "系列の t 区間の指数", "exponential of Student's t over a series"),
        ("of_a_newer_version", "of_a_newer_version", "of_a_newer_version"),
        (None, "–", "–"),
    ],
)
def test_a_method_is_named_in_words(code: str | None, ja: str, en: str) -> None:
    assert method_title(Words("ja"), code) == ja
    assert method_title(Words("en"), code) == en


@pytest.mark.parametrize(("wanted", "stem"), [("both", "chart_en"), ("en", "chart")])
def test_only_files_in_both_languages_name_their_language(wanted: str, stem: str) -> None:
    assert localized("chart", "en", wanted) == stem
