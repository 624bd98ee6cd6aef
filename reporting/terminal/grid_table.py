"""The table of a grid's effects in the terminal summary, in English.

It has the main effects, and every pair of importance matrices in each language. The report also has the interactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reporting.wording import Words, difference_words

_NONE = "-"


def grid_table(grid: Mapping[str, Any]) -> list[list[str]]:
    """Return rows of text: the header, then for each effect the level, the baseline, what differs, and the numbers."""
    rows = [["level", "against", "what", "on", "difference", "95% CI", "p"]]
    rows += [_row(row, str(row["factors"][0]), "all") for row in grid["effects"] if len(row["factors"]) == 1]
    alone = len(grid["languages"]) == 1
    for row in grid["contrasts"]:
        if row["within"] is not None or (alone and row["factors"] == ["imatrix"]):
            rows.append(_row(row, difference_words(Words("en"), dict(row)), row["within"] or "all"))
    return rows


def _row(row: Mapping[str, Any], what: str, on: str) -> list[str]:
    level, baseline = (str(row[name][0]).removeprefix("perplexity_") for name in ("levels", "baselines"))
    bounds = row["ci95"]
    interval = _NONE if bounds is None else f"[{bounds[0]:+.4f}, {bounds[1]:+.4f}]"
    adjusted = row["p_adjusted"]
    p_value = _NONE if adjusted is None else "<0.001" if adjusted < 0.001 else f"{adjusted:.3f}"
    return [level, baseline, what, on.removeprefix("perplexity_"), f"{row['estimate']:+.4f}", interval, p_value]
