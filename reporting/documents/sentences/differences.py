"""What a difference and its interval allow to be said in words, and no more.

No verdict is made here (those stand in the analysis, by margins and adjusted p values): an interval either includes 0
or lies on one side of it.
"""

from __future__ import annotations

from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.documents.reasons import null_with_reason
from reporting.results_folder import Findings, Json
from reporting.wording import Words, benchmark_title, difference_scale


def reading(words: Words, row: Json, higher_is_better: bool, joint: str = " / ") -> str:
    """One comparison in a few words."""
    if row["ci95"] is None:
        return words.say("区間なし", "no interval", joint)
    low, high = row["ci95"]
    if low <= 0 <= high:
        return words.say("区間は0を含む", "interval includes 0", joint)
    worse = (high < 0) == higher_is_better
    ja_side, en_side = ("悪い方向", "towards worse") if worse else ("良い方向", "towards better")
    ja, en = ("低い", "lower") if high < 0 else ("高い", "higher")
    return words.say(f"{ja}({ja_side})、区間は0を含まない", f"{en} ({en_side}), interval excludes 0", joint)


def summary_sentences(findings: Findings, words: Words) -> list[str]:
    """A sentence an arm and benchmark, in each wanted language, in the order of the benchmarks."""
    sentences: list[str] = []
    for benchmark in findings.benchmarks:
        # The noise floor stands in the tables.
        rows = [row for row in findings.compared(benchmark["name"]) if not row["arm"].endswith(AA_SUFFIX)]
        for lang in (Words("ja") if words.ja else None, Words("en") if words.en else None):
            if lang is not None:
                sentences += [_sentence(lang, benchmark, row, rows) for row in rows]
    return sentences


def _sentence(words: Words, benchmark: Json, row: Json, rows: list[Json]) -> str:
    title = benchmark_title(words, benchmark)
    said = reading(words, row, benchmark["higher_is_better"])
    if row["difference"] is None:
        what = words.say("差は求められない", "no difference could be computed")
        return f"{title}: {row['arm']} − {row['reference']}: {what} {null_with_reason(words, row, 'difference')}"
    scale = difference_scale(rows)
    difference = f"{scale.difference(row['difference'])} {scale.signed_interval(row['ci95'])}"
    unit = words.say("対", "pairs")
    return f"{title}: {row['arm']} − {row['reference']} = {difference}, n = {row['n_items']} {unit}: {said}"


def evidence_counts(findings: Findings) -> tuple[int, int]:
    """Number of comparisons with an interval, and of those whose interval excludes 0."""
    rows = [row for row in findings.comparisons if not row["arm"].endswith(AA_SUFFIX)]
    known = [row["ci95"] for row in rows if row["ci95"] is not None]
    return len(known), sum(1 for low, high in known if not low <= 0 <= high)
