"""The verdicts in the terminal summary: one line per arm, the smallest arm that is no worse, the claim on average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reporting import wording
from reporting.analysis.rules import BENCHMARKS, POOL, SCORE, TIER
from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.frames import GOLD_COLUMNS
from reporting.judging_reasons import JUDGE_SCORE
from reporting.shown_verdict import NO_VERDICT, shown_verdict_of_arm, shown_word
from reporting.terminal.layout import clean, columns, short_name, wrapped
from reporting.terminal.pooled_lines import pooled_rows, pooled_title, smallest_on_average
from reporting.wording import Words

VERDICTS = {code: en for code, (_, en) in wording.VERDICTS.items()}
"""Code of a verdict -> its name in the summary, which is in English."""


def verdict_section(analysis: Mapping[str, Any]) -> str:
    """Return the section with the verdicts of all arms."""
    margins = analysis["margins"]
    scores = sorted({row["metric"] for row in analysis["comparisons"]} & set(GOLD_COLUMNS))
    more = "".join(f" and {margins[name]:g} in {name}" for name in scores)
    title = f"Verdicts (no worse: a loss below {100 * margins['accuracy']:g} pp in accuracy"
    title += f" and {margins['ln_ppl']:g} in ln PPL{more}, with 95% confidence"
    if margins.get("judged") is not None and any(row["metric"] == JUDGE_SCORE for row in analysis["comparisons"]):
        title += f", {margins['judged']:g} points of judged scores"
    if margins.get("relative"):
        title += f", and at most {100 * margins['relative']:g}% of what the reference gets right beyond guessing"
    lines = [wrapped(f"{title})")]
    lines += _rule_lines(analysis)
    # A/A arms only measure the noise floor; nobody would choose one.
    rows = [row for row in analysis["verdicts"] if not row["arm"].endswith(AA_SUFFIX)]
    words = Words("en")
    shown = [shown_verdict_of_arm(row, analysis) for row in rows]
    table = [
        [short_name(row["arm"]), shown_word(words, code), _grounds(row, code)]
        for row, code in zip(rows, shown, strict=True)
    ]
    lines += columns(table, left=(0, 1), folded=True) if table else ["  no arm was compared with a reference"]
    lines += [_selection_line(row) for row in analysis["selections"]] if table else []
    lines += _pooled_lines(analysis)
    lines += _early_total(analysis)
    lines += [
        wrapped(
            f"out of order: {short_name(row['larger'])} is worse than the smaller {short_name(row['smaller'])} on"
            f" {row['benchmark']}: {row['difference']:+.4f} [{row['ci95'][0]:+.4f}, {row['ci95'][1]:+.4f}]"
        )
        for row in analysis["out_of_order"]
    ]
    return "\n".join(lines)


def _pooled_lines(analysis: Mapping[str, Any]) -> list[str]:
    """Return the claim on average about each arm, and the smallest arm for which it holds."""
    rows = [[short_name(arm), verdict, value] for arm, verdict, value in pooled_rows(analysis, VERDICTS)]
    if not rows:
        return []
    smallest = [smallest_on_average(row) for row in analysis["selections"]]
    return [
        wrapped(pooled_title(analysis)),
        *columns(rows, left=(0, 1), folded=True),
        *(wrapped(clean(text)) for text in smallest if text),
    ]


def _grounds(row: Mapping[str, Any], shown: str) -> str:
    """Return the benchmarks that an arm's verdict comes from. `shown` is the code of that verdict."""
    if shown == NO_VERDICT:
        losses = f"; a loss is shown on {', '.join(row['loss_shown_on'])}" if row.get("loss_shown_on") else ""
        return f"no benchmark with a margin has a result{losses}"
    shown_losses = [name for name in row["measurably_worse_on"] if name in row["no_worse_on"]]
    parts = []
    if row["worse_on"]:
        adjusted = " (before adjustment of p)" if row["verdict"] != "worse" else ""
        parts.append(f"worse on {', '.join(row['worse_on'])}{adjusted}")
    if row["undecided_on"]:
        parts.append(f"undecided on {', '.join(row['undecided_on'])}")
    if row["no_worse_on"] and parts:
        parts.append(f"no worse on {', '.join(row['no_worse_on'])}")
    if shown_losses:
        parts.append(f"a measurable loss within the margin on {', '.join(shown_losses)}")
    if row.get("loss_shown_on"):
        parts.append(f"a loss is shown on {', '.join(row['loss_shown_on'])}, beyond the margin or not is open")
    if row.get("n_unscored") or row.get("n_unscored_reference"):
        of_reference = f", {row['n_unscored_reference']:,} of the reference" if row["n_unscored_reference"] else ""
        parts.append(f"unscored records: {row['n_unscored']:,} of {row['n_records']:,}{of_reference}")
    return "; ".join(parts)


def _selection_line(row: Mapping[str, Any]) -> str:
    """Return a sentence with the smallest arm that is no worse, and the arm at which the testing stopped."""
    chosen, stopped_at = row["smallest_no_worse"], row["stopped_at"]
    source = row["reference_dequantized_from"]
    reference = short_name(row["reference"]) + (f" (the {short_name(source)} source, dequantized)" if source else "")
    text = f"smallest arm that is no worse than {reference}: {short_name(chosen) if chosen else 'none'}"
    if row.get("n_unscored"):
        text += f" (unscored records: {row['n_unscored']:,} of {row['n_records']:,})"
    return wrapped(f"{text} (tested from the largest down to {short_name(stopped_at)})" if stopped_at else text)


def _rule_lines(analysis: Mapping[str, Any]) -> list[str]:
    """Return whether the margins were fixed before the run, or what was changed; nothing if nobody knows."""
    if analysis.get("rules_fixed"):
        return ["The margins were fixed before the run."]
    return [wrapped(_changed(one)) for one in analysis.get("rule_changes", [])]


def _changed(one: Mapping[str, Any]) -> str:
    when = f"{one['time'][:16]} UTC; {', '.join(one['benchmarks'])}"
    if one["rule"] == BENCHMARKS:
        return f"evaluated before, and left out of this run: {one['before']} ({when})"
    names = {SCORE: "score of the verdict", TIER: "tier", POOL: "mean over benchmarks"}
    name = names.get(one["rule"], f"margin {one['rule']}")
    own = "the benchmark's own" if one["rule"] == SCORE else None
    before, now = (own if one[side] is None else one[side] for side in ("before", "now"))
    looks = f"{one['n_looks_before']} look{'' if one['n_looks_before'] == 1 else 's'}"
    return f"{name} changed from {before} to {now} after {looks} ({when})"


def _early_total(analysis: Mapping[str, Any]) -> list[str]:
    early = analysis.get("early_stop")
    if not early:
        return []
    saved, planned = early["n_records_saved"], early["n_records_planned"]
    text = f"early stop: {saved:,} of {planned:,} records skipped ({100 * early['share_saved']:.0f}%)"
    return [wrapped(f"{text} on {', '.join(early['benchmarks'])}")]
