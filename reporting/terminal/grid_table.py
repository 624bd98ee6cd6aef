"""The effects of a grid in the terminal summary, in English.

It has the main effects, and every pair of importance matrices in each language. The report also has the interactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reporting.terminal.layout import columns, short_name, wrapped
from reporting.wording import Words, difference_words

_NONE = "-"


def grid_section(grid: Mapping[str, Any]) -> str:
    """Return the section of one grid: a table for each thing that differs between the levels, and where it counts."""
    title = (
        f"Effects of recipe, importance matrix and language on the loss against {short_name(grid['reference'])},"
        " in ln PPL (negative: a smaller loss; p adjusted by Holm's method)"
    )
    chunks = ", ".join(f"{name} {count}" for name, count in grid["n_chunks"].items())
    lines = [wrapped(title), wrapped(f"chunks of text: {chunks}")]
    header = ["level", "against", "difference", "95% CI", "p"]
    for heading, rows in _tables(grid).items():
        lines += [wrapped(heading), *columns([header, *rows], left=(0, 1), indent=2)]
    lines += [
        wrapped(
            f"{short_name(first)} and {short_name(second)} gave the same loss on every chunk: they are the same weights"
        )
        for first, second in grid.get("equal_recipes", [])
    ]
    return "\n".join(lines)


def _tables(grid: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the rows of each table, by its heading."""
    tables: dict[str, list[list[str]]] = {}
    for row in grid["effects"]:
        if len(row["factors"]) == 1:
            tables.setdefault(f"{row['factors'][0]}, on average over the rest:", []).append(_row(row))
    alone = len(grid["languages"]) == 1
    for row in grid["contrasts"]:
        if row["within"] is not None or (alone and row["factors"] == ["imatrix"]):
            where = f" on {_language(row['within'])}" if row["within"] else ""
            heading = f"{difference_words(Words('en'), dict(row))}{where}:"
            tables.setdefault(heading[:1].upper() + heading[1:], []).append(_row(row))
    return tables


def _row(row: Mapping[str, Any]) -> list[str]:
    """Return the level, the baseline, and the numbers."""
    level, baseline = (_language(row[name][0]) for name in ("levels", "baselines"))
    bounds = row["ci95"]
    interval = _NONE if bounds is None else f"[{bounds[0]:+.4f}, {bounds[1]:+.4f}]"
    adjusted = row["p_adjusted"]
    p_value = _NONE if adjusted is None else "<0.001" if adjusted < 0.001 else f"{adjusted:.3f}"
    return [level, baseline, f"{row['estimate']:+.4f}", interval, p_value]


def _language(name: str) -> str:
    return short_name(str(name).removeprefix("perplexity_"))
