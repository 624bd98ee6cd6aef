"""Advice on arms that lose against their reference, for the terminal summary and the report.

An arm that loses more than the margin should be replaced. If a loss is shown and may lie within the margin, the advice
says so. An arm that is shown to lose less than the margin gets no advice, and no arm is called good. In files older
than verdicts, a loss is shown if the whole 95% interval of the paired difference lies on the worse side of 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reporting.wording import Words


@dataclass(frozen=True)
class Worse:
    """An arm, and the benchmarks on which it loses against its reference."""

    arm: str
    reference: str
    benchmarks: tuple[str, ...]
    made_here: bool
    """False if the arm is a file that was given: it can only be replaced by another file."""
    beyond: bool = False
    """Whether the loss is shown to exceed the margin. False: whether it does is open."""


def worse_arms(comparison: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> list[Worse]:
    """Return the arms that lose, in the order of the arms. Controls are left out.

    An arm that loses more than the margin on some benchmarks is named once, with these benchmarks.

    Args:
        comparison: `quantization_comparison.json`.
        comparisons: the list of this name in `statistical_analysis.json`.
    """
    higher = {benchmark["name"]: benchmark["higher_is_better"] for benchmark in comparison["benchmarks"]}
    found = []
    for arm in comparison["arms"]:
        if (arm.get("budget") or {}).get("control"):
            continue  # a control is only for comparison
        rows = [row for row in comparisons if row["arm"] == arm["name"]]
        beyond = [row for row in rows if row.get("verdict") == "worse"]
        shown = beyond or [row for row in rows if _is_open_loss(row, higher[row["benchmark"]])]
        if shown:
            benchmarks = tuple(row["benchmark"] for row in shown)
            made_here = arm.get("method") is not None
            found.append(Worse(arm["name"], shown[0]["reference"], benchmarks, made_here, bool(beyond)))
    return found


def advice(words: Words, worse: Worse) -> str:
    """Return one sentence: what was measured, and what to try."""
    names = ", ".join(worse.benchmarks)
    if worse.made_here:
        ja, en = (
            "より高い --protection-level か、より大きい型を試すとよい",
            "try a higher --protection-level or a larger type",
        )
    else:
        ja, en = "より大きい型のファイルを試すとよい", "try a file of a larger type"
    if worse.beyond:
        return words.say(
            f"{worse.arm} は {names} で {worse.reference} から許容幅を超えて低下した。{ja}。",
            f"{worse.arm} loses more than the margin against {worse.reference} on {names}: {en}.",
        )
    return words.say(
        f"{worse.arm} は {names} で {worse.reference} より低下したが、許容幅を超えるかどうかは未確定である。"
        f"問題を増やすか、{ja}。",
        f"{worse.arm} loses against {worse.reference} on {names}, and whether it loses more than the margin is open:"
        f" evaluate more items, or {en}.",
    )


def _is_open_loss(row: Mapping[str, Any], higher_is_better: bool) -> bool:
    if row["ci95"] is None or row.get("verdict") == "no_worse":
        return False
    low, high = row["ci95"]
    return bool(high < 0) if higher_is_better else bool(low > 0)
