"""Sentences about early stop: what ended when, how many records were saved, and which interval is shown.

There are no sentences if the run had no early stop.
"""

from __future__ import annotations

from collections.abc import Container

from reporting.results_folder import Findings, Json
from reporting.wording import Words, integer, listed, number, verdict_word


def early_stop_sentences(findings: Findings, words: Words, arms: Container[str] | None = None) -> list[str]:
    """Return one sentence per comparison that ended early, then the total saved.

    Args:
        findings: the results.
        words: the language.
        arms: only comparisons of these arms. None: all. The total is that of the run.
    """
    early = findings.early_stop
    if early is None:
        return []
    ended = [row for row in findings.sequential_comparisons if row["early_stop"]["decided"]]
    sentences = [_sentence(words, row) for row in ended if arms is None or row["arm"] in arms]
    share = number(100 * early["share_saved"], 0)
    saved, planned = integer(early["n_records_saved"]), integer(early["n_records_planned"])
    names = listed(words, early["benchmarks"])
    if words.en:
        sentences += [] if ended else [f"No verdict was reached before the end on {names}."]
        sentences.append(f"Of the {planned} records planned on {names}, {saved} ({share}%) were not needed.")
        sentences.append("Their intervals and p values come from a betting sequence, which holds whenever one stops.")
        return sentences
    sentences += [] if ended else [f"{names} では、最後まで判定が確定しなかった。"]
    sentences.append(f"{names} では、計画した {planned} 件の記録のうち {saved} 件({share}%)を省略できた。")
    sentences.append("これらの区間と p 値は、どの時点で止めても成り立つ信頼系列(betting)による。")
    return sentences


def _sentence(words: Words, row: Json) -> str:
    stop = row["early_stop"]
    verdict = verdict_word(words, row["verdict"])
    looked_at, planned = integer(stop["n_items_looked_at"]), integer(stop["n_items_planned"])
    after = stop["n_items_after"]
    if words.en:
        text = f"{row['benchmark']} ended early for {row['arm']}: {verdict} after {looked_at} of {planned} items"
        return text + (f"; {integer(after)} items that were already running are not counted." if after else ".")
    text = f"{row['benchmark']} の {row['arm']} は、{planned} 問中 {looked_at} 問で評価を終えた(判定: {verdict})"
    return text + (f"。実行中だった {integer(after)} 問は数えない。" if after else "。")
