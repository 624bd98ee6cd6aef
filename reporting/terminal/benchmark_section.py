"""One benchmark in the terminal summary: its means, its differences from the reference, and what they can show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.analysis.unjudged import not_judged
from reporting.deciding import what_decides
from reporting.judging_reasons import WITHOUT_JUDGE
from reporting.shown_verdict import is_open, shown_verdict, shown_word
from reporting.terminal.divergence_table import class_table, divergence_table
from reporting.terminal.layout import columns, short_name, wrapped
from reporting.terminal.open_verdicts import NAMED, OPEN
from reporting.terminal.verdict_section import VERDICTS
from reporting.wording import Words

_NONE = "-"
_ENGLISH = Words("en")


def benchmark_section(
    benchmark: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    comparisons: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
) -> str:
    """Return the section of one benchmark.

    Args:
        benchmark: its entry in `quantization_comparison.json`.
        results: the result rows of all benchmarks.
        comparisons: the comparisons of all benchmarks.
        others: its comparisons in scores that no verdict goes by.
    """
    name = benchmark["name"]
    shown_metric = "perplexity" if benchmark["metric"] == "nll" else benchmark["metric"]
    own = [row for row in results if row["benchmark"] == name]
    differences = [row for row in comparisons if row["benchmark"] == name]
    direction = "higher" if benchmark["higher_is_better"] else "lower"
    runs = "no sampling" if benchmark["deterministic"] else f"{len(benchmark['seeds'])} runs"
    items = f"{benchmark['n_items']:,} of {benchmark['n_items_total']:,} items"
    title = f"{name}: {short_name(shown_metric)}, {direction} is better; {items}, {runs}"
    primary = [row for row in own if row["primary"]]
    if benchmark.get("rubrics") and not_judged(primary):
        return f"{wrapped(title)}\n{_unjudged_line(primary)}"
    shown = {row["arm"]: row for row in own if row["metric"] == shown_metric}
    lines = [wrapped(title), *_mean_lines(benchmark, primary, shown), *_difference_lines(benchmark, differences)]
    lines += _divergence_lines(own)
    lines += _score_lines(others)
    lines += _flip_lines(differences)
    lines += _precision_lines(benchmark, differences)
    lines += _early_lines(differences)
    lines += _look_lines(differences)
    lines += [_unscored_line(row) for row in primary if row["n_unscored"]]
    lines += [_uncompared_line(row) for row in differences if row["difference"] is None]
    return "\n".join(lines)


def _mean_lines(
    benchmark: Mapping[str, Any], primary: Sequence[Mapping[str, Any]], shown: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return the table of means. Without sampling there is no spread between runs, so that column is left out: no ±0.

    Args:
        benchmark: the benchmark.
        primary: the result row of each arm that says how many items were scored.
        shown: by arm, the result row with the mean that is shown.
    """
    sampled = not benchmark["deterministic"]
    table = [["arm", "mean", "95% CI", *(["runs"] if sampled else []), "n"]]
    for row in primary:
        found, bar = shown[row["arm"]], row["error_bar_runs"]
        form = ".2f" if found["metric"] == "perplexity" else ".3f"
        mean = _NONE if found["mean"] is None else format(found["mean"], form)
        spread = [_NONE if bar is None else f"±{bar:.3f}"] if sampled else []
        table.append([short_name(row["arm"]), mean, _bracket(found["ci95"], form), *spread, f"{row['n_items']:,}"])
    return columns(table, left=(0,))


