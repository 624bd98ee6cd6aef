"""The table of means by category, for report and model card: one row per category, one column per arm."""

from __future__ import annotations

from collections.abc import Sequence

from reporting.categories import category_title, shown_row
from reporting.documents.phrases import dash_with_reason
from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings, Json
from reporting.wording import Words, header, integer, metric_title, scale_of


def categories_table(findings: Findings, words: Words, arms: Sequence[Json]) -> Table:
    """Return the mean of each of `arms` with its interval. The table has no rows if no benchmark has a category."""
    groups: dict[tuple[str, str], dict[str, Json]] = {}
    for row in findings.categories:
        groups.setdefault((row["category"], row["metric"]), {})[row["arm"]] = shown_row(row)
    named = {name for rows in groups.values() for name in rows}
    shown = [arm for arm in arms if arm["name"] in named]
    columns = [
        (header(words, "category"), False),
        (words.say("ベンチマーク", "Benchmarks"), False),
        *((str(arm["name"]), True) for arm in shown),
    ]
    return make_table(columns, [_cells(words, category, rows, shown) for (category, _), rows in groups.items()])


def _cells(words: Words, category: str, rows: dict[str, Json], arms: Sequence[Json]) -> tuple[str, ...]:
    known = [row for row in rows.values() if row["mean"] is not None]
    first = next(iter(rows.values()))
    scale = scale_of(first["metric"], [end for row in known for end in (row["mean"], *(row["ci95"] or ()))])
    n_items = max((row["n_items"] for row in known), default=0)
    title = f"{category_title(words, category)}\n{metric_title(words, first['metric'])}, n = {integer(n_items)}"
    cells = []
    for arm in arms:
        row = rows[arm["name"]]
        if row["mean"] is None:
            cells.append(dash_with_reason(words, row, "mean"))
        else:
            fewer = f"\nn = {integer(row['n_items'])}" if row["n_items"] < n_items else ""
            cells.append(f"{scale.value(row['mean'])}\n{scale.interval(row['ci95'])}{fewer}")
    return (title, "\n".join(first["benchmarks"]), *cells)
