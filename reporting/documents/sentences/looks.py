"""Sentences about looks: what the intervals allow for, and which rules of the verdict were changed after a look.

There are no sentences for a first look at all planned items, and none if the results do not know the history of looks.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from reporting.analysis.rules import BENCHMARKS, POOL, SCORE, TIER
from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.results_folder import Findings, Json
from reporting.shown_verdict import is_open
from reporting.wording import Words, integer, listed, metric_title


def look_sentences(findings: Findings, words: Words) -> list[str]:
    """Return what the intervals allow for, and which further looks are paid for: one sentence per benchmark and kind.

    Args:
        findings: the results.
        words: the language.
    """
    groups: dict[Any, list[Json]] = {}
    for row in _looked_at(findings):
        look = row["look"]
        earlier = tuple(one["n_items"] for one in look["earlier"])
        kept = "kept_for_later_looks" in row["verdict_grounds"]
        kind = (row["benchmark"], earlier, look["n_items"], look["planned_items"], look["allowed_for"])
        groups.setdefault((*kind, kept, _is_paid_for(row)), []).append(row)
    return [sentence for rows in groups.values() for sentence in _sentences(words, rows)]


def look_summary(findings: Findings, words: Words, arms: Container[str] | None = None) -> str:
    """Return one short sentence on all looks, for texts that have no room for more; empty if there is nothing to say.

    Args:
        findings: the results.
        words: the language.
        arms: only comparisons of these arms. None: all.
    """
    rows = [row for row in _looked_at(findings) if arms is None or row["arm"] in arms]
    again = [row for row in rows if row["look"]["number"] > 1]
    if not all(row["look"]["allowed_for"] for row in again):
        return words.say(
            "以前にも結果を見ているため、新しい判定ができない比較がある(方法の文書を参照)。",
            "Results were looked at before, so that some comparisons can claim nothing new (see the methodology).",
        )
    if again:
        return words.say(
            "以前にも結果を見ているため、区間と p 値をその分だけ広げてある(方法の文書を参照)。",
            "Results were looked at before, and intervals and p values are widened for it (see the methodology).",
        )
    if any(map(_is_paid_for, rows)):
        return words.say(
            "計画した問題の一部だけを評価したため、判定の水準の残りを以後の評価に充てる(方法の文書を参照)。",
            "Only some of the planned items were evaluated, and verdicts leave room for later looks (see the"
            " methodology).",
        )
    return ""


def _looked_at(findings: Findings) -> list[Json]:
    """Return the comparisons whose looks are known, by benchmark."""
    rows = (row for benchmark in findings.benchmarks for row in findings.compared(benchmark["name"]))
    return [row for row in rows if row.get("look") and not row["arm"].endswith(AA_SUFFIX)]


def _is_paid_for(row: Json) -> bool:
    """Return whether further looks can decide an undecided comparison."""
    look = row["look"]
    return bool(is_open(row) and look["allowed_for"] and look["n_items"] < look["planned_items"])


def _sentences(words: Words, rows: Sequence[Json]) -> list[str]:
    look, benchmark = rows[0]["look"], str(rows[0]["benchmark"])
    arms = listed(words, (str(row["arm"]) for row in rows))
    found = []
    if look["number"] > 1:
        found.append(_later(words, look, benchmark, arms))
    if "kept_for_later_looks" in rows[0]["verdict_grounds"]:
        found.append(_kept(words, look, benchmark, arms))
    if _is_paid_for(rows[0]):
        planned = integer(look["planned_items"])
        found.append(
            words.say(
                f"{benchmark}({arms}): 計画した {planned} 問までは、追加で評価しても全体の水準は保たれる。",
                f"{benchmark}, {arms}: further looks at up to {planned} items are planned and already paid for.",
            )
        )
    return found


def _later(words: Words, look: Json, benchmark: str, arms: str) -> str:
    number = look["number"]
    before = listed(words, (integer(one["n_items"]) for one in look["earlier"]))
    if words.en:
        text = f"{benchmark}, {arms}: look {number} at this comparison (before: {before} items)"
        if look["allowed_for"]:
            return f"{text}; the interval and p are widened for it."
        return f"{text}; the interval does not allow for it. Nothing is left to spend, so nothing new is claimed."
    text = f"{benchmark}({arms}): この比較の結果を見るのは {number} 回目である(以前: {before} 問)。"
    if look["allowed_for"]:
        return f"{text}区間と p 値は、その分だけ広げてある。"
    return f"{text}区間はこれを考慮していない。使える水準が残っていないため、新たな判定はしない。"


def _kept(words: Words, look: Json, benchmark: str, arms: str) -> str:
    n, planned = integer(look["n_items"]), integer(look["planned_items"])
    return words.say(
        f"{benchmark}({arms}): 95%信頼区間だけなら判定できるが、計画した {planned} 問のうち {n} 問の時点で使える"
        "水準では判定できない。残りは以後の評価のために取ってある。",
        f"{benchmark}, {arms}: the 95% interval alone would decide, but {n} of {planned} planned items may spend only a"
        " part of the level. The rest is kept for later looks.",
    )


def rule_sentences(findings: Findings, words: Words) -> list[str]:
    """Return one sentence per rule of the verdicts that was changed after the evaluation had begun.

    Args:
        findings: the results.
        words: the language.
    """
    analysis = findings.analysis or {}
    return [_changed(words, row) for row in analysis.get("rule_changes", [])]


def _changed(words: Words, row: Json) -> str:
    benchmarks = listed(words, row["benchmarks"])
    before, now = (_value(words, row["rule"], value) for value in (row["before"], row["now"]))
    looks, day = row["n_looks_before"], row["time"][:16].replace("T", " ")
    if row["rule"] == BENCHMARKS:
        return words.say(
            f"{before} は以前に評価されたが、この実行には含まれていない({day} UTC、{benchmarks})。",
            f"{before}: evaluated before, and left out of this run ({day} UTC; {benchmarks}).",
        )
    if words.en:
        when = "after 1 look" if looks == 1 else f"after {looks} looks" if looks else "after the evaluation had begun"
        rule = _rule(words, row["rule"])
        return f"{rule} was changed from {before} to {now} {when} ({day} UTC; {benchmarks})."
    when = f"結果を {looks} 回見た後" if looks else "評価の開始後"
    return f"{_rule(words, row['rule'])}は、{when}に {before} から {now} に変更された({day} UTC、{benchmarks})。"


def _rule(words: Words, rule: str) -> str:
    if rule == SCORE:
        return words.say("判定に使う指標", "The score that the verdict goes by")
    if rule == TIER:
        return words.say("ベンチマークの扱い", "The tier")
    if rule == POOL:
        return words.say("平均の対象と重み", "The mean over benchmarks")
    if rule == "relative":
        return words.say(
            "基準の正答のうち失ってよい割合", "The share of the reference's right answers that may be lost"
        )
    names = {
        "accuracy": ("正誤の指標", "right/wrong metrics"),
        "ln_ppl": ("ln PPL", "ln PPL"),
        "judged": ("独自のスケール", "scores on a scale of their own"),
        "pooled": ("正誤の指標の平均", "right/wrong metrics on average"),
    }
    name = words.say(*names[rule]) if rule in names else metric_title(words, rule)
    return words.say(f"{name}の許容幅", f"The margin of {name}")


def _value(words: Words, rule: str, value: str | float | None) -> str:
    if rule == SCORE:
        own = words.say("ベンチマーク本来の指標", "the benchmark's own metric")
        return own if value is None else metric_title(words, str(value))
    if value is None:
        return words.say("なし", "none")
    return value if isinstance(value, str) else f"{value:g}"
