"""Sentences about the claim "no worse on average": what it says of each arm, and what it does not say.

They follow the codes of `statistical_analysis.json`. There are none if nothing is pooled.
"""

from __future__ import annotations

from collections.abc import Sequence

from reporting.documents.phrases import code_in_words
from reporting.results_folder import Findings, Json
from reporting.wording import RIGHT_OR_WRONG, Words, integer, number, verdict_word


def pooled_sentences(findings: Findings, words: Words) -> list[str]:
    """Return which benchmarks the verdicts depend on if not on all, the claim about each arm, and the smallest arm.

    Args:
        findings: the results.
        words: the language.
    """
    if findings.analysis is None:
        return []
    tiers = findings.analysis.get("tiers") or {"pooled": {}, "inform": []}
    claims = findings.analysis.get("pooled") or []
    sentences = _tier_sentences(words, tiers, claims)
    sentences += [_claim_sentence(words, findings, row, list(tiers["pooled"])) for row in claims]
    if claims:
        selections = findings.analysis.get("selections", [])
        sentences += [_selection_sentence(words, row) for row in selections if row.get("on_average")]
    return sentences


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
        over, margin = _listed(words, _with_weights(made, list(tiers["pooled"]))), made["margin"]
        allowed = RIGHT_OR_WRONG.difference(margin).removeprefix("+")
        sentences.append(
            words.say(
                f"「平均では」は {over} の平均についての判定である(許容幅 {allowed})。"
                "個々のベンチマークについては何も言えない。",
                f'"On average" is the claim over {over} (margin {allowed}). It says nothing about a single benchmark.',
            )
        )
    sentences += [
        _claim_sentence(words, findings, row, list(tiers["pooled"])) for row in claims if row["difference"] is None
    ]
    selections = analysis.get("selections", []) if claims else []
    return sentences + [_selection_sentence(words, row) for row in selections if row.get("on_average")]


def _tier_sentences(words: Words, tiers: Json, claims: Sequence[Json]) -> list[str]:
    found = []
    if tiers["inform"]:
        names = _listed(words, tiers["inform"])
        found.append(
            words.say(
                f"{names} は参考であり、判定には使わない。", f"No verdict depends on {names}: shown for information."
            )
        )
    only = [name for name in tiers["pooled"] if name not in tiers["each"]]
    if claims and only:
        names = _listed(words, only)
        found.append(
            words.say(
                f"{names} は、個々には「許容内」でなくてもよい。アームの判定には平均についての判定を使う。",
                f"{names} need not hold by themselves: the verdict of an arm needs the claim on average for them.",
            )
        )
    return found


def _claim_sentence(words: Words, findings: Findings, row: Json, names: Sequence[str]) -> str:
    arm, reference, over = row["arm"], row["reference"], _listed(words, _with_weights(row, names))
    if row["difference"] is None:
        reason = code_in_words(words, row["difference_reason"])
        return words.say(
            f"{over} の平均についての判定は、{arm} では行わない({reason})。",
            f"Over {over} no claim on average is made for {arm} ({reason}).",
        )
    value = f"{RIGHT_OR_WRONG.difference(row['difference'])} {RIGHT_OR_WRONG.signed_interval(row['ci95'])}"
    margin = RIGHT_OR_WRONG.difference(row["margin"]).removeprefix("+")
    verdict = verdict_word(words, row["verdict"])
    open_for = [] if row["verdict"] != "undecided" else row["verdict_grounds"]
    reasons = words.say("、", "; ").join(code_in_words(words, code) for code in open_for)
    singles = _singles(words, findings, row)
    if words.en:
        text = f"On average over {over}, {arm} against {reference}: {verdict} ({value}, margin {margin}"
        text += f"; {reasons})" if reasons else ")"
        return f"{text}. This says nothing about a single benchmark: {singles}.{_unscored(words, row)}"
    text = f"{over} の平均では、{arm} は「{verdict}」である(基準: {reference}、差 {value}、許容幅 {margin}"
    text += f"、{reasons})" if reasons else ")"
    return f"{text}。個々のベンチマークについては何も言えない({singles})。{_unscored(words, row)}"


def _with_weights(row: Json, names: Sequence[str]) -> list[str]:
    """Return the pooled benchmarks, with their weights unless these are equal."""
    weights = {one["benchmark"]: one["weight"] for one in row["benchmarks"]}
    if max(weights.values(), default=0) - min(weights.values(), default=0) < 1e-9:
        return list(names)
    return [f"{name} ({number(100 * weights[name], 0)}%)" if name in weights else name for name in names]


def _singles(words: Words, findings: Findings, row: Json) -> str:
    """Return the verdict on each of the pooled benchmarks by itself."""
    verdicts = {one["benchmark"]: one.get("verdict") for one in findings.comparisons if one["arm"] == row["arm"]}
    parts = []
    for code in ("worse", "undecided", "no_worse"):
        names = [one["benchmark"] for one in row["benchmarks"] if verdicts.get(one["benchmark"]) == code]
        if names:
            parts.append(f"{verdict_word(words, code)}: {_listed(words, names)}")
    return "; ".join(parts)


def _unscored(words: Words, row: Json) -> str:
    if not (row["n_unscored"] or row["n_unscored_reference"]):
        return ""
    arm, of, reference = (integer(row[name]) for name in ("n_unscored", "n_records", "n_unscored_reference"))
    return words.say(
        f"採点不能の記録: アーム {arm} 件({of} 件中)、基準 {reference} 件。",
        f" Unscored records: {arm} of {of} of the arm, {reference} of the reference.",
    )


def _selection_sentence(words: Words, row: Json) -> str:
    found, reference = row["on_average"], row["reference"]
    smallest, ended = found["smallest_no_worse"], found["stopped_at"]
    if words.en:
        text = f"The smallest arm shown to be no worse than {reference} on average (single benchmarks may be worse):"
        return f"{text} {smallest or 'none'}" + (f" (tested likewise; stopped at {ended})." if ended else ".")
    text = f"{reference} に対して平均で「許容内」と判定された最小のアーム(個々のベンチマークは劣る可能性がある):"
    return f"{text} {smallest or 'なし'}" + (f"(同様に検定し、{ended} で終了)。" if ended else "。")


def _listed(words: Words, names: Sequence[str]) -> str:
    return words.say("、", ", ").join(names)
