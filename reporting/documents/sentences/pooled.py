"""Sentences about the claim "no worse on average": what it covers, and what it does not say.

The numbers of each arm are in the tables. The sentences follow the codes of `statistical_analysis.json`. There are none
if nothing is pooled.
"""

from __future__ import annotations

from collections.abc import Sequence

from reporting.documents.phrases import code_in_words
from reporting.results_folder import Findings, Json
from reporting.wording import RIGHT_OR_WRONG, Words, listed, number


def pooled_notes(findings: Findings, words: Words) -> list[str]:
    """Return what the table of verdicts does not say about the claim on average."""
    analysis = findings.analysis or {}
    claims = analysis.get("pooled") or []
    if findings.analysis is None:
        return []
    tiers = analysis.get("tiers") or {"pooled": {}, "inform": []}
    sentences = _tier_sentences(words, tiers, claims)
    made = next((row for row in claims if row["difference"] is not None), None)
    if made is not None:
        over, margin = listed(words, _with_weights(made, list(tiers["pooled"]))), made["margin"]
        allowed = RIGHT_OR_WRONG.difference(margin).removeprefix("+")
        sentences.append(
            words.say(
                f"「平均では」は {over} の平均についての判定である(許容幅 {allowed})。"
                "個々のベンチマークについては何も言えない。",
                f'"On average" is the claim over {over} (margin {allowed}). It says nothing about a single benchmark.',
            )
        )
    pooled = listed(words, list(tiers["pooled"]))
    sentences += [_no_claim(words, row, pooled) for row in claims if row["difference"] is None]
    selections = analysis.get("selections", []) if claims else []
    return sentences + [_selection_sentence(words, row) for row in selections if row.get("on_average")]


def _tier_sentences(words: Words, tiers: Json, claims: Sequence[Json]) -> list[str]:
    found = []
    if tiers["inform"]:
        names = listed(words, tiers["inform"])
        found.append(
            words.say(
                f"{names} は参考であり、判定には使わない。", f"No verdict depends on {names}: shown for information."
            )
        )
    only = [name for name in tiers["pooled"] if name not in tiers["each"]]
    if claims and only:
        names = listed(words, only)
        found.append(
            words.say(
                f"{names} は、個々には「許容内」でなくてもよい。アームの判定には平均についての判定を使う。",
                f"{names} need not hold by themselves: the verdict of an arm needs the claim on average for them.",
            )
        )
    return found


def _no_claim(words: Words, row: Json, over: str) -> str:
    reason = code_in_words(words, row["difference_reason"])
    return words.say(
        f"{over} の平均についての判定は、{row['arm']} では行わない({reason})。",
        f"Over {over} no claim on average is made for {row['arm']} ({reason}).",
    )


def _with_weights(row: Json, names: Sequence[str]) -> list[str]:
    """Return the pooled benchmarks, with their weights unless these are equal."""
    weights = {one["benchmark"]: one["weight"] for one in row["benchmarks"]}
    if max(weights.values(), default=0) - min(weights.values(), default=0) < 1e-9:
        return list(names)
    return [f"{name} ({number(100 * weights[name], 0)}%)" if name in weights else name for name in names]


def _selection_sentence(words: Words, row: Json) -> str:
    found, reference = row["on_average"], row["reference"]
    smallest, ended = found["smallest_no_worse"], found["stopped_at"]
    if words.en:
        text = f"The smallest arm shown to be no worse than {reference} on average (single benchmarks may be worse):"
        return f"{text} {smallest or 'none'}" + (f" (tested likewise; stopped at {ended})." if ended else ".")
    text = f"{reference} に対して平均で「許容内」と判定された最小のアーム(個々のベンチマークは劣る可能性がある):"
    return f"{text} {smallest or 'なし'}" + (f"(同様に検定し、{ended} で終了)。" if ended else "。")
