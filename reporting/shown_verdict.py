"""The verdict that readers see: that of the result files, or what stands in its place.

The result files call a comparison undecided, too, if no judge has scored its answers, or if no margin says which loss
is small. More items would decide nothing there, so readers see what it is, and no verdict. Every output asks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reporting.wording import VERDICTS, Words

INFORMS_ONLY = "informs_only"
NO_MARGIN = "no_margin"
NOT_JUDGED = "not_judged"
NO_VERDICT = "no_verdict"
UNDECIDED = "undecided"

_WITHOUT = {
    INFORMS_ONLY: ("参考(許容幅なし)", "informs only, no margin"),
    NO_MARGIN: ("許容幅なし", "no margin"),
    NOT_JUDGED: ("未採点", "not judged"),
    NO_VERDICT: ("判定なし", "no verdict"),
}
"""Code -> its name, where there is no verdict."""


def shown_verdict(row: Mapping[str, Any]) -> str:
    """Return the code of what is shown of a comparison: its verdict, or why it has none.

    The code is empty in older results, which have no verdicts.
    """
    if NOT_JUDGED in (row.get("verdict_grounds") or ()):
        return NOT_JUDGED
    if row.get("verdict") and "margin" in row and row["margin"] is None:
        return INFORMS_ONLY if row.get("informs_only") else NO_MARGIN
    return str(row.get("verdict") or "")


def shown_verdict_of_arm(row: Mapping[str, Any], analysis: Mapping[str, Any]) -> str:
    """Return the code of what is shown of an arm: its verdict, or `no_verdict` if nothing could decide it.

    Args:
        row: the arm's row in `verdicts`.
        analysis: `statistical_analysis.json`.
    """
    verdict = str(row["verdict"])
    counted = [one for one in analysis.get("comparisons") or () if one["arm"] == row["arm"]]
    decided = [one for one in counted if not one.get("informs_only") and shown_verdict(one) in ("", *VERDICTS)]
    claims = [one for one in analysis.get("pooled") or () if one["arm"] == row["arm"] and one["decides"]]
    return NO_VERDICT if verdict == UNDECIDED and counted and not decided and not claims else verdict


def shown_word(words: Words, code: str) -> str:
    """Return the name of a code; an empty string if there is none."""
    names = {**VERDICTS, **_WITHOUT}
    return words.say(*names[code]) if code in names else ""


def is_open(row: Mapping[str, Any]) -> bool:
    """Return whether more evidence would decide a comparison, or the claim on average about an arm."""
    return shown_verdict(row) == UNDECIDED
