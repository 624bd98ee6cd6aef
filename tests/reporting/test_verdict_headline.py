"""The headline agrees with the table below it, also where the tests chose no file although one is no worse."""

from __future__ import annotations

from typing import Any

import pytest

from reporting.verdict_headline import file_on_average, headline
from reporting.wording import DASH, Words

EN, JA = Words("en"), Words("ja")


def _selection(**changes: Any) -> dict[str, Any]:
    plain = {"reference": "f16", "smallest_no_worse": None, "stopped_at": "a", "tested": ["a"], "not_reached": ["b"]}
    return plain | changes


def _said(words: Words, verdicts: dict[str, str], sizes: dict[str, str] | None = None, **changes: Any) -> str:
    rows = [{"arm": arm, "verdict": verdict} for arm, verdict in verdicts.items()]
    sizes = sizes or {"a": "2.00 GiB", "b": "1.00 GiB"}
    return headline({"verdicts": rows}, words, _selection(**changes), sizes=sizes, verdicts=verdicts)


def test_a_file_that_is_no_worse_behind_the_end_of_the_tests_is_named() -> None:
    text = _said(EN, {"a": "undecided", "b": "no_worse"})
    assert text == (
        "Keep f16. The tests for no worse on every benchmark go from the largest file down, and ended at a, which does"
        " not pass. Looked at alone, the smaller b passes."
    )
    assert "b は、単独では「許容内」である。" in _said(JA, {"a": "undecided", "b": "no_worse"})


def test_a_file_that_is_no_worse_and_has_no_size_is_named() -> None:
    text = _said(EN, {"a": "no_worse"}, {"a": DASH}, stopped_at=None, tested=[], not_reached=[])
    assert text.startswith("Keep f16. a is no worse on every benchmark, but of unknown size")
    assert "no other file" not in text


@pytest.mark.parametrize(
    ("verdicts", "ending"),
    [
        ({"a": "worse", "b": "worse"}, "(all are worse)."),
        ({"a": "undecided", "b": "worse"}, "(1 of 2 is undecided)."),
        ({"a": "undecided", "b": "undecided"}, "(2 of 2 are undecided)."),
    ],
)
def test_files_that_are_not_shown_to_be_no_worse_are_counted(verdicts: dict[str, str], ending: str) -> None:
    assert _said(EN, verdicts).endswith(ending)


def test_where_nothing_was_compared_nothing_is_worse() -> None:
    assert _said(EN, {}) == "Nothing was compared with f16: no file can be recommended."
    assert _said(JA, {}) == "f16 と比較したファイルはないため、推奨できるファイルはない。"


def test_a_file_that_is_worse_on_a_benchmark_is_not_recommended_for_its_average() -> None:
    course = {"tested": ["a", "b"], "smallest_no_worse": "b", "stopped_at": None}
    assert "take" not in _said(EN, {"a": "worse", "b": "worse"}, on_average=course).lower()
    assert "(all are worse)" in _said(EN, {"a": "worse", "b": "worse"}, on_average=course)
    assert "On average, a (2.00 GiB) is" in _said(EN, {"a": "undecided", "b": "worse"}, on_average=course)


def test_the_file_at_which_the_tests_on_average_ended_is_not_one_that_holds() -> None:
    course = {"tested": ["a", "b"], "smallest_no_worse": "a", "stopped_at": "b"}
    analysis = {"verdicts": [{"arm": "a", "verdict": "undecided"}, {"arm": "b", "verdict": "undecided"}]}
    assert file_on_average(analysis, _selection(on_average=course)) == "a"
    assert file_on_average(analysis, _selection(on_average=None)) is None
