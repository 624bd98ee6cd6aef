"""Sentences about the verdicts of the analysis, in one language, and about what could not be decided.

No verdict is made here: the sentences follow the codes of `statistical_analysis.json`. There are no sentences if the
results folder has no verdicts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.documents.phrases import code_in_words, count_with_unscored
from reporting.results_folder import Findings, Json, unscored_of
from reporting.wording import Words, difference_scale, integer, verdict_word


def verdict_sentences(findings: Findings, words: Words) -> list[str]:
    """Return the verdict of each arm, then the smallest arm that may be shipped, then arms out of order.

    Arms with the same verdict on the same benchmarks share a sentence.

    Args:
        findings: the results.
        words: the language.
    """
    if findings.analysis is None:
        return []
    # The noise floor is not a candidate.
    verdicts = [row for row in findings.analysis.get("verdicts", []) if not row["arm"].endswith(AA_SUFFIX)]
    sentences = [_arm_sentence(words, rows) for rows in _group_equal(verdicts)]
    sentences += [_selection_sentence(words, row) for row in findings.analysis.get("selections", [])]
    return sentences + [_order_sentence(words, row) for row in findings.analysis.get("out_of_order", [])]


def verdict_notes(findings: Findings, words: Words) -> list[str]:
    """Return what the verdict box and the table of verdicts do not say: small losses, how the smallest arm was found,
    and arms out of order.
    """
    if findings.analysis is None:
        return []
    small: dict[tuple[str, ...], list[str]] = {}
    for row in findings.analysis.get("verdicts", []):
        within = tuple(name for name in row["measurably_worse_on"] if name in row["no_worse_on"])
        if within and not row["arm"].endswith(AA_SUFFIX):
            small.setdefault(within, []).append(row["arm"])
    sentences = [
        words.say(
            f"{_listed(words, arms)}: {_listed(words, within)} では、許容幅に収まる低下が確認された。",
            f"{_listed(words, arms)}: a loss within the margin was shown on {_listed(words, within)}.",
        )
        for within, arms in small.items()
    ]
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
    notes = [*_notes(words, row), *_unscored_note(words, row)]
    if words.en:
        text = f"{arms} against {row['reference']}: {verdict}" + (f" ({grounds})" if grounds else "") + "."
        notes = ([f"A loss within the margin was shown on {_listed(words, within)}."] if within else []) + notes
        return " ".join([text, *notes])
    text = f"{arms} は「{verdict}」である(基準: {row['reference']})。" + (f"内訳は、{grounds}。" if grounds else "")
    return text + "".join(
        ([f"{_listed(words, within)} では、許容幅に収まる低下が確認された。"] if within else []) + notes
    )


_NOTED = ("loss_shown", "unscored", "floor", "ceiling")


def _notes(words: Words, row: Json) -> list[str]:
    """Return a sentence for each reason that keeps benchmarks undecided and that more items alone do not remove."""
    ja = {
        "loss_shown": "{} では低下が確認されたが、許容幅を超えるかどうかは未確定である。",
        "unscored": "{} では、採点不能の記録をアームに不利に数えると「許容内」とは言えない。",
        "floor": "{} では、基準の正答が少なすぎて、許容幅の低下を測れない。",
        "ceiling": "{} は易しすぎる(基準の誤答が許容幅より少ない)ため、「許容内」とは判定しない。",
    }
    en = {
        "loss_shown": "A loss is shown on {}; whether it exceeds the margin is open.",
        "unscored": "On {}, the arm is not shown to be no worse if unscored records count against it.",
        "floor": "On {}, the reference gets too little right for a loss of the margin to show.",
        "ceiling": "The items of {} are too easy to claim no worse: the reference gets less wrong than the margin.",
    }
    texts = en if words.en else ja
    return [texts[code].format(_listed(words, row[f"{code}_on"])) for code in _NOTED if row.get(f"{code}_on")]


def _unscored_note(words: Words, row: Json) -> list[str]:
    arm, reference = (integer(row.get(name) or 0) for name in ("n_unscored", "n_unscored_reference"))
    if arm == reference == "0":
        return []
    records = integer(row.get("n_records"))
    return [
        words.say(
            f"採点不能の記録: アーム {arm} 件({records} 件中)、基準 {reference} 件。",
            f"Unscored records: {arm} of {records} of the arm, {reference} of the reference.",
        )
    ]


def _selection_sentence(words: Words, row: Json) -> str:
    smallest, ended, reference = row["smallest_no_worse"], row["stopped_at"], _reference(words, row)
    if row.get("n_unscored"):
        of = f"{integer(row['n_unscored'])} / {integer(row['n_records'])}"
        smallest += words.say(f"(採点不能の記録 {of} 件)", f" (unscored records: {of})")
    if words.en:
        text = f"The smallest arm shown to be no worse than {reference}: {smallest or 'none'}"
        return text + (f" (tested from the largest file down; stopped at {ended})." if ended else ".")
    text = f"{reference} に対して「許容内」と判定された最小のアーム: {smallest or 'なし'}"
    return text + (f"(大きいファイルから順に検定し、{ended} で終了)。" if ended else "。")


def _reference(words: Words, row: Json) -> str:
    """Return the name of the reference, and what it is if the original weights were not there to compare with."""
    source = row.get("reference_dequantized_from")
    note = (
        words.say(f"({source} のファイルを逆量子化したもの)", f" (the {source} source, dequantized)") if source else ""
    )
    return f"{row['reference']}{note}"


def _order_sentence(words: Words, row: Json) -> str:
    return words.say(
        f"順序の逆転: {row['benchmark']} では、{row['larger']} がより小さい {row['smaller']} よりも悪い。",
        f"Out of order: {row['larger']} is worse than the smaller {row['smaller']} on {row['benchmark']}.",
    )


def undecided_sentences(findings: Findings, words: Words) -> list[str]:
    """Return one sentence per undecided comparison: the smallest loss it can detect, and what would decide it.

    Args:
        findings: the results.
        words: the language.
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
        count = count_with_unscored(words, row["n_items"], unscored_of(row))
        text = f"{row['benchmark']}, {row['arm']}: undecided at n = {count}"
        text += f" (margin {allowed}; {_reason(words, row)})" if allowed else f" ({_reason(words, row)})"
        text += f"; the smallest loss that this many items can detect is {found}" if found else ""
        needed = _needed(words, row)
        return text + (f"; {needed}." if needed else ".")
    count = count_with_unscored(words, row["n_items"], unscored_of(row))
    text = f"{row['benchmark']}、{row['arm']}: n = {count} では判定保留"
    text += f"(許容幅 {allowed}。{_reason(words, row)})" if allowed else f"({_reason(words, row)})"
    text += f"。この問題数で検出できる最小の低下は {found}" if found else ""
    needed = _needed(words, row)
    return text + (f"。{needed}。" if needed else "。")


def _reason(words: Words, row: Json) -> str:
    joint = words.say("、", "; ")
    return joint.join(code_in_words(words, code) for code in row.get("verdict_grounds") or ["no_margin"])


def _needed(words: Words, row: Json) -> str:
    """Return how many items or runs would decide, or why that cannot be said; nothing if more would not help."""
    if row.get("items_to_decide_reason") == "too_few_items":
        return words.say(
            "問題が少なすぎるため、判定に必要な問題数は見積もれない", "too few items to say how many would decide"
        )
    if not row.get("items_to_decide"):
        return ""
    low, high = row.get("items_to_decide_range") or (row["items_to_decide"],) * 2
    runs = row.get("runs_to_decide")
    ja_runs, en_runs = (f"、または {integer(runs)} 回の実行", f", or {integer(runs)} runs") if runs else ("", "")
    return words.say(
        f"判定には合計 {integer(low)}(五分五分)から {integer(high)} 問(80%の確率){ja_runs}が必要と見込まれる",
        f"between {integer(low)} items (even chances) and {integer(high)} items (80%) in all{en_runs} would decide",
    )


def _listed(words: Words, names: Sequence[str]) -> str:
    return words.say("、", ", ").join(names)
