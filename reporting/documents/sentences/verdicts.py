"""Sentences about the verdicts of the analysis, in one language, and about what could not be decided.

No verdict is made here: the sentences follow the codes of `statistical_analysis.json`. There are no sentences if the
results folder has no verdicts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from reporting.analysis.cells import AA_SUFFIX
from reporting.documents.phrases import code_in_words
from reporting.results_folder import Findings, Json
from reporting.wording import Words, difference_scale, integer, verdict_word


def verdict_sentences(findings: Findings, words: Words) -> list[str]:
    """Return the verdict of each arm, then the smallest arm that may be shipped, then arms out of order.

    Arms with the same verdict on the same benchmarks share a sentence.

    Args:
        findings: the results.
        words: `ja` or `en`, not `both`.
    """
    if findings.analysis is None:
        return []
    # The noise floor is not a candidate.
    verdicts = [row for row in findings.analysis.get("verdicts", []) if not row["arm"].endswith(AA_SUFFIX)]
    sentences = [_arm_sentence(words, rows) for rows in _group_equal(verdicts)]
    sentences += [_selection_sentence(words, row) for row in findings.analysis.get("selections", [])]
    return sentences + [_order_sentence(words, row) for row in findings.analysis.get("out_of_order", [])]


def _group_equal(verdicts: Sequence[Json]) -> list[list[Json]]:
    """Group the rows that differ only in the arm. Groups keep the order of their first rows."""
    groups: dict[str, list[Json]] = {}
    for row in verdicts:
        groups.setdefault(json.dumps({**row, "arm": None}, sort_keys=True), []).append(row)
    return list(groups.values())


def _arm_sentence(words: Words, rows: Sequence[Json]) -> str:
    row, arms = rows[0], _listed(words, [str(row["arm"]) for row in rows])
    verdict = verdict_word(words, row["verdict"])
    parts = [
        f"{verdict_word(words, code)}: {_listed(words, row[name])}"
        for code, name in (("worse", "worse_on"), ("undecided", "undecided_on"), ("no_worse", "no_worse_on"))
        if row[name]
    ]
    grounds = "; ".join(parts)
    within = [name for name in row["measurably_worse_on"] if name in row["no_worse_on"]]
    if words.en:
        text = f"{arms} against {row['reference']}: {verdict}" + (f" ({grounds})" if grounds else "") + "."
        return text + (f" A loss within the margin was shown on {_listed(words, within)}." if within else "")
    text = f"{arms} は「{verdict}」である(基準: {row['reference']})。" + (f"内訳は、{grounds}。" if grounds else "")
    return text + (f"{_listed(words, within)} では、許容幅に収まる低下が確認された。" if within else "")


def _selection_sentence(words: Words, row: Json) -> str:
    smallest, ended, reference = row["smallest_no_worse"], row["stopped_at"], row["reference"]
    if words.en:
        text = f"The smallest arm shown to be no worse than {reference}: {smallest or 'none'}"
        return text + (f" (tested from the largest file down; stopped at {ended})." if ended else ".")
    text = f"{reference} に対して「許容内」と判定された最小のアーム: {smallest or 'なし'}"
    return text + (f"(大きいファイルから順に検定し、{ended} で終了)。" if ended else "。")


def _order_sentence(words: Words, row: Json) -> str:
    return words.say(
        f"順序の逆転: {row['benchmark']} では、{row['larger']} がより小さい {row['smaller']} よりも悪い。",
        f"Out of order: {row['larger']} is worse than the smaller {row['smaller']} on {row['benchmark']}.",
    )


def undecided_sentences(findings: Findings, words: Words) -> list[str]:
    """Return one sentence per undecided comparison: the smallest loss it can detect, and what would decide it.

    Args:
        findings: the results.
        words: `ja` or `en`, not `both`.
    """
    sentences = []
    for benchmark in findings.benchmarks:
        rows = findings.compared(benchmark["name"])
        undecided = [row for row in rows if row.get("verdict") == "undecided" and not row["arm"].endswith(AA_SUFFIX)]
        sentences += [_undecided(words, row, rows) for row in undecided]
    return sentences


def _undecided(words: Words, row: Json, rows: Sequence[Json]) -> str:
    scale = difference_scale(list(rows))
    drop = row.get("detectable_drop")
    found = None if drop is None else scale.difference(drop).removeprefix("+")
    margin = row.get("margin")
    allowed = None if margin is None else scale.difference(margin).removeprefix("+")
    if words.en:
        text = f"{row['benchmark']}, {row['arm']}: undecided at n = {row['n_items']}"
        text += f" (margin {allowed})" if allowed else f" ({_reason(words, row)})"
        text += f"; the smallest loss that this many items can detect is {found}" if found else ""
        needed = _needed(words, row)
        return text + (f"; if the differences stay as they are, {needed} would decide." if needed else ".")
    text = f"{row['benchmark']}、{row['arm']}: n = {row['n_items']} では判定保留"
    text += f"(許容幅 {allowed})" if allowed else f"({_reason(words, row)})"
    text += f"。この問題数で検出できる最小の低下は {found}" if found else ""
    needed = _needed(words, row)
    return text + (f"。差の傾向が変わらなければ、{needed}で判定できる。" if needed else "。")


def _reason(words: Words, row: Json) -> str:
    return code_in_words(words, (row.get("verdict_grounds") or ["no_margin"])[0])


def _needed(words: Words, row: Json) -> str:
    ways = []
    for key, ja, en in (("items_to_decide", "問", "items"), ("runs_to_decide", "回の実行", "runs")):
        if row.get(key):
            ways.append(words.say(f"{integer(row[key])} {ja}", f"{integer(row[key])} {en}"))
    return words.say("または ", " or ").join(ways)


def _listed(words: Words, names: Sequence[str]) -> str:
    return words.say("、", ", ").join(names)
