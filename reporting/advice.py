"""Advice on arms that lose against their reference, for the terminal summary and the report.

The advice goes by the verdict of the arm, which is the verdict that every output shows, and names what that verdict
comes from. An arm that is worse should be replaced. If a loss is shown and may lie within the margin, the arm is
undecided, and the advice says what is open. An arm that is no worse gets no advice, whatever its single benchmarks say,
and no arm is called good.

Files that are older than verdicts have only comparisons. There a loss is shown if the whole 95% interval of the paired
difference lies on the worse side of 0, and whether it exceeds the margin is open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reporting.shown_verdict import INFORMS_ONLY, NO_MARGIN, shown_verdict
from reporting.wording import Words


@dataclass(frozen=True)
class Worse:
    """Arms that lose against their reference on the same benchmarks, so that the same advice is given."""

    arms: tuple[str, ...]
    reference: str
    benchmarks: tuple[str, ...]
    made_here: bool
    """False if the arms are files that were given: they can only be replaced by other files."""
    beyond: bool = False
    """Whether the loss is shown to exceed the margin. False: whether it does is open."""
    on_average: bool = False
    """Whether the mean over the benchmarks is meant, and not each of them."""
    has_margin: bool = True
    """False if no margin says which loss is small there."""


def worse_arms(comparison: Mapping[str, Any], analysis: Mapping[str, Any] | None) -> list[Worse]:
    """Return the arms that lose, in their order. Controls are left out: they are only for comparison.

    Args:
        comparison: `quantization_comparison.json`.
        analysis: `statistical_analysis.json`; None if it is missing.
    """
    if analysis is None:
        return []
    judged = {row["arm"]: row for row in analysis.get("verdicts") or ()}
    found = []
    for arm in comparison["arms"]:
        if (arm.get("budget") or {}).get("control"):
            continue
        made_here = arm.get("method") is not None
        if arm["name"] in judged:
            found.append(_by_verdict(judged[arm["name"]], analysis, made_here))
        elif not judged:
            found.append(_by_intervals(arm["name"], comparison, analysis["comparisons"], made_here))
    together: dict[Worse, list[str]] = {}
    for one in found:
        if one is not None:
            together.setdefault(replace(one, arms=()), []).extend(one.arms)
    return [replace(one, arms=tuple(arms)) for one, arms in together.items()]


def advice(words: Words, worse: Worse) -> str:
    """Return one sentence: what was measured, and what to try."""
    arms_ja, arms_en = "、".join(worse.arms), ", ".join(worse.arms)
    lose = "loses" if len(worse.arms) == 1 else "lose"
    names_ja, names_en = "、".join(worse.benchmarks), ", ".join(worse.benchmarks)
    on_ja, on_en = (
        (f"{names_ja} の平均", f"on average over {names_en}")
        if worse.on_average
        else (f"{names_ja} ", f"on {names_en}")
    )
    if worse.made_here:
        ja, en = (
            "より大きい型か、より高い --protection-level を試すとよい",
            "try a larger type, or a higher --protection-level",
        )
    else:
        ja, en = "より大きい型のファイルを試すとよい", "try a file of a larger type"
    if worse.beyond:
        return words.say(
            f"{arms_ja} は {on_ja}で {worse.reference} から許容幅を超えて低下した。{ja}。",
            f"{arms_en} {lose} more than the margin against {worse.reference} {on_en}: {en}.",
        )
    if not worse.has_margin:
        return words.say(
            f"{arms_ja} は {on_ja}で {worse.reference} より低下した。"
            "許容幅がないため、それが小さいかどうかは判定しない。",
            f"{arms_en} {lose} against {worse.reference} {on_en}. There is no margin, so nothing says whether that is"
            " small.",
        )
    return words.say(
        f"{arms_ja} は {on_ja}で {worse.reference} より低下したが、許容幅を超えるかどうかは未確定である。"
        f"問題を増やすか、{ja}。",
        f"{arms_en} {lose} against {worse.reference} {on_en}, and whether the loss exceeds the margin is open:"
        f" evaluate more items, or {en}.",
    )


def _by_verdict(row: Mapping[str, Any], analysis: Mapping[str, Any], made_here: bool) -> Worse | None:
    """Return what an arm loses on, as its verdict says; None if the verdict says of no loss.

    Args:
        row: the verdict of the arm.
        analysis: `statistical_analysis.json`.
        made_here: see `Worse`.
    """
    if row["verdict"] == "worse":
        if row["worse_on"]:
            return Worse((row["arm"],), row["reference"], tuple(row["worse_on"]), made_here, beyond=True)
        pooled = tuple((analysis.get("tiers") or {}).get("pooled", ()))
        return Worse((row["arm"],), row["reference"], pooled, made_here, beyond=True, on_average=True)
    # A loss beyond the margin that the arm's verdict does not confirm (p is adjusted over its benchmarks) is open, too.
    shown = tuple(name for name in row["undecided_on"] if name in row.get("loss_shown_on", ())) + tuple(row["worse_on"])
    if row["verdict"] != "undecided" or not shown:
        return None
    own = [one for one in analysis["comparisons"] if one["arm"] == row["arm"]]
    without = {one["benchmark"] for one in own if shown_verdict(one) in (INFORMS_ONLY, NO_MARGIN)}
    with_margin = tuple(name for name in shown if name not in without)
    return Worse((row["arm"],), row["reference"], with_margin or shown, made_here, has_margin=bool(with_margin))


def _by_intervals(
    arm: str, comparison: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]], made_here: bool
) -> Worse | None:
    """Return what an arm loses on, as the intervals say; None if they show no loss."""
    higher = {benchmark["name"]: benchmark["higher_is_better"] for benchmark in comparison["benchmarks"]}
    shown = [row for row in comparisons if row["arm"] == arm and _is_loss(row, higher[row["benchmark"]])]
    if not shown:
        return None
    return Worse((arm,), shown[0]["reference"], tuple(row["benchmark"] for row in shown), made_here)


def _is_loss(row: Mapping[str, Any], higher_is_better: bool) -> bool:
    if row["ci95"] is None:
        return False
    low, high = row["ci95"]
    return bool(high < 0) if higher_is_better else bool(low > 0)
