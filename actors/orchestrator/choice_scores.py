"""The continuous scores of a multiple-choice record. They come from what every record holds, so old records serve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from actors.items import Choose, Item
from stats.choices import gold_probability


def choice_scores(record: Mapping[str, Any], item: Item | None) -> dict[str, float | None]:
    """Return `gold_probability` and `gold_loglik` (nats) of a record; empty if its item has no choices."""
    logliks = record.get("choice_logliks")
    if item is None or not isinstance(item.task, Choose) or not logliks or record["outcome"] == "measured":
        return {}
    loglik = float(logliks[item.target])
    return {
        "gold_probability": gold_probability(logliks, item.task.lengths, item.target),
        "gold_loglik": loglik if math.isfinite(loglik) else None,
    }
