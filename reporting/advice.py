"""Advice on arms that are measurably worse than their reference, for the terminal summary and the report.

"Measurably worse" means that the whole 95% interval of the paired difference lies on the worse side of 0. An arm whose
interval includes 0 is not called bad, and no arm is called good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reporting.wording import Words


@dataclass(frozen=True)
class Worse:
    """An arm, and the benchmarks on which it is measurably worse than its reference."""

    arm: str
    reference: str
    benchmarks: tuple[str, ...]
    made_here: bool
    """False if the arm is a file that was given: it can only be replaced by another file."""


def worse_arms(comparison: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> list[Worse]:
    """Return the measurably worse arms, in the order of the arms. Controls are left out.

    Args:
        comparison: `quantization_comparison.json`.
        comparisons: the list of this name in `statistical_analysis.json`.
    """
    higher = {benchmark["name"]: benchmark["higher_is_better"] for benchmark in comparison["benchmarks"]}
    found = []
    for arm in comparison["arms"]:
        if (arm.get("budget") or {}).get("control"):
            continue  # a control is only for comparison
        rows = [
            row for row in comparisons if row["arm"] == arm["name"] and _is_worse(row["ci95"], higher[row["benchmark"]])
        ]
        if rows:
            benchmarks = tuple(row["benchmark"] for row in rows)
            found.append(Worse(arm["name"], rows[0]["reference"], benchmarks, arm.get("method") is not None))
    return found


def advice(words: Words, worse: Worse, joint: str = " / ") -> str:
    """Return one sentence: what was measured, and what to try."""
    names = ", ".join(worse.benchmarks)
    if worse.made_here:
        ja, en = (
            "より高い --protection-level か、より大きい型を試すとよい",
            "try a higher --protection-level or a larger type",
        )
    else:
        ja, en = "より大きい型のファイルを試すとよい", "try a file of a larger type"
    return words.say(
        f"{worse.arm} は {names} で {worse.reference} より悪い(差の95%区間が0を含まない)。{ja}。",
        f"{worse.arm} is measurably worse than {worse.reference} on {names} (the interval excludes 0): {en}.",
        joint,
    )


def _is_worse(interval: Sequence[float] | None, higher_is_better: bool) -> bool:
    if interval is None:
        return False
    low, high = interval
    return bool(high < 0) if higher_is_better else bool(low > 0)
