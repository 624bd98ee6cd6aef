"""What the evidence allows a file to be recommended for. No file is recommended without a verdict."""

from __future__ import annotations

from collections.abc import Sequence

from reporting.results_folder import Findings, Json
from reporting.shown_verdict import NO_VERDICT, shown_verdict_of_arm
from reporting.wording import Words, integer, listed

_OPEN = {
    "floor": ("基準の正答が少なすぎて測れない", "the reference gets too little right to measure"),
    "ceiling": ("問題が易しすぎて測れない", "the items are too easy to measure a loss"),
    "unscored": (
        "採点不能の記録が低下を隠している可能性がある",
        "unscored records may hide a loss beyond the margin",
    ),
    "loss_shown": (
        "低下を確認したが、許容幅を超えるかは未確定",
        "a loss is shown; whether it exceeds the margin is open",
    ),
}
"""Why a file is undecided, other than that there are too few items."""
_MOST_NAMED = 3
"""So many benchmarks are named in a cell. The results further down name all."""


def recommendation(findings: Findings, words: Words, arm: Json) -> str:
    """Return what one file may be used for, by its verdict, and how many records of it are unscored."""
    if findings.role(arm) == "reference":
        return words.say("比較の基準。別の量子化の元ファイル", "the reference, and the source of other quantizations")
    row = _row(findings, "verdicts", "arm", arm["name"])
    if row is None:
        if arm["reference"]:
            return words.say("判定なし", "no verdict")
        return words.say("基準との比較なし", "not compared with a reference")
    parts = [_by_verdict(findings, words, row)]
    if row.get("n_unscored"):
        of = f"{integer(row['n_unscored'])} / {integer(row['n_records'])}"
        parts.append(words.say(f"採点不能の記録: {of}", f"unscored records: {of}"))
    return "\n".join(parts)


def _by_verdict(findings: Findings, words: Words, row: Json) -> str:
    if shown_verdict_of_arm(row, findings.analysis or {}) == NO_VERDICT:
        return words.say(
            "判定なし: 許容幅のあるベンチマークの結果がない",
            "no verdict: no benchmark with a margin has a result",
        )
    if row["verdict"] == "no_worse":
        return _no_worse(findings, words, row)
    if row["verdict"] == "worse":
        where = _counted(words, row["worse_on"])
        return words.say(
            f"劣化あり: {where} で許容幅を超える低下を確認済み。メモリの節約を優先する場合のみ",
            f"worse: loses more than the margin on {where}; only where memory decides",
        )
    if row.get("on_average") == "no_worse":
        return _no_worse_on_average(words, row)
    where = _counted(words, row["undecided_on"])
    reasons = [words.say(*_OPEN[ground]) for ground in row.get("grounds", ()) if ground in _OPEN]
    reasons = reasons or [
        words.say(
            "この問題数では許容幅を超える低下を否定できない",
            "with this many items a loss beyond the margin cannot be excluded",
        )
    ]
    joined = words.say("。", "; ").join(reasons)
    return words.say(f"判定保留({where}): {joined}", f"undecided on {where}: {joined}")


def _no_worse(findings: Findings, words: Words, row: Json) -> str:
    reference, names = row["reference"], row["no_worse_on"]
    if {one["name"] for one in findings.benchmarks} == set(names):
        where = words.say("すべてのベンチマークで", "on every benchmark")
    else:
        claim = _row(findings, "pooled", "arm", row["arm"])
        averaged = [one["benchmark"] for one in claim["benchmarks"]] if claim and claim["decides"] else []
        where = _where(words, names, averaged)
    selection = _row(findings, "selections", "smallest_no_worse", row["arm"])
    smallest = words.say("。該当する最小のファイル", "; the smallest such file") if selection else ""
    return words.say(f"{where}、{reference} に対して「許容内」", f"no worse than {reference} {where}") + smallest


def _where(words: Words, each: Sequence[str], averaged: Sequence[str]) -> str:
    """Return the benchmarks that hold by themselves, and those that hold on average."""
    several = words.say(" のそれぞれ", "each of ") if len(each) > 1 else ""
    single, over = listed(words, each), listed(words, averaged)
    if words.en:
        parts = [f"on {several}{single}"] * bool(each) + [f"on average over {over}"] * bool(averaged)
        return " and ".join(parts)
    parts = [f"{single}{several}"] * bool(each) + [f"{over} の平均"] * bool(averaged)
    return "と、".join(parts) + "で"


def _no_worse_on_average(words: Words, row: Json) -> str:
    """Return the claim on average. The table's column of that average names its benchmarks."""
    undecided = listed(words, row["undecided_on"])
    return words.say(
        f"平均では、{row['reference']} に対して「許容内」。個々では判定保留: {undecided}",
        f"no worse than {row['reference']} on average; undecided by themselves: {undecided}",
    )


def _row(findings: Findings, name: str, key: str, value: str) -> Json | None:
    rows = [] if findings.analysis is None else findings.analysis.get(name) or []
    return next((row for row in rows if row[key] == value), None)


def _counted(words: Words, names: Sequence[str]) -> str:
    """Return the benchmarks, or their number if they are many. Without any it is the claim on average."""
    if len(names) > _MOST_NAMED:
        return words.say(f"{len(names)} 個のベンチマーク", f"{len(names)} benchmarks")
    return listed(words, names) or words.say("平均", "average")
