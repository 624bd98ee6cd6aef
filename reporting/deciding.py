"""Which comparisons are still to be decided, and in words what would decide one: so many items or runs, or else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reporting.shown_verdict import NOT_JUDGED, is_open, shown_verdict
from reporting.wording import Words, integer

_Row = Mapping[str, Any]

_INSTEAD = {
    "no_judge": ("採点が必要", "needs a judge"),
    "too_few_items": ("問題が少なすぎて、必要な数を見積もれない", "too few items to say how many would decide"),
    "unscored": ("採点不能の記録の採点が必要", "its unscored records must be scored"),
    "floor": ("基準が正答できる問題が必要", "needs items that the reference gets right"),
    "ceiling": ("より難しい問題が必要", "needs harder items"),
    "no_interval": ("区間を計算できない", "has no interval"),
    "on_the_margin": ("差が許容幅とほぼ等しい", "the loss lies on the margin"),
}
"""Reason why no number of items is given -> what would decide instead, in Japanese and English."""


def is_to_be_decided(row: _Row) -> bool:
    """Return whether more evidence would decide a comparison or a claim on average, or a judge that is needed for it.

    Answers that wait for a judge and only inform need none: no verdict depends on them.
    """
    return is_open(row) or (shown_verdict(row) == NOT_JUDGED and not row.get("informs_only"))


def what_decides(words: Words, row: _Row, benchmark: _Row) -> str:
    """Return how many items, or runs, would decide a comparison, or what else would.

    Args:
        words: the language.
        row: the comparison.
        benchmark: its entry in `quantization_comparison.json`, which tells how many items there are at all.
    """
    if not row["items_to_decide"]:
        unknown = ("必要な問題数は不明", "the number of items that would decide is unknown")
        return words.say(*_INSTEAD.get(row["items_to_decide_reason"], unknown))
    low, high = row.get("items_to_decide_range") or (row["items_to_decide"],) * 2
    runs, unit = row.get("runs_to_decide"), unit_of(words, row)
    ja_runs, en_runs = (f"。または {integer(runs)} 回の実行", f", or {integer(runs)} runs") if runs else ("", "")
    there = items_there(row, benchmark)
    ja_there, en_there = (
        (f"。ただしこのベンチマークは全 {integer(there)} {unit}", f"; the benchmark has only {integer(there)}")
        if there is not None
        else ("", "")
    )
    return words.say(
        f"合計 {integer(low)} {unit}なら五分五分、{integer(high)} {unit}なら80%の確率で判定できる{ja_runs}{ja_there}",
        f"{integer(low)} {unit} in all decide it with even chances, {integer(high)} with 80%{en_runs}{en_there}",
    )


def items_there(row: _Row, benchmark: _Row) -> int | None:
    """Return how many items the benchmark has at all, if fewer than would decide a comparison; else None."""
    there, wanted = int(benchmark["n_items_total"]), row.get("items_to_decide")
    return there if wanted and wanted > there else None


def unit_of(words: Words, row: _Row) -> str:
    """Return what is counted: the items of a text are its chunks. The mean over benchmarks has no metric."""
    return words.say("チャンク", "chunks") if row.get("metric") == "nll" else words.say("問", "items")
