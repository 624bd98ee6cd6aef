"""The table of early stop: when each arm ended on each benchmark, and what was not run.

The table has no rows if the run had no early stop.
"""

from __future__ import annotations

from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, header, integer, number, verdict_word


def early_stop_table(findings: Findings, words: Words) -> Table:
    """Return one row per arm and benchmark that may end early, with the references first."""
    columns = [
        (header(words, "benchmark"), False),
        (header(words, "arm"), False),
        (header(words, "verdict"), False),
        (words.say("確定までの問題数", "Items to verdict"), True),
        (words.say("計画した問題数", "Items planned"), True),
        (words.say("省略した問題数", "Items not run"), True),
        (words.say("省略した記録数", "Records not made"), True),
    ]
    early = findings.early_stop
    if early is None:
        return make_table(columns, [])
    reference = words.say("(基準)", "(reference)")
    rows = [_cells(row["benchmark"], row["arm"], row, reference, DASH) for row in early["references"]]
    for row in findings.sequential_comparisons:
        stop = row["early_stop"]
        decided = verdict_word(words, row["verdict"]) if stop["decided"] else DASH
        looked_at = integer(stop["n_items_looked_at"]) if stop["decided"] else DASH
        rows.append(_cells(row["benchmark"], row["arm"], stop, decided, looked_at))
    order = {name: place for place, name in enumerate(early["benchmarks"])}
    return make_table(columns, sorted(rows, key=lambda row: order[row[0]]))


def _cells(benchmark: str, arm: str, stop: Json, decided: str, looked_at: str) -> tuple[str, ...]:
    share = number(100 * stop["n_records_saved"] / stop["n_records_planned"], 0)
    counts = (integer(stop["n_items_planned"]), integer(stop["n_items_saved"]))
    return (benchmark, arm, decided, looked_at, *counts, f"{integer(stop['n_records_saved'])} ({share}%)")
