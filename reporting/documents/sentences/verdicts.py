"""Sentences about the verdicts of the analysis, which stand below the table of verdicts.

No verdict is made here: the sentences follow the codes of `statistical_analysis.json`. There are none if the results
folder has no verdicts.
"""

from __future__ import annotations

from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.results_folder import Findings, Json
from reporting.wording import Words, integer, listed


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
            f"{listed(words, arms)}: {listed(words, within)} では、許容幅に収まる低下が確認された。",
            f"{listed(words, arms)}: a loss within the margin was shown on {listed(words, within)}.",
        )
        for within, arms in small.items()
    ]
    sentences += [_selection_sentence(words, row) for row in findings.analysis.get("selections", [])]
    return sentences + [_order_sentence(words, row) for row in findings.analysis.get("out_of_order", [])]


def _selection_sentence(words: Words, row: Json) -> str:
    smallest, ended, reference = row["smallest_no_worse"], row["stopped_at"], _reference(words, row)
    if row.get("n_unscored"):
        of = f"{integer(row['n_unscored'])} / {integer(row['n_records'])}"
        smallest += words.say(f"(採点不能の記録 {of} 件)", f" (unscored records: {of})")
    if words.en:
        text = f"The smallest arm shown to be no worse than {reference}: {smallest or 'none'}"
        return text + (f" (tested from the largest file down; stopped at {ended})." if ended else ".")
    gap = "" if row.get("reference_dequantized_from") else " "
    text = f"{reference}{gap}に対して「許容内」と判定された最小のアーム: {smallest or 'なし'}"
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
