"""The headline of a verdict box: which file to take, in one or two sentences.

A file is recommended only if the fixed sequence of tests, from the largest file down, chose it. A file that is no worse
and was not chosen is named with the reason, so that the headline and the table below it agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reporting.shown_verdict import NO_VERDICT
from reporting.wording import DASH, Words, listed

_Row = Mapping[str, Any]


def headline(
    analysis: _Row, words: Words, selection: _Row, *, sizes: Mapping[str, str], verdicts: Mapping[str, str]
) -> str:
    """Return the headline of the files that share a reference.

    Args:
        analysis: `statistical_analysis.json`.
        words: `ja` or `en`.
        selection: what the tests chose for this reference.
        sizes: file -> its size as text.
        verdicts: file -> code of its verdict.
    """
    reference, extent = _reference(words, selection), _extent(words, analysis)
    chosen, on_average = selection["smallest_no_worse"], file_on_average(analysis, selection)
    if not verdicts:
        return words.say(
            f"{reference}と比較したファイルはないため、推奨できるファイルはない。",
            f"Nothing was compared with {reference}: no file can be recommended.",
        )
    if set(verdicts.values()) == {NO_VERDICT}:
        return words.say(
            f"{reference}と比較したファイルに判定はない。許容幅のあるベンチマークの結果がないためである。",
            f"No verdict on any file: no benchmark with a margin has a result to compare with {reference}.",
        )
    if chosen:
        return words.say(
            f"{chosen}({sizes[chosen]})を推奨する。{extent}、{reference}に対して「許容内」である。",
            f"Take {chosen} ({sizes[chosen]}): it is no worse than {reference} {extent}.",
        )
    unchosen = _unchosen(words, selection, extent, sizes, verdicts)
    if unchosen and on_average:
        return words.say(
            f"平均では、{on_average}({sizes[on_average]})が {reference}に対して「許容内」である。{unchosen}",
            f"On average, {on_average} ({sizes[on_average]}) is no worse than {reference}. {unchosen}",
        )
    if unchosen:
        return words.say(f"{reference}をそのまま使うのがよい。{unchosen}", f"Keep {reference}. {unchosen}")
    if on_average:
        return words.say(
            "個々のベンチマークすべてで「許容内」と判定されたファイルはない。"
            f"平均では、{on_average}({sizes[on_average]})が {reference}に対して「許容内」である。"
            "ただし、個々のベンチマークでは劣る可能性がある。",
            f"No file is shown to be no worse than {reference} {extent}. On average, {on_average}"
            f" ({sizes[on_average]}) is; it may be worse on single benchmarks.",
        )
    counted = _count_open(words, list(verdicts.values()))
    return words.say(
        f"{reference}をそのまま使うのがよい。「許容内」と判定されたファイルはない{counted}。",
        f"Keep {reference}: no other file is shown to be no worse{counted}.",
    )


def file_on_average(analysis: _Row, selection: _Row) -> str | None:
    """Return the smallest file that is no worse on average and whose own verdict is not "worse"; None if none is.

    The average is one over accuracy: a file can hold it and lose more than the margin on a text.
    """
    course = selection.get("on_average") or {}
    if not course.get("smallest_no_worse"):
        return None
    worse = {row["arm"] for row in analysis["verdicts"] if row["verdict"] == "worse"}
    held = [name for name in course["tested"] if name != course["stopped_at"] and name not in worse]
    return held[-1] if held else None


def _unchosen(words: Words, selection: _Row, extent: str, sizes: Mapping[str, str], verdicts: Mapping[str, str]) -> str:
    """Return why files that are no worse were not chosen: the tests ended before them, or they have no size.

    Controls are not chosen either. They are only for comparison, and nothing is said of them.
    """
    held = [name for name, verdict in verdicts.items() if verdict == "no_worse"]
    later = [name for name in held if name in selection["not_reached"]]
    if later:
        names, ended = listed(words, later), selection["stopped_at"]
        return words.say(
            f"{extent}「許容内」かどうかの検定は大きいファイルから順に行い、"
            f"「許容内」と示せなかった {ended} で終了した。それより小さい {names} は、単独では「許容内」である。",
            f"The tests for no worse {extent} go from the largest file down, and ended at {ended}, which does not pass."
            f" Looked at alone, the smaller {names} {'passes' if len(later) == 1 else 'pass'}.",
        )
    unsized = [name for name in held if sizes[name] == DASH]
    if unsized:
        names = listed(words, unsized)
        are, them = ("is", "it") if len(unsized) == 1 else ("are", "them")
        return words.say(
            f"{names} は{extent}「許容内」であるが、サイズが不明なため、最小のファイルを選ぶ検定の対象外である。",
            f"{names} {are} no worse {extent}, but of unknown size, so the tests for the smallest file"
            f" leave {them} out.",
        )
    return ""


def _count_open(words: Words, verdicts: Sequence[str]) -> str:
    """Return how many files are undecided, or that all are worse, in parentheses."""
    n_open = verdicts.count("undecided")
    if verdicts.count("worse") == len(verdicts):
        return words.say("(すべて「劣化あり」)", " (all are worse)")
    return words.say(
        f"({len(verdicts)} 個中 {n_open} 個は「判定保留」)",
        f" ({n_open} of {len(verdicts)} {'is' if n_open == 1 else 'are'} undecided)",
    )


def _extent(words: Words, analysis: _Row) -> str:
    """Return what "no worse" covers: the benchmarks that must each hold, and the claim on average if it is needed."""
    tiers = analysis.get("tiers") or {}
    each, pooled = tiers.get("each"), tiers.get("pooled") or {}
    needs_average = any(row["decides"] for row in analysis.get("pooled") or ())
    if each is None or not (tiers.get("inform") or needs_average):
        return words.say("すべてのベンチマークで", "on every benchmark")
    names, averaged = listed(words, each), listed(words, list(pooled))
    if not needs_average:
        return words.say(f"{names} のそれぞれで", f"on each of {names}")
    if not each:
        return words.say(f"{averaged} の平均で", f"on average over {averaged}")
    return words.say(f"{names} のそれぞれと {averaged} の平均で", f"on each of {names} and on average over {averaged}")


def _reference(words: Words, selection: _Row) -> str:
    """Return the reference's name, and what it is if the original weights were not there to compare with.

    In Japanese, a space separates a Latin name from a particle behind it.
    """
    name, source = selection["reference"], selection.get("reference_dequantized_from")
    if not source:
        return words.say(f"{name} ", str(name))
    return words.say(f"{name}({source} のファイルを逆量子化したもの)", f"{name} (the {source} source, dequantized)")
