"""Early stop in words and as a table: what ended when, what was not run, and which interval is shown for it.

A results folder of a run without early stop gives no sentence and no row.
"""

from __future__ import annotations

from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, integer, number, verdict_word


def early_sentences(findings: Findings, words: Words) -> list[str]:
    """How many items each comparison that ended took, then what was saved in all. `words`: ja or en, not both."""
    early = _early(findings)
    if early is None:
        return []
    ended = [row for row in _looked_at(findings) if row["early_stop"]["decided"]]
    sentences = [_sentence(words, row) for row in ended]
    share = number(100 * early["share_saved"], 0)
    saved, planned = integer(early["n_records_saved"]), integer(early["n_records_planned"])
    names = words.say("、", ", ").join(early["benchmarks"])
    if words.en:
        sentences += [] if ended else [f"Nothing was decided before the end on {names}."]
        sentences.append(f"Of {planned} records planned on {names}, {saved} ({share}%) were not made.")
        sentences.append("Intervals and p values there are those of a betting sequence, valid whenever one stops.")
        return sentences
    sentences += [] if ended else [f"{names} では、終わりまでに決まったものはない。"]
    sentences.append(f"{names} に計画された記録 {planned} 件のうち {saved} 件({share}%)は作らずに済んだ。")
    sentences.append("そこに示す区間と p 値は、いつ止めても成り立つ賭けの信頼列のものである。")
    return sentences


def _sentence(words: Words, row: Json) -> str:
    stop = row["early_stop"]
    verdict = verdict_word(words, row["verdict"])
    looked_at, planned = integer(stop["n_items_looked_at"]), integer(stop["n_items_planned"])
    after = stop["n_items_after"]
    if words.en:
        text = f"{row['benchmark']} ended early for {row['arm']}: {verdict} after {looked_at} of {planned} items"
        return text + (f"; {integer(after)} more had been begun and are left out." if after else ".")
    text = f"{row['benchmark']} は {row['arm']} について {planned} 問中 {looked_at} 問で終えた({verdict})"
    return text + (f"。すでに始めていた {integer(after)} 問は数えない。" if after else "。")


def early_table(findings: Findings, words: Words) -> Table:
    """Every arm on every benchmark that may end early, the references with them."""
    columns = [
        (words.say("ベンチマーク", "Benchmark", "\n"), False),
        (words.say("アーム", "Arm", "\n"), False),
        (words.say("決定", "Decided", "\n"), False),
        (words.say("決定までの問題数", "Decided after", "\n"), True),
        (words.say("計画", "Planned", "\n"), True),
        (words.say("未実施の問題", "Items not run", "\n"), True),
        (words.say("未実施の記録", "Records not made", "\n"), True),
    ]
    early = _early(findings)
    if early is None:
        return make_table(columns, [])
    reference = words.say("(基準)", "(reference)", "\n")
    rows = [_cells(row["benchmark"], row["arm"], row, reference, DASH) for row in early["references"]]
    for row in _looked_at(findings):
        stop = row["early_stop"]
        decided = verdict_word(words, row["verdict"], "\n") if stop["decided"] else DASH
        looked_at = integer(stop["n_items_looked_at"]) if stop["decided"] else DASH
        rows.append(_cells(row["benchmark"], row["arm"], stop, decided, looked_at))
    order = {name: place for place, name in enumerate(early["benchmarks"])}
    return make_table(columns, sorted(rows, key=lambda row: order[row[0]]))


def _cells(benchmark: str, arm: str, stop: Json, decided: str, looked_at: str) -> tuple[str, ...]:
    share = number(100 * stop["n_records_saved"] / stop["n_records_planned"], 0)
    counts = (integer(stop["n_items_planned"]), integer(stop["n_items_saved"]))
    return (benchmark, arm, decided, looked_at, *counts, f"{integer(stop['n_records_saved'])} ({share}%)")


def _early(findings: Findings) -> Json | None:
    return None if findings.analysis is None else findings.analysis.get("early_stop")


def _looked_at(findings: Findings) -> list[Json]:
    rows = (row for benchmark in findings.benchmarks for row in findings.compared(benchmark["name"]))
    return [row for row in rows if row.get("early_stop")]
