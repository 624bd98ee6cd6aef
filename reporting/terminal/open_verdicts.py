"""Why a verdict is undecided and what would decide it, in the words of the terminal summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMED = ("loss_shown", "unscored", "floor", "ceiling", "spans_share")
"""The grounds that the summary names. The others follow from the interval that it shows."""
OPEN = {
    "loss_shown": "a loss is shown, whether it exceeds the margin is open",
    "unscored": "not shown to be no worse if unscored records count against it",
    "floor": "the reference gets too little right to measure a loss",
    "ceiling": "too easy to measure a loss: the reference gets less wrong than the margin",
    "spans_share": "more may be lost than the allowed share of what the reference gets right",
    "spans_margin": "more may be lost than the margin",
    "no_interval": "no interval",
    "no_margin": "no margin is set",
    "not_judged": "not judged",
}
"""Ground of an undecided verdict -> its words."""
_INSTEAD = {
    "too_few_items": "cannot be said from so few items",
    "unscored": "the unscored records",
    "floor": "items that the reference gets right",
    "ceiling": "harder items",
    "no_judge": "a judge",
    "no_margin": "a margin",
}
"""Reason why no number of items is given -> what would decide instead."""


def needed(row: Mapping[str, Any]) -> str:
    """Return the items, and the runs if they would help, that would decide a comparison, or what else would."""
    if not row["items_to_decide"]:
        return _INSTEAD.get(row["items_to_decide_reason"], "unknown")
    low, high = row.get("items_to_decide_range") or (row["items_to_decide"],) * 2
    runs = f" or {row['runs_to_decide']:,} runs" if row["runs_to_decide"] else ""
    return f"{low:,} to {high:,} items{runs}"
