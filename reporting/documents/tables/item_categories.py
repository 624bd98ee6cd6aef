"""The table of means by the items' own categories, as those of MT-Bench: a row per category, a column per arm."""

from __future__ import annotations

from collections.abc import Sequence

from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, header, integer, scale_of


def item_categories_table(findings: Findings, words: Words) -> Table:
    """Return the mean of each arm with its interval, and the difference from its reference below it.

    The table has no rows if no benchmark has categories and scores.
    """
    groups: dict[tuple[str, str], dict[str, Json]] = {}
    for row in findings.item_categories:
        groups.setdefault((row["benchmark"], row["item_category"]), {})[row["arm"]] = row
    named = {name for rows in groups.values() for name in rows}
    arms = [str(arm["name"]) for arm in findings.arms if arm["name"] in named]
    columns = [
        (header(words, "benchmark"), False),
        (header(words, "category"), False),
        ("n", True),
        *((arm, True) for arm in arms),
    ]
    return make_table(columns, [_cells(key, rows, arms) for key, rows in groups.items()])


def _cells(key: tuple[str, str], rows: dict[str, Json], arms: Sequence[str]) -> tuple[str, ...]:
    n_items = max(row["n_items"] for row in rows.values())
    return (*key, integer(n_items), *(_cell(rows.get(arm), n_items) for arm in arms))


def _cell(row: Json | None, n_items: int) -> str:
    if row is None or row["mean"] is None:
        return DASH
    scale = scale_of(row["metric"], [row["mean"]])
    lines = [scale.value(row["mean"]), scale.interval(row["ci95"])]
    if row["difference"] is not None:
        lines += [f"Δ {scale.difference(row['difference'])}", scale.signed_interval(row["difference_ci95"])]
    if row["n_items"] < n_items:
        lines.append(f"n = {integer(row['n_items'])}")
    return "\n".join(lines)
