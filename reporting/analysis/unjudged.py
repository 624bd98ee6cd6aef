"""Judged benchmarks that no judge has scored: they give no verdict, and no verdict depends on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reporting.analysis.comparisons import Compared
from reporting.analysis.scored_arms import ScoredArm
from reporting.judging_reasons import WITHOUT_JUDGE


def unjudged_benchmarks(rows: Sequence[Compared]) -> tuple[str, ...]:
    """Return the benchmarks of which answers wait for a judge and no record of any arm has a score.

    Where some arms are judged and others are not, the verdicts of the others stay open like any other.
    """
    named = dict.fromkeys(str(one.arm.benchmark["name"]) for one in rows if one.arm.benchmark.get("rubrics"))
    return tuple(name for name in named if _waits([one for one in rows if one.arm.benchmark["name"] == name]))


def not_judged(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return the same for the result rows of a judged benchmark."""
    reasons = {reason for row in rows for reason in row["unscored_reasons"]}
    return not any(row["n_items"] for row in rows) and not reasons.isdisjoint(WITHOUT_JUDGE)


def _waits(rows: Sequence[Compared]) -> bool:
    arms = [arm for one in rows for arm in (one.arm, one.reference)]
    return not any(arm.scored_items.height for arm in arms) and any(map(_has_answers, arms))


def _has_answers(arm: ScoredArm) -> bool:
    return any(reason in WITHOUT_JUDGE for reason in arm.records["reason"].unique())
