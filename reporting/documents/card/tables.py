"""The tables of a model card: its files with what each costs and may be used for, and the results."""

from __future__ import annotations

from collections.abc import Sequence

from reporting.documents.card.files import PublishedFile, link
from reporting.documents.card.recommendation import recommendation
from reporting.documents.phrases import count_with_unscored
from reporting.documents.tables.results import Table, make_table
from reporting.documents.view import View
from reporting.results_folder import Findings, Json
from reporting.shown_verdict import shown_verdict, shown_word
from reporting.wording import (
    DASH,
    Words,
    benchmark_title,
    header,
    metric_title,
    number,
    scale_of,
    size_unit,
)

_VERDICT = 3
"""Place of the verdict in the table of a verdict box. The card says instead what the file may be used for."""


def files_tables(findings: Findings, view: View, model: str, files: Sequence[PublishedFile]) -> list[Table]:
    """Return a table per reference, with what each file costs; the files that were not compared have their own."""
    words, tables, shown = view.words, [], set[str]()
    for box, table in zip(view.boxes, view.box_tables, strict=True):
        costs = {file.arm: row[_VERDICT + 1 :] for file, row in zip(box.files, table.rows, strict=True)}
        own = [one for one in files if box.model == model and one.arm["name"] in {*costs, box.reference}]
        if own:
            tables.append(_files_table(findings, words, own, table, costs))
            shown |= {one.arm["name"] for one in own}
    rest = [one for one in files if one.arm["name"] not in shown]
    return [*tables, *([_files_table(findings, words, rest, _uncompared(words), {})] if rest else [])]


def _uncompared(words: Words) -> Table:
    """Return a table without rows: the columns of files that have no reference."""
    names = ("file", "size", "bits_per_weight", "verdict")
    return make_table([(header(words, name), name in names[1:3]) for name in names], [])


def _files_table(
    findings: Findings,
    words: Words,
    files: Sequence[PublishedFile],
    compared: Table,
    costs: dict[str, tuple[str, ...]],
) -> Table:
    """Return the table of a verdict box with links to the files, the reference, and what each file may be used for."""
    unit = size_unit(max((one.arm["size_bytes"] or 0 for one in files), default=0))
    columns = list(zip(compared.headers, compared.numeric, strict=True))
    columns[_VERDICT] = (words.say("用途の目安", "Recommended for"), False)
    rows = [
        (
            link(one.file_name, one.file_name),
            unit.text(one.arm["size_bytes"]),
            number(one.arm["bits_per_weight"], 2),
            recommendation(findings, words, one.arm),
            *costs.get(one.arm["name"], (DASH,) * (len(columns) - _VERDICT - 1)),
        )
        for one in files
    ]
    return make_table(columns, rows)


def results_table(findings: Findings, words: Words, model: str) -> Table:
    """Return one row per arm and one column per benchmark: the mean, its interval, and the verdict if there is one."""
    arms = [arm for arm in findings.candidates if arm["model"] == model]
    columns = [(header(words, "arm"), False)]
    cells: dict[str, list[str]] = {arm["name"]: [str(arm["name"])] for arm in arms}
    for benchmark in findings.benchmarks:
        shown = findings.shown_rows(benchmark["name"])
        compared = {row["arm"]: row for row in findings.compared(benchmark["name"])}
        metric = next(iter(shown.values()))["metric"] if shown else benchmark["metric"]
        columns.append((_benchmark_header(words, benchmark, metric, shown), True))
        values = [value for row in shown.values() for value in (row["mean"], *(row["ci95"] or ()))]
        scale = scale_of(metric, values)
        for name, own in cells.items():
            row = shown.get(name)
            text = DASH if row is None else f"{scale.value(row['mean'])}\n{scale.interval(row['ci95'])}"
            verdict = shown_word(words, shown_verdict(compared.get(name, {})))
            own.append(f"{text}\n{verdict}" if verdict else text)
    return make_table(columns, [tuple(own) for own in cells.values()])


def _benchmark_header(words: Words, benchmark: Json, metric: str, shown: dict[str, Json]) -> str:
    """Return a benchmark's title, its metric, the number of items, and the score of the verdict if it is another."""
    n_items = max((row["n_items"] for row in shown.values()), default=0)
    unscored = max((row["n_unscored"] for row in shown.values()), default=0)
    count = count_with_unscored(words, n_items, unscored)
    title = f"{benchmark_title(words, benchmark)}\n{metric_title(words, metric)}, n = {count}"
    score = str(benchmark.get("verdict_score", benchmark["metric"]))
    if score != benchmark["metric"]:
        title += f"\n{header(words, 'verdict')}: {metric_title(words, score)}"
    return title
