"""The table of a verdict box has room for a few costs, and says which ones it leaves out."""

from __future__ import annotations

from reporting.documents.tables.box import box_notes, box_table
from reporting.verdict_box import Cost, FileCost, VerdictBox
from reporting.wording import Words

EN, JA = Words("en"), Words("ja")


def _box(n_costs: int) -> VerdictBox:
    costs = tuple(Cost(f"b{place}", "0.0 pp", "[−1.0, +1.0]", "9 items") for place in range(n_costs))
    file = FileCost("q8_0", "1.00 GiB", "8.50", "worse", "worse", costs)
    return VerdictBox("M", "f16", "Keep f16.", (file,), ())


def test_costs_without_room_are_named_below_the_table() -> None:
    headers = box_table(EN, _box(8)).headers
    assert [header.split("\n")[0] for header in headers[4:]] == ["b0", "b1", "b2", "b3", "b4", "b7"]
    assert box_notes(EN, _box(8))[-1] == "Not in this table, but in the results: b5, b6."
    assert box_notes(JA, _box(8))[-1] == "この表にない差は、結果の表に示す: b5、b6。"


def test_where_all_costs_are_shown_none_is_named() -> None:
    assert len(box_table(EN, _box(6)).headers) == 10
    assert len(box_notes(EN, _box(6))) == 1


def test_where_nothing_was_compared_there_is_no_note() -> None:
    assert box_notes(EN, VerdictBox("M", "", "Nothing was compared.", (), ())) == ()


def test_costs_of_single_files_are_written_as_each_language_does() -> None:
    common = Cost("b0", "0.0 pp", "[−1.0, +1.0]", "9 items")
    own = Cost("gsm8k (accuracy)", "−5.3 pp", "[−6.3, −4.3]", "1,319 items")
    files = tuple(
        FileCost(arm, "–", "–", "worse", "worse", costs) for arm, costs in (("a", (common,)), ("b", (common, own)))
    )
    box = VerdictBox("M", "f16", "Keep f16.", files, ())
    assert box_notes(EN, box)[1] == "b also differs on gsm8k (accuracy) −5.3 pp [−6.3, −4.3], 1,319 items."
    assert box_notes(JA, box)[1] == "b のほかの差: gsm8k (accuracy) −5.3 pp [−6.3, −4.3](1,319 items)。"