def _difference_lines(benchmark: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table of paired differences; nothing if no arm has a reference."""
    if not rows:
        return []
    score = benchmark.get("verdict_score", benchmark["metric"])
    unit = {"nll": " in ln PPL", "accuracy": " in pp"}.get(
        score, "" if score == benchmark["metric"] else f" in {score}"
    )
    scale, form = (
        (100, "+.1f") if score == "accuracy" else (1, "+.3f" if score == benchmark["metric"] != "nll" else "+.4f")
    )
    table = [["arm", f"diff{unit}", "95% CI", "d", "verdict"]]
    for row in rows:
        difference = _NONE if row["difference"] is None else _signed(scale * row["difference"], form)
        interval = None if row["ci95"] is None else [scale * bound for bound in row["ci95"]]
        effect = _NONE if row["cohens_d"] is None else _signed(row["cohens_d"], "+.2f")
        verdict = shown_word(_ENGLISH, shown_verdict(row)) or _NONE
        table.append([short_name(row["arm"]), difference, _bracket(interval, form), effect, verdict])
    return columns(table, left=(0, 4))


def _bracket(interval: Sequence[float] | None, form: str) -> str:
    return _NONE if interval is None else f"[{_signed(interval[0], form)}, {_signed(interval[1], form)}]"


def _signed(value: float, form: str) -> str:
    """Format a number. What rounds to 0 has no minus sign."""
    text = format(value, form)
    return text if float(text) else format(0.0, form)


def _unscored_line(row: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{short_name(reason)} {count}" for reason, count in row["unscored_reasons"].items())
    return wrapped(f"unscored: {short_name(row['arm'])} {row['n_unscored']} of {row['n_records']} records ({reasons})")


def _unjudged_line(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one line for all arms in place of their tables, which would have no numbers."""
    kept, others = Counter[str](), Counter[str]()
    for row in rows:
        for reason, count in row["unscored_reasons"].items():
            (kept if reason in WITHOUT_JUDGE else others)[reason] += count
    line = f"not judged: {kept.total():,} answers of {len(rows)} arms are kept and have no scores ({_counts(kept)})"
    return wrapped(f"{line}; {others.total():,} more are unscored ({_counts(others)})" if others else line)


def _counts(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{short_name(reason)} {count:,}" for reason, count in reasons.items())


def _uncompared_line(row: Mapping[str, Any]) -> str:
    arm, reference = short_name(row["arm"]), short_name(row["reference"])
    return wrapped(f"not compared: {arm} with {reference} ({row['difference_reason']})")


# --- lines below a benchmark's table --------------------------------------------------------------


def _divergence_lines(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the tables of divergence: how far the arms' predictions of a text are from the reference's."""
    tables = [table for table in (divergence_table(results), class_table(results)) if table]
    return [line for table in tables for line in columns([[short_name(row[0]), *row[1:]] for row in table], left=(0,))]


def _score_lines(others: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line per score that no verdict goes by, with the difference of each arm."""
    lines = []
    for metric in dict.fromkeys(row["metric"] for row in others):
        known = [row for row in others if row["metric"] == metric and row["difference"] is not None]
        parts = [f"{short_name(row['arm'])} {row['difference']:+.4f} {_bracket(row['ci95'], '+.4f')}" for row in known]
        lines += [wrapped(f"diff in {metric}: {', '.join(parts)}")] if parts else []
    return lines


def _flip_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line with the share of flipped answers of each arm, and the noise floor."""
    known = [row for row in rows if row.get("flips")]
    if not known:
        return []
    flipped = ", ".join(f"{short_name(row['arm'])} {100 * row['flips']['flipped']:.1f}%" for row in known)
    floors = [row["flips"]["noise_floor"] for row in known if row["flips"]["noise_floor"] is not None]
    floor = f"noise floor {100 * floors[0]:.1f}%" if floors else "noise floor not measured"
    return [wrapped(f"flipped answers: {flipped} ({floor})")]


def _precision_lines(benchmark: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the smallest loss that these items can detect, and what would decide the undecided arms."""
    lines = []
    drops = [row["detectable_drop"] for row in rows if row.get("detectable_drop") is not None]
    if drops:
        lines.append(f"smallest detectable loss: {_losses(rows[0]['metric'], min(drops), max(drops))}")
    undecided = [row for row in rows if is_open(row)]
    parts = [f"{short_name(row['arm'])} ({what_decides(_ENGLISH, row, benchmark)})" for row in undecided]
    if parts:
        lines.append(wrapped(f"undecided: {'; '.join(parts)}"))
    lines += [
        wrapped(f"{short_name(row['arm'])}: {'; '.join(OPEN[ground] for ground in row['verdict_grounds'])}")
        for row in undecided
        if any(ground in NAMED for ground in row["verdict_grounds"])
    ]
    return lines


def _early_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which arms ended early, and which kind of interval is shown; nothing if the benchmark cannot end early."""
    known = [(row, row["early_stop"]) for row in rows if row.get("early_stop")]
    if not known:
        return []
    ended = [
        f"{short_name(row['arm'])} {VERDICTS[row['verdict']]} after {stop['n_items_looked_at']:,} of"
        f" {stop['n_items_planned']:,} items ({stop['n_records_saved']:,} records skipped)"
        for row, stop in known
        if stop["decided"]
    ]
    words = f"ended early: {'; '.join(ended)}" if ended else "no arm was decided early"
    return [wrapped(f"{words}. Intervals are valid at any number of items (betting sequence).")]


def _look_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which look this is, and whether the intervals allow for the others; nothing for a first whole look."""
    found: dict[str, None] = {}
    for row in rows:
        look = row.get("look")
        if not look or row["arm"].endswith(AA_SUFFIX):
            continue
        name, counts = short_name(row["arm"]), [f"{one['n_items']:,}" for one in look["earlier"]]
        if counts:
            how = (
                "the interval is widened for it"
                if look["allowed_for"]
                else "the interval does not allow for it, and nothing new is claimed"
            )
            found[f"look {look['number']} at {name} (before: {', '.join(counts)} items): {how}"] = None
        if "kept_for_later_looks" in row["verdict_grounds"]:
            part = f"{look['n_items']:,} of {look['planned_items']:,} planned items"
            found[f"{name}: the 95% interval would decide, but {part} may spend only a part of the level"] = None
        elif is_open(row) and look["allowed_for"] and look["n_items"] < look["planned_items"]:
            found[f"further looks at up to {look['planned_items']:,} items are planned and paid for"] = None
    return [wrapped(line) for line in found]


def _losses(metric: str, least: float, most: float) -> str:
    """Return a range of losses in the unit in which the plan shows them before the run."""
    scale, form, unit = {"accuracy": (100, ".1f", " pp"), "nll": (1, ".4f", " ln PPL")}.get(metric, (1, ".3f", ""))
    first, last = (format(scale * loss, form) for loss in (least, most))
    return f"{first}{unit}" if first == last else f"{first} to {last}{unit}"
