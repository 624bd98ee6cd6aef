"""What stands out in the length and style of the answers: one sentence per arm and benchmark.

A sentence says a change only if the interval of the difference from the reference excludes none. Intervals are not
adjusted for the number of comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator

from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.results_folder import Findings, Json
from reporting.style_words import in_unit, share_differs, shown_shift, style_title
from reporting.wording import RIGHT_OR_WRONG, Words, number


def style_sentences(findings: Findings, words: Words) -> list[str]:
    """Return one sentence per compared arm and benchmark with a shown change; one that says so if there are none."""
    compared = [row for row in findings.answer_style if row["shifts"] and not row["arm"].endswith(AA_SUFFIX)]
    shares = {
        (row["benchmark"], row["arm"], one["style"]): one for row in findings.answer_style for one in row["shares"]
    }
    found = []
    for row in compared:
        before = {
            style: one for (of, arm, style), one in shares.items() if (of, arm) == (row["benchmark"], row["reference"])
        }
        parts = [*_length(words, row), *_styles(words, row, before)]
        if parts:
            changes = words.say("、".join(parts), "; ".join(parts))
            found.append(
                words.say(
                    f"{row['arm']}({row['benchmark']}): {changes}。", f"{row['arm']}, {row['benchmark']}: {changes}."
                )
            )
    if compared and not found:
        return [
            words.say(
                "どのアームでも、回答の長さとスタイルに基準との差は確認できない。",
                "No arm shows a change in the length or the style of its answers against its reference.",
            )
        ]
    return found


def _length(words: Words, row: Json) -> Iterator[str]:
    shift = shown_shift(row)
    if shift is None or shift["ci95"] is None or shift["ci95"][0] <= 0 <= shift["ci95"][1]:
        return
    low, high = (number(end, 1, sign=True) for end in shift["ci95"])
    by = f"{in_unit(words, number(shift['difference'], 1, sign=True), shift['unit'])} [{low}, {high}]"
    shorter = shift["difference"] < 0
    if shift["relative"] is None:
        yield words.say(
            f"回答が{'短い' if shorter else '長い'}({by})", f"answers {'shorter' if shorter else 'longer'} ({by})"
        )
        return
    percent = f"{number(100 * abs(shift['relative']), 0)}%"
    yield words.say(
        f"回答が平均で {percent} {'短い' if shorter else '長い'}({by})",
        f"answers {percent} {'shorter' if shorter else 'longer'} on average ({by})",
    )


def _styles(words: Words, row: Json, before: dict[str, Json]) -> Iterator[str]:
    for share in row["shares"]:
        if share["share"] is not None and share_differs(share):
            name, value = style_title(words, share["style"]), RIGHT_OR_WRONG.value(share["share"])
            known = before.get(share["style"])
            of_reference = RIGHT_OR_WRONG.value(known["share"]) if known else ""
            yield words.say(f"{name} {value}(基準 {of_reference})", f"{value} {name} (reference {of_reference})")
